import Testing

@testable import P4Pipelines

@Suite struct WideIntegerTests {
  @Test func leadingZeroWordsAreDropped() {
    #expect(WideInteger(magnitude: [5, 0, 0]) == WideInteger(5 as UInt64))
    #expect(WideInteger(magnitude: [0], isNegative: true) == .zero)
  }
}
