package import DPUCore

/// The way from the outermost value of a JSON text to one inside it.
package struct JSONPath: Equatable, Sendable {
  /// For people: `$.ports[1].mtu`.
  package private(set) var text: Text = "$"
  /// For finding the place again: which member or element to take at each level.
  package private(set) var ordinals: [Int] = []

  package init() {}

  package func member(_ key: Text, ordinal: Int) -> JSONPath {
    var path = self
    path.text.append(byte: UInt8(ascii: "."))
    // Cut, because a key may be as long as the text it stands in.
    path.text.append(ShortText(key.span).text)
    path.ordinals.append(ordinal)
    return path
  }

  package func element(_ index: Int) -> JSONPath {
    var path = self
    path.text.append("[\(index)]" as Text)
    path.ordinals.append(index)
    return path
  }
}

/// A place in a text as editors count it: both from 1, columns in characters.
package struct TextPosition: Equatable, Sendable {
  package var line = 1
  package var column = 1

  /// Of the byte at `offset`, or of the end.
  package init(of offset: Int, in text: RawSpan) {
    for index in 0..<min(offset, text.byteCount) {
      let byte = text.byte(at: index)
      if byte == UInt8(ascii: "\n") {
        line += 1
        column = 1
      } else if byte & 0xc0 != 0x80 {
        // Bytes 10xxxxxx continue a character.
        column += 1
      }
    }
  }
}

/// Walks a text that is known to be JSON to the place a path names. jansson keeps no positions of
/// values; this is run only to report an error, so it starts from the beginning each time.
package struct JSONLocator: ~Escapable {
  private let text: RawSpan
  private var offset = 0

  @_lifetime(copy text)
  package init(_ text: RawSpan) { self.text = text }

  /// Byte offset of the value at `path`, or of the key before it.
  @_lifetime(self: copy self)
  package mutating func locate(_ path: JSONPath, key: Bool) -> Int {
    offset = 0
    skipSpace()
    var start = offset
    for ordinal in path.ordinals {
      let isObject = current == UInt8(ascii: "{")
      offset += 1
      for position in 0...ordinal {
        skipSpace()
        start = offset
        if isObject {
          skipString()
          skipSpace()
          offset += 1  // the colon
          skipSpace()
        }
        if position < ordinal {
          skipValue()
          skipSpace()
          offset += 1  // the comma
        }
      }
    }
    return key ? start : offset
  }

  /// A byte that no JSON text contains, at the end.
  private var current: UInt8 { offset < text.byteCount ? text.byte(at: offset) : 0 }

  @_lifetime(self: copy self)
  private mutating func skipSpace() {
    while current == 0x20 || current == 0x0a || current == 0x0d || current == 0x09 { offset += 1 }
  }

  @_lifetime(self: copy self)
  private mutating func skipString() {
    offset += 1
    while offset < text.byteCount, current != UInt8(ascii: "\"") {
      offset += current == UInt8(ascii: "\\") ? 2 : 1
    }
    offset += 1
  }

  @_lifetime(self: copy self)
  private mutating func skipValue() {
    var depth = 0
    repeat {
      switch current {
      case UInt8(ascii: "\""): skipString()
      case UInt8(ascii: "{"), UInt8(ascii: "["):
        depth += 1
        offset += 1
      case UInt8(ascii: "}"), UInt8(ascii: "]"):
        depth -= 1
        offset += 1
      case UInt8(ascii: ","), UInt8(ascii: ":"), 0x20, 0x0a, 0x0d, 0x09: offset += 1
      default: skipScalar()
      }
    } while depth > 0 && offset < text.byteCount
  }

  @_lifetime(self: copy self)
  private mutating func skipScalar() {
    while offset < text.byteCount {
      switch current {
      case UInt8(ascii: ","), UInt8(ascii: "]"), UInt8(ascii: "}"), 0x20, 0x0a, 0x0d, 0x09: return
      default: offset += 1
      }
    }
  }
}
