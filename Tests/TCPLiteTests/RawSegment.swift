import DPUCore
import PacketWire

/// A TCP segment as a test writes and reads it: its own encoder and decoder, byte by byte, so
/// that a mistake of PacketWire does not cancel itself out.
struct RawSegment: Equatable, CustomStringConvertible {
  var sequence: UInt32 = 0
  var acknowledgment: UInt32 = 0
  var flags: String = "A"
  var window: Int = 65_535
  var options: [UInt8] = []
  var payload: [UInt8] = []
  var sourcePort: UInt16 = 40_000
  var destinationPort: UInt16 = 1_883

  static let flagLetters: [(Character, UInt8)] = [
    ("F", 1), ("S", 2), ("R", 4), ("P", 8), ("A", 16), ("U", 32),
  ]

  var flagBits: UInt8 {
    flags.reduce(0) { bits, letter in
      bits | (Self.flagLetters.first { $0.0 == letter }?.1 ?? 0)
    }
  }

  func has(_ letter: Character) -> Bool { flags.contains(letter) }

  var description: String {
    "\(flags) seq=\(sequence) ack=\(acknowledgment) win=\(window) len=\(payload.count) opt=\(options)"
  }

  /// The value of the option `kind`, without kind and length.
  func option(_ kind: UInt8) -> [UInt8]? {
    var i = 0
    while i < options.count {
      if options[i] == 0 { return nil }
      if options[i] == 1 {
        i += 1
        continue
      }
      let length = Int(options[i + 1])
      if options[i] == kind { return Array(options[i + 2..<i + length]) }
      i += length
    }
    return nil
  }

  var timestamps: (value: UInt32, echo: UInt32)? {
    option(8).map { (word($0, 0), word($0, 4)) }
  }

  var sackBlocks: [(UInt32, UInt32)] {
    guard let bytes = option(5) else { return [] }
    return stride(from: 0, to: bytes.count, by: 8).map { (word(bytes, $0), word(bytes, $0 + 4)) }
  }
}

func word(_ bytes: [UInt8], _ at: Int) -> UInt32 {
  bytes[at..<at + 4].reduce(0) { $0 << 8 | UInt32($1) }
}
func half(_ bytes: [UInt8], _ at: Int) -> UInt16 { UInt16(bytes[at]) << 8 | UInt16(bytes[at + 1]) }
func be(_ value: UInt32) -> [UInt8] {
  [UInt8(value >> 24), UInt8(value >> 16 & 255), UInt8(value >> 8 & 255), UInt8(value & 255)]
}
func be(_ value: UInt16) -> [UInt8] { [UInt8(value >> 8), UInt8(value & 255)] }

/// RFC 1071, the slow way.
func slowChecksum(_ bytes: [UInt8]) -> UInt16 {
  var sum: UInt64 = 0
  for i in stride(from: 0, to: bytes.count, by: 2) {
    sum += UInt64(bytes[i]) << 8 | (i + 1 < bytes.count ? UInt64(bytes[i + 1]) : 0)
  }
  while sum > 0xffff { sum = (sum & 0xffff) + (sum >> 16) }
  return ~UInt16(sum)
}

func addressBytes(_ ip: IPAddress) -> [UInt8] {
  ip.isIPv4
    ? be(ip.v4)
    : be(UInt32(ip.high >> 32)) + be(UInt32(ip.high & 0xffff_ffff)) + be(UInt32(ip.low >> 32))
      + be(UInt32(ip.low & 0xffff_ffff))
}

func macBytes(_ mac: MACAddress) -> [UInt8] {
  (0..<6).map { UInt8(mac.value >> UInt64(40 - 8 * $0) & 255) }
}

/// Addresses of a peer and of the stack under test.
struct Link {
  var clientMAC = MACAddress(0x02, 0, 0, 0, 0, 0x22)
  var serverMAC = MACAddress(0x02, 0, 0, 0, 0, 0x11)
  var client = IPAddress(10, 77, 0, 2)
  var server = IPAddress(10, 77, 0, 1)

  static let v6 = Link(
    client: IPAddress(high: 0xfd77 << 48, low: 2), server: IPAddress(high: 0xfd77 << 48, low: 1))

  /// An IP packet from the client to the server, with its Ethernet header.
  func frame(protocolNumber: UInt8, _ payload: [UInt8], to destination: IPAddress? = nil) -> [UInt8]
  {
    let target = destination ?? server
    let ethernet = macBytes(serverMAC) + macBytes(clientMAC)
    if client.isIPv4 {
      var header: [UInt8] = [0x45, 0] + be(UInt16(20 + payload.count)) + [0, 0, 0x40, 0, 64]
      header += [protocolNumber, 0, 0] + addressBytes(client) + addressBytes(target)
      header.replaceSubrange(10..<12, with: be(slowChecksum(header)))
      return ethernet + [0x08, 0x00] + header + payload
    }
    let header: [UInt8] = [0x60, 0, 0, 0] + be(UInt16(payload.count)) + [protocolNumber, 64]
    return ethernet + [0x86, 0xdd] + header + addressBytes(client) + addressBytes(target) + payload
  }

  func pseudoHeader(_ count: Int, protocolNumber: UInt8) -> [UInt8] {
    let addresses = addressBytes(client) + addressBytes(server)
    return client.isIPv4
      ? addresses + [0, protocolNumber] + be(UInt16(count))
      : addresses + be(UInt32(count)) + [0, 0, 0, protocolNumber]
  }

  func frame(_ segment: RawSegment) -> [UInt8] {
    var options = segment.options
    while options.count % 4 != 0 { options.append(0) }
    var bytes = be(segment.sourcePort) + be(segment.destinationPort)
    bytes += be(segment.sequence) + be(segment.acknowledgment)
    bytes += [UInt8((20 + options.count) / 4) << 4, segment.flagBits] + be(UInt16(segment.window))
    bytes += [0, 0, 0, 0] + options + segment.payload
    let sum = slowChecksum(pseudoHeader(bytes.count, protocolNumber: 6) + bytes)
    bytes.replaceSubrange(16..<18, with: be(sum))
    return frame(protocolNumber: 6, bytes)
  }

  /// The segment in a frame of the server's; nil when it is something else. Traps, in effect
  /// failing the test, when a length or checksum is wrong.
  func segment(in frame: [UInt8]) -> RawSegment? {
    let type = half(frame, 12)
    guard type == 0x0800 && frame[14 + 9] == 6 || type == 0x86dd && frame[14 + 6] == 6 else {
      return nil
    }
    let segment = intactSegment(in: frame)
    precondition(segment != nil, "the stack sent a damaged segment")
    return segment
  }

  /// The same for a frame that a network may have damaged: nil when anything is wrong.
  func intactSegment(in frame: [UInt8]) -> RawSegment? {
    guard frame.count >= 34, Array(frame[0..<6]) == macBytes(clientMAC) else { return nil }
    let isIPv4 = half(frame, 12) == 0x0800
    let start = 14 + (isIPv4 ? 20 : 40)
    guard frame.count >= start + 20 else { return nil }
    if isIPv4 {
      guard frame[14] == 0x45, frame[14 + 9] == 6, slowChecksum(Array(frame[14..<34])) == 0,
        Int(half(frame, 16)) == frame.count - 14
      else { return nil }
    } else {
      guard half(frame, 12) == 0x86dd, frame[14] >> 4 == 6, frame[14 + 6] == 6,
        Int(half(frame, 18)) == frame.count - start
      else { return nil }
    }
    let bytes = Array(frame[start...])
    guard slowChecksum(pseudoHeader(bytes.count, protocolNumber: 6) + bytes) == 0 else {
      return nil
    }
    let header = Int(bytes[12] >> 4) * 4
    guard header >= 20, header <= bytes.count else { return nil }
    var flags = ""
    for (letter, bit) in RawSegment.flagLetters where bytes[13] & bit != 0 { flags.append(letter) }
    return RawSegment(
      sequence: word(bytes, 4), acknowledgment: word(bytes, 8), flags: flags,
      window: Int(half(bytes, 14)), options: Array(bytes[20..<header]),
      payload: Array(bytes[header...]), sourcePort: half(bytes, 0), destinationPort: half(bytes, 2))
  }

  func arpReply() -> [UInt8] {
    macBytes(serverMAC) + macBytes(clientMAC) + [8, 6, 0, 1, 8, 0, 6, 4, 0, 2]
      + macBytes(clientMAC) + addressBytes(client) + macBytes(serverMAC) + addressBytes(server)
  }

  func arpRequest() -> [UInt8] {
    [UInt8](repeating: 255, count: 6) + macBytes(clientMAC) + [8, 6, 0, 1, 8, 0, 6, 4, 0, 1]
      + macBytes(clientMAC) + addressBytes(client) + [0, 0, 0, 0, 0, 0] + addressBytes(server)
  }

  /// A neighbour solicitation for the server, from the client, which teaches both.
  func solicitation() -> [UInt8] {
    icmpv6(
      [135, 0, 0, 0, 0, 0, 0, 0] + addressBytes(server) + [1, 1] + macBytes(clientMAC),
      hopLimit: 255)
  }

  func icmpv6(_ message: [UInt8], hopLimit: UInt8 = 64) -> [UInt8] {
    var message = message
    let sum = slowChecksum(pseudoHeader(message.count, protocolNumber: 58) + message)
    message.replaceSubrange(2..<4, with: be(sum))
    var bytes = frame(protocolNumber: 58, message)
    bytes[14 + 7] = hopLimit
    return bytes
  }
}
