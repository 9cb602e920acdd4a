import DPUCore

/// Packets of the protocol that p4/pktgen.p4 speaks, and the hashes that its data packets carry.
enum PktgenPacket {
  static let etherType: UInt16 = 0x88b5
  static let start: UInt8 = 1
  static let stop: UInt8 = 2
  static let query: UInt8 = 3
  static let clear: UInt8 = 4
  static let report: UInt8 = 0x83
  /// Ethernet, the header of every packet and the pattern.
  static let smallest = 14 + 16 + 32
  static let allPorts = 0xffff

  static func bytes(_ value: UInt32) -> [UInt8] {
    [24, 16, 8, 0].map { UInt8(truncatingIfNeeded: value >> UInt32($0)) }
  }

  /// Ethernet and the header of every packet.
  static func header(
    _ op: UInt8, stream: UInt8, port: Int = 0, to destination: [UInt8], from source: [UInt8]
  ) -> [UInt8] {
    destination + source + [UInt8(etherType >> 8), UInt8(etherType & 255), op, stream]
      + [UInt8(truncatingIfNeeded: port >> 8), UInt8(truncatingIfNeeded: port)]
      + Array(repeating: 0, count: 12)
  }

  /// xor of the hashes of all data packets of a stream.
  static func hash(stream: UInt8, count: Int, pattern: [UInt8]) -> UInt32 {
    var sum: UInt32 = 0
    var input = [stream, 0, 0, 0, 0] + pattern
    for number in 0..<UInt32(count) {
      input[1] = UInt8(truncatingIfNeeded: number >> 24)
      input[2] = UInt8(truncatingIfNeeded: number >> 16)
      input[3] = UInt8(truncatingIfNeeded: number >> 8)
      input[4] = UInt8(truncatingIfNeeded: number)
      sum ^= CRC32.of(input)
    }
    return sum
  }

  static func hexadecimal(_ bytes: [UInt8]) -> String {
    let digits = Array("0123456789abcdef".utf8)
    var text: [UInt8] = []
    for byte in bytes { text += [digits[Int(byte >> 4)], digits[Int(byte & 15)]] }
    return String(decoding: text, as: UTF8.self)
  }

  /// Nil for anything but pairs of hexadecimal digits; colons between them are overlooked.
  static func bytes(hexadecimal text: String) -> [UInt8]? {
    let digits = text.filter { $0 != ":" }
    guard digits.count.isMultiple(of: 2) else { return nil }
    var bytes: [UInt8] = []
    var rest = digits[...]
    while !rest.isEmpty {
      guard let byte = UInt8(rest.prefix(2), radix: 16) else { return nil }
      bytes.append(byte)
      rest = rest.dropFirst(2)
    }
    return bytes
  }
}

/// What a stream has done, as a REPORT says it or as the registers have it.
struct PktgenReport {
  var stream: Int
  var wanted = 0
  var sent = 0
  var received = 0
  var hashedRight = 0
  var hashedWrong = 0
  var hash = 0
  var expectedHash = 0
  var lastSequence = 0
  var isActive = false
  var isComplete = false
  var reordered = 0

  init(stream: Int) { self.stream = stream }

  /// Reads a REPORT; nil when the packet is none.
  init?(_ packet: [UInt8]) {
    guard packet.count >= 62, packet[12] == 0x88, packet[13] == 0xb5,
      packet[14] == PktgenPacket.report
    else { return nil }
    func word(_ place: Int) -> Int {
      packet[place..<place + 4].reduce(0) { $0 << 8 | Int($1) }
    }
    stream = Int(packet[15])
    sent = word(30)
    received = word(34)
    hashedRight = word(38)
    hashedWrong = word(42)
    hash = word(46)
    expectedHash = word(50)
    lastSequence = word(54)
    isActive = packet[58] != 0
    isComplete = packet[59] != 0
    reordered = Int(packet[60]) << 8 | Int(packet[61])
    wanted = sent
  }

  /// Sent and not received; while the stream runs some are on their way.
  var lost: Int { max(0, sent - received) }
  var hashed: Int { hashedRight + hashedWrong }

  var value: JSONValue {
    .object([
      .init("stream", stream), .init("active", JSONValue.boolean(isActive)),
      .init("wanted", wanted), .init("sent", sent), .init("received", received),
      .init("hashed", hashed), .init("matched", hashedRight), .init("wrong", hashedWrong),
      .init("lost", lost), .init("reordered", reordered), .init("hash", hash),
      .init("expectedHash", expectedHash), .init("complete", JSONValue.boolean(isComplete)),
    ])
  }
}
