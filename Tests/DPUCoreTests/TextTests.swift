import DPUCore
import Testing

@Suite struct TextTests {
  @Test func shortTextIsCutAtACharacter() {
    func shown(_ string: String) -> String {
      let bytes = Array(string.utf8)
      return ShortText(bytes.span.bytes).text.string
    }
    #expect(shown("") == "")
    let full = String(repeating: "x", count: 60)
    #expect(shown(full) == full)
    #expect(shown(full + "y") == String(repeating: "x", count: 59) + "…")
    // 59 bytes and a character of two.
    let odd = String(repeating: "x", count: 59) + "é"
    #expect(shown(odd) == String(repeating: "x", count: 59) + "…")
  }

  @Test(arguments: [
    (0, "0"), (-7, "-7"), (Int.min, "-9223372036854775808"), (1_000, "1000"),
  ])
  func numbersAreWrittenInDecimal(value: Int, expected: String) {
    #expect(("\(value)" as Text).string == expected)
  }

  @Test func digitsOfOtherRadicesAreFilledUpWithZeros() {
    var text = Text()
    text.append(0xbeef, radix: 16, width: 6)
    #expect(text.string == "00beef")
  }
}

extension Text {
  fileprivate var string: String { String(decoding: bytes, as: UTF8.self) }
}
