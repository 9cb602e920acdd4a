/// Frames as bytes.
enum Packet {
  static func mac(_ last: UInt8) -> [UInt8] { [2, 0, 0, 0, 0, last] }

  /// Ethernet and IPv4 in front of `payload`; checksums are zero, as nobody here looks at them.
  static func ipv4(
    from source: [UInt8], to destination: [UInt8], protocol number: UInt8, _ payload: [UInt8],
    ethernet: (to: UInt8, from: UInt8) = (2, 1)
  ) -> [UInt8] {
    let length = 20 + payload.count
    return mac(ethernet.to) + mac(ethernet.from) + [0x08, 0x00]
      + [0x45, 0, UInt8(length >> 8), UInt8(length & 255), 0, 0, 0, 0, 64, number, 0, 0]
      + source + destination + payload
  }

  static func tcp(
    from source: [UInt8], _ sourcePort: UInt16, to destination: [UInt8], _ port: UInt16,
    flags: UInt8 = 2
  ) -> [UInt8] {
    ipv4(
      from: source, to: destination, protocol: 6,
      pair(sourcePort) + pair(port) + [0, 0, 0, 0, 0, 0, 0, 0, 0x50, flags, 16, 0, 0, 0, 0, 0])
  }

  static func udp(
    from source: [UInt8], _ sourcePort: UInt16, to destination: [UInt8], _ port: UInt16
  ) -> [UInt8] {
    ipv4(
      from: source, to: destination, protocol: 17,
      pair(sourcePort) + pair(port) + [0, 8, 0, 0])
  }

  static func arp() -> [UInt8] { mac(2) + mac(1) + [0x08, 0x06] + Array(repeating: 0, count: 28) }

  static func pair(_ value: UInt16) -> [UInt8] { [UInt8(value >> 8), UInt8(value & 255)] }

  static func hex(_ bytes: [UInt8]) -> String {
    bytes.map { String($0 >> 4, radix: 16) + String($0 & 15, radix: 16) }.joined()
  }
}

/// One text of several, where `+` would take the compiler too long.
func joined(_ parts: String...) -> String { parts.joined() }
