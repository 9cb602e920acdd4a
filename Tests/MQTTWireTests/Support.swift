import DPUCore

@testable import MQTTWire

/// Runs a writer into exactly `size` bytes; it returns where it ended. They start as 0xee, so that a gap shows.
func written(_ size: Int, _ write: (inout MutableRawSpan) -> Int) -> [UInt8] {
  var bytes = [UInt8](repeating: 0xee, count: size)
  var elements = bytes.mutableSpan
  var out = elements.mutableBytes
  let end = write(&out)
  precondition(end == size, "wrote \(end) bytes of \(size)")
  return bytes
}

func array(_ bytes: RawSpan) -> [UInt8] {
  (0..<bytes.byteCount).map { bytes.byte(at: $0) }
}

/// Bytes written down: pairs of hexadecimal digits, and text between quotes with the two bytes of
/// its length in front. `8206 0001 'a/b' 00` is a SUBSCRIBE.
func packet(_ text: String) -> [UInt8] {
  var bytes: [UInt8] = []
  var isText = false
  for part in text.split(separator: "'", omittingEmptySubsequences: false) {
    if isText {
      bytes += [UInt8(part.utf8.count >> 8), UInt8(part.utf8.count & 255)] + Array(part.utf8)
    } else {
      let digits = part.filter { $0 != " " }.map { UInt8($0.hexDigitValue!) }
      precondition(digits.count % 2 == 0, "odd digits in \(part)")
      for i in stride(from: 0, to: digits.count, by: 2) {
        bytes.append(digits[i] << 4 | digits[i + 1])
      }
    }
    isText.toggle()
  }
  return bytes
}

/// A property as plain data.
struct TestProperty: Equatable {
  var identifier: PropertyIdentifier
  var integer: UInt32 = 0
  var name: [UInt8] = []
  var value: [UInt8] = []

  func encode(at offset: Int, into out: inout MutableRawSpan) -> Int {
    switch identifier.kind {
    case .flag, .twoBytes, .fourBytes, .variable:
      Property(identifier, integer).write(into: &out, at: offset)
    case .string, .binary: Property(identifier, value.span.bytes).write(into: &out, at: offset)
    case .stringPair:
      Property(user: name.span.bytes, value.span.bytes).write(into: &out, at: offset)
    }
  }

  var encodedSize: Int {
    switch identifier.kind {
    case .flag, .twoBytes, .fourBytes, .variable: Property(identifier, integer).encodedSize
    case .string, .binary: Property(identifier, value.span.bytes).encodedSize
    case .stringPair: Property(user: name.span.bytes, value.span.bytes).encodedSize
    }
  }
}

func encoded(_ properties: [TestProperty]) -> [UInt8] {
  written(properties.reduce(0) { $0 + $1.encodedSize }) { out in
    var at = 0
    for property in properties { at = property.encode(at: at, into: &out) }
    return at
  }
}

func decoded(_ list: borrowing PropertyList) -> [TestProperty] {
  var found: [TestProperty] = []
  var properties = list.makeIterator()
  while let property = properties.next() {
    found.append(
      TestProperty(
        identifier: property.identifier, integer: property.integer, name: array(property.name),
        value: array(property.value)))
  }
  return found
}

/// Valid parts of packets, from a seed.
struct Generator {
  var random: SplitMix64
  var version: ProtocolVersion

  mutating func below(_ n: Int) -> Int { Int.random(in: 0..<n, using: &random) }
  mutating func flip() -> Bool { Bool.random(using: &random) }
  mutating func identifier() -> UInt16 { UInt16.random(in: 1...UInt16.max, using: &random) }
  mutating func qos() -> QoS { QoS.allCases.randomElement(using: &random)! }

  mutating func bytes() -> [UInt8] {
    // Around the steps of the length field as well.
    let length = [0, 1, below(20), below(300), 100 + below(40), 16_300 + below(100)][below(6)]
    return (0..<length).map { _ in UInt8.random(in: 0...255, using: &random) }
  }

  mutating func string() -> [UInt8] {
    let scalars: [Unicode.Scalar] = [
      "a", "é", "€", "\u{FEFF}", "\u{10FFFF}", "\u{D7FF}", "\u{E000}",
    ]
    var text = String.UnicodeScalarView()
    for _ in 0..<below(30) { text.append(scalars[below(scalars.count)]) }
    return Array(String(text).utf8)
  }

  mutating func topic() -> [UInt8] {
    let words = ["", "a", "sport", "$SYS", "é€"]
    let name = (0...below(5)).map { _ in words[below(words.count)] }.joined(separator: "/")
    return Array((name.isEmpty ? "/" : name).utf8)
  }

  mutating func filter() -> [UInt8] {
    let head = version == .v5 && below(4) == 0 ? "$share/group/" : ""
    let tail = ["", "/#", "/+", "/+/b"][below(4)]
    return Array(head.utf8) + topic() + Array(tail.utf8)
  }

  /// A random choice of what may stand in `section`, in random order.
  mutating func properties(_ section: PropertySection, from sender: Sender) -> [TestProperty] {
    guard version == .v5 else { return [] }
    var chosen: [TestProperty] = []
    for identifier in PropertyIdentifier.allCases.shuffled(using: &random) {
      guard identifier.isAllowed(in: section, from: sender), below(3) == 0 else { continue }
      if identifier == .subscriptionIdentifier, section == .publish, sender == .client { continue }
      let repeats = identifier.mayRepeat(in: section) ? 1 + below(3) : 1
      for _ in 0..<repeats { chosen.append(property(identifier)) }
    }
    let has = { (id: PropertyIdentifier) in chosen.contains { $0.identifier == id } }
    if section == .auth || has(.authenticationData), !has(.authenticationMethod) {
      chosen.append(property(.authenticationMethod))
    }
    return chosen
  }

  mutating func property(_ identifier: PropertyIdentifier) -> TestProperty {
    switch identifier.kind {
    case .flag: TestProperty(identifier: identifier, integer: UInt32(below(2)))
    case .twoBytes: TestProperty(identifier: identifier, integer: UInt32(self.identifier()))
    case .fourBytes:
      TestProperty(
        identifier: identifier, integer: UInt32.random(in: 1...UInt32.max, using: &random))
    case .variable:
      TestProperty(
        identifier: identifier,
        integer: [1, 127, 128, 16_383, 16_384, 2_097_151, 2_097_152, 268_435_455][below(8)])
    case .string:
      TestProperty(
        identifier: identifier, value: identifier == .responseTopic ? topic() : string())
    case .binary: TestProperty(identifier: identifier, value: bytes())
    case .stringPair: TestProperty(identifier: .userProperty, name: string(), value: string())
    }
  }
}
