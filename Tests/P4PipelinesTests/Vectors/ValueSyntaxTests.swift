import DPUCore
import Testing

@testable import P4Pipelines

/// Numbers and match keys as scripts write them.
@Suite struct ValueSyntaxTests {
  @Test(arguments: [
    ("0", "0x0"), ("255", "0xff"), ("0xFf", "0xff"), ("0b101", "0x5"), ("0o17", "0xf"),
    ("10.0.0.1", "0xa000001"), ("02:00:00:0:0:1", "0x20000000001"),
    ("fd77::1", "0xfd770000000000000000000000000001"), ("::", "0x0"),
    ("1:2:3:4:5:6:7:8", "0x10002000300040005000600070008"), ("-3", "-0x3"),
  ])
  func numbers(_ text: String, _ value: String) {
    #expect(ValueSyntax.number(Text(bytes: Array(text.utf8)))?.hexadecimal.string == value)
  }

  @Test(arguments: [
    "", "x", "0x", "0b2", "0b", "0o8", "1.2.3", "1.2.3.256", "1.2.3.4.5", "1:2", "1::2::3",
    "12:34:56:78:9a:bcd", "1:2:3:4:5:6:7:8:9", "0x1g", "1 2",
  ])
  func noNumbers(_ text: String) {
    #expect(ValueSyntax.number(Text(bytes: Array(text.utf8))) == nil)
  }

  private func key(_ kind: P4Program.MatchKind, _ width: Int) -> P4Program.TableKey {
    P4Program.TableKey(
      name: "k", kind: kind, value: .constant(.zero), width: width, mask: nil)
  }

  private func number(_ value: UInt64) -> WideInteger { WideInteger(value) }

  @Test func keysOfTheCLI() {
    #expect(ValueSyntax.key("7", for: key(.exact, 9)) == .exact(number(7)))
    #expect(
      ValueSyntax.key("10.0.0.0/8", for: key(.lpm, 32)) == .lpm(number(0x0a00_0000), length: 8))
    #expect(ValueSyntax.key("10.0.0.0", for: key(.lpm, 32)) == nil)
    #expect(
      ValueSyntax.key("0xff&&&0x0f", for: key(.ternary, 8))
        == .ternary(number(15), mask: number(15)))
    #expect(ValueSyntax.key("0xff", for: key(.ternary, 8)) == nil)
    #expect(ValueSyntax.key("1->9", for: key(.range, 8)) == .range(number(1), number(9)))
    #expect(ValueSyntax.key("0&&&0", for: key(.optional, 8)) == .optional(nil))
    #expect(ValueSyntax.key("3&&&255", for: key(.optional, 8)) == .optional(number(3)))
    #expect(ValueSyntax.key("3&&&7", for: key(.optional, 8)) == nil)
    #expect(ValueSyntax.key("true", for: key(.valid, 1)) == .valid(true))
    #expect(ValueSyntax.key("2", for: key(.valid, 1)) == nil)
  }

  /// As p4c's runner reads them: a ternary value compares the digits that it has.
  @Test func keysOfSTF() {
    #expect(
      ValueSyntax.stfKey("0x**01", for: key(.ternary, 16))
        == .ternary(number(1), mask: number(0xff)))
    #expect(
      ValueSyntax.stfKey("0x12", for: key(.ternary, 16))
        == .ternary(number(0x12), mask: number(0xff)))
    #expect(
      ValueSyntax.stfKey("0b1*0", for: key(.ternary, 8)) == .ternary(number(4), mask: number(5)))
    #expect(
      ValueSyntax.stfKey("18", for: key(.ternary, 8)) == .ternary(number(18), mask: number(255)))
    #expect(
      ValueSyntax.stfKey("0x0a01****", for: key(.lpm, 32))
        == .lpm(number(0x0a01_0000), length: 16))
    #expect(ValueSyntax.stfKey("0x0a/4", for: key(.lpm, 8)) == .lpm(number(10), length: 4))
    #expect(ValueSyntax.stfKey("5", for: key(.lpm, 8)) == .lpm(number(5), length: 8))
    #expect(ValueSyntax.stfKey("1..2", for: key(.range, 8)) == .range(number(1), number(2)))
    #expect(ValueSyntax.stfKey("3", for: key(.range, 8)) == .range(number(3), number(3)))
    #expect(ValueSyntax.stfKey("*", for: key(.optional, 8)) == .optional(nil))
    #expect(ValueSyntax.stfKey("0x*", for: key(.exact, 8)) == nil)
    #expect(ValueSyntax.stfKey("0xzz", for: key(.ternary, 8)) == nil)
  }

  @Test func patternsFindTheFirstDifference() {
    let pattern = PacketPattern(nibbles: [0, 1, 16, 3], isExact: false)
    #expect(pattern.firstDifference(in: [0x01, 0xf3]) == nil)
    #expect(pattern.firstDifference(in: [0x01, 0xf3, 0x99]) == nil)
    #expect(pattern.firstDifference(in: [0x01, 0xf4]) == 3)
    #expect(pattern.firstDifference(in: [0x11, 0xf3]) == 0)
    #expect(pattern.firstDifference(in: [0x01]) == 2)
    let exact = PacketPattern([0x01, 0x02], unchecked: [1..<2])
    #expect(exact.firstDifference(in: [0x01, 0xff]) == nil)
    #expect(exact.firstDifference(in: [0x01, 0xff, 0]) == 4)
    #expect(exact.text.string == "01**$")
  }
}
