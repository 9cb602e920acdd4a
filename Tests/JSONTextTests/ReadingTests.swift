import DPUCore
import JSONText
import Testing

/// Reading a JSON text strictly, with the place of what is wrong.
@Suite struct ReadingTests {
  private func field(_ string: String) throws -> JSONField {
    let bytes = Array(string.utf8)
    return JSONField(node: try JSONDocument.parse(bytes.span.bytes), path: JSONPath())
  }

  /// `PATH: MESSAGE` of the problem that `body` meets; nil when it meets none.
  private func problem(_ body: () throws(JSONField.Problem) -> Void) -> String? {
    do throws(JSONField.Problem) {
      try body()
      return nil
    } catch {
      return "\(error.path.text.string): \(error.message.string)"
    }
  }

  @Test func membersComeInTheOrderOfTheText() throws {
    let members = try field(#"{"z": 1, "a": [2, {"b": "c"}]}"#).members()
    #expect(members.map { $0.key.string } == ["z", "a"])
    let inner = try members[1].field.elements(0...9)[1].members()[0]
    #expect(inner.field.path.text.string == "$.a[1].b")
    #expect(try inner.field.text().string == "c")
  }

  @Test func whatIsWrongIsSaidWithItsPath() throws {
    let root = try field(#"{"n": 70000, "t": "", "l": [1, 2, 3], "f": 1.5}"#)
    let members = try root.members()
    #expect(
      problem { () throws(JSONField.Problem) in _ = try members[0].field.integer(0...65_535) }
        == "$.n: must lie between 0 and 65535, is 70000")
    #expect(
      problem { () throws(JSONField.Problem) in _ = try members[1].field.text() }
        == "$.t: must not be empty")
    #expect(
      problem { () throws(JSONField.Problem) in _ = try members[2].field.elements(0...2) }
        == "$.l: must have 0 to 2 elements, has 3")
    #expect(
      problem { () throws(JSONField.Problem) in _ = try members[3].field.integer(0...9) }
        == "$.f: must be an integer, is a number with a fraction")
    #expect(
      problem { () throws(JSONField.Problem) in _ = try members[0].field.members() }
        == "$.n: must be an object, is an integer")
  }

  @Test func aPathLeadsBackToItsPlace() throws {
    let text = "{\n  \"a\": [1,\n    {\"b\": null}]}"
    let bytes = Array(text.utf8)
    let inner = try field(text).members()[0].field.elements(0...9)[1].members()[0].field.path
    var locator = JSONLocator(bytes.span.bytes)
    let value = locator.locate(inner, key: false)
    #expect(TextPosition(of: value, in: bytes.span.bytes).line == 3)
    #expect(TextPosition(of: value, in: bytes.span.bytes).column == 11)
    let key = locator.locate(inner, key: true)
    #expect(TextPosition(of: key, in: bytes.span.bytes).column == 6)
  }

  @Test(arguments: ["", "{", "{\"a\":1,\"a\":2}", "[1] x", "\u{1}"])
  func whatIsNoJSONIsRefused(text: String) {
    let bytes = Array(text.utf8)
    #expect(throws: JSONDocument.Failure.self) { _ = try JSONDocument.parse(bytes.span.bytes) }
  }
}

extension Text {
  fileprivate var string: String { String(decoding: bytes, as: UTF8.self) }
}
