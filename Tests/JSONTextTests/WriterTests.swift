import DPUCore
import JSONText
import Testing

@Suite struct WriterTests {
  @Test(arguments: [
    ([], ""), (Array("a\"b\\c".utf8), #"a\"b\\c"#), ([0x00, 0x1f, 0x7f], #"\u0000\u001f\u007f"#),
    (Array("é€😀".utf8), "é€😀"),
    // Not UTF-8: a stray continuation, an overlong form, a surrogate, beyond U+10FFFF, cut off.
    ([0x80], "\u{fffd}"), ([0xc0, 0xaf], "\u{fffd}\u{fffd}"),
    ([0xed, 0xa0, 0x80], "\u{fffd}\u{fffd}\u{fffd}"),
    ([0xf4, 0x90, 0x80, 0x80], "\u{fffd}\u{fffd}\u{fffd}\u{fffd}"),
    ([0xe2, 0x82], "\u{fffd}\u{fffd}"),
  ])
  func anyBytesBecomeAString(bytes: [UInt8], expected: String) {
    var json = JSONWriter()
    json.value(text: Text(bytes: bytes))
    #expect(json.text.string == "\"\(expected)\"")
  }

  @Test func numbers() {
    var json = JSONWriter()
    json.beginArray()
    json.value(UInt64.max)
    json.value(Int64.min)
    json.value(0)
    json.value(true)
    json.null()
    json.beginObject()
    json.endObject()
    json.value(-10)
    json.endArray()
    #expect(
      json.text.string == "[18446744073709551615,-9223372036854775808,0,true,null,{},-10]")
  }
}

extension Text {
  fileprivate var string: String { String(decoding: bytes, as: UTF8.self) }
}
