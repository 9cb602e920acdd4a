import CJansson
package import DPUCore

/// A parsed JSON text. The values in it live as long as somebody holds one of them.
@safe
package final class JSONDocument {
  private let value: OpaquePointer

  private init(adopting value: OpaquePointer) { unsafe self.value = value }

  deinit { unsafe cjansson_release(value) }

  /// Why a text is not JSON, and the offset of the byte where that shows.
  package struct Failure: Error {
    package var offset: Int
    package var reason: Text
  }

  /// The outermost value of `bytes`. A key that stands twice in one object is a failure.
  package static func parse(_ bytes: RawSpan) throws(Failure) -> JSONNode {
    var message = [UInt8](repeating: 0, count: 256)
    let capacity = message.count
    var failure = cjansson_failure()
    let value = unsafe bytes.withUnsafeBytes { text in
      unsafe message.withUnsafeMutableBufferPointer { message in
        // An empty span may have no address, and jansson wants one.
        unsafe cjansson_parse(
          text.baseAddress ?? UnsafeRawPointer(message.baseAddress!), text.count, &failure,
          message.baseAddress!, capacity)
      }
    }
    guard let value = unsafe value else {
      message.removeLast(capacity - failure.message_length)
      throw Failure(offset: failure.offset, reason: Text(bytes: message))
    }
    return unsafe JSONNode(document: JSONDocument(adopting: value), value: value)
  }
}

/// One value of a document.
@safe
package struct JSONNode {
  private let document: JSONDocument
  private let value: OpaquePointer

  fileprivate init(document: JSONDocument, value: OpaquePointer) {
    self.document = document
    unsafe self.value = value
  }

  package enum Kind: Int32 {
    case object, array, string, integer, real, `true`, `false`, null

    /// As it reads in "is …, not …".
    package var name: StaticString {
      switch self {
      case .object: "an object"
      case .array: "an array"
      case .string: "a string"
      case .integer: "an integer"
      case .real: "a number with a fraction"
      case .true, .false: "a boolean"
      case .null: "null"
      }
    }
  }

  package var kind: Kind { unsafe Kind(rawValue: cjansson_kind_of(value)) ?? .null }

  /// Nil when it is no integer.
  package var integer: Int64? {
    kind == .integer ? unsafe cjansson_integer_value(value) : nil
  }

  /// Nil when it is no string.
  package var text: Text? {
    var count = 0
    guard let bytes = unsafe cjansson_string_bytes(value, &count) else { return nil }
    return unsafe Text(bytes: [UInt8](UnsafeBufferPointer(start: bytes, count: count)))
  }

  /// The value as JSON on one line.
  package var json: Text { json(indent: 0) }

  /// The value as JSON for people.
  package var indentedJSON: Text { json(indent: 2) }

  private func json(indent: Int) -> Text {
    var bytes = [UInt8](repeating: 0, count: 4_096)
    while true {
      let capacity = bytes.count
      let count = unsafe bytes.withUnsafeMutableBufferPointer {
        unsafe cjansson_text(value, indent, $0.baseAddress!, capacity)
      }
      if count <= capacity { return Text(bytes: Array(bytes[..<count])) }
      bytes = [UInt8](repeating: 0, count: count)
    }
  }

  /// Elements of an array or members of an object; empty for anything else.
  package var count: Int { unsafe cjansson_count(value) }

  /// The elements of an array; empty for anything else.
  package var elements: [JSONNode] {
    guard kind == .array else { return [] }
    var nodes: [JSONNode] = []
    for index in 0..<count {
      guard let element = unsafe cjansson_element(value, index) else { break }
      unsafe nodes.append(JSONNode(document: document, value: element))
    }
    return nodes
  }

  /// The members of an object in the order of the text; empty for anything else.
  package var members: [JSONMember] {
    guard kind == .object else { return [] }
    var members: [JSONMember] = []
    var place = unsafe cjansson_first_member(value)
    while let current = unsafe place {
      var count = 0
      let key = unsafe cjansson_member_key(current, &count)
      let name = unsafe [UInt8](UnsafeBufferPointer(start: key, count: count))
      if let node = unsafe cjansson_member_value(current) {
        unsafe members.append(
          JSONMember(key: Text(bytes: name), node: JSONNode(document: document, value: node)))
      }
      unsafe place = cjansson_next_member(value, current)
    }
    return members
  }
}

package struct JSONMember {
  package var key: Text
  package var node: JSONNode
}
