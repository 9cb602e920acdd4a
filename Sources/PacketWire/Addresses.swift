import DPUCore

/// A 48-bit Ethernet address in the low bits of a word.
package struct MACAddress: Equatable, Hashable, BitwiseCopyable, Sendable {
  package var value: UInt64

  @inline(__always)
  package init(_ value: UInt64) { self.value = value & 0xffff_ffff_ffff }

  package init(_ a: UInt8, _ b: UInt8, _ c: UInt8, _ d: UInt8, _ e: UInt8, _ f: UInt8) {
    let high = UInt64(a) << 40 | UInt64(b) << 32 | UInt64(c) << 24
    value = high | UInt64(d) << 16 | UInt64(e) << 8 | UInt64(f)
  }

  package static let zero = MACAddress(0)
  package static let broadcast = MACAddress(0xffff_ffff_ffff)

  /// Group bit: multicast, broadcast included.
  package var isMulticast: Bool { value >> 40 & 1 == 1 }

  /// Where IPv6 multicast to `group` goes: 33:33 and the last four bytes (RFC 2464 §7).
  package init(ipv6Multicast group: IPAddress) {
    value = 0x3333_0000_0000 | group.low & 0xffff_ffff
  }
}

/// An IPv4 or IPv6 address; IPv4 stands in its mapped form ::ffff:a.b.c.d (RFC 4291 §2.5.5.2).
package struct IPAddress: Equatable, Hashable, BitwiseCopyable, Sendable {
  package var high: UInt64
  package var low: UInt64

  @inline(__always)
  package init(high: UInt64, low: UInt64) {
    self.high = high
    self.low = low
  }

  @inline(__always)
  package init(v4: UInt32) {
    high = 0
    low = 0xffff_0000_0000 | UInt64(v4)
  }

  package init(_ a: UInt8, _ b: UInt8, _ c: UInt8, _ d: UInt8) {
    self.init(v4: UInt32(a) << 24 | UInt32(b) << 16 | UInt32(c) << 8 | UInt32(d))
  }

  /// `::`
  package static let unspecified = IPAddress(high: 0, low: 0)
  /// `ff02::1`
  package static let allNodes = IPAddress(high: 0xff02 << 48, low: 1)

  @inline(__always)
  package var isIPv4: Bool { high == 0 && low >> 32 == 0xffff }
  /// The last four bytes.
  @inline(__always)
  package var v4: UInt32 { UInt32(truncatingIfNeeded: low) }

  /// The unspecified address of either family.
  package var isUnspecified: Bool { high == 0 && (low == 0 || low == 0xffff_0000_0000) }
  /// A group, or the limited broadcast of IPv4.
  package var isMulticast: Bool {
    isIPv4 ? v4 >> 28 == 0xe || v4 == .max : high >> 56 == 0xff
  }
  /// fe80::/10
  package var isLinkLocal: Bool { high >> 54 == 0xfe80 >> 6 }

  /// Whether the first `length` bits equal those of `network`; bits count within the family.
  package func hasPrefix(_ network: IPAddress, length: Int) -> Bool {
    guard isIPv4 == network.isIPv4 else { return false }
    let bits = isIPv4 ? 96 + min(32, length) : min(128, length)
    let highMask: UInt64 = bits >= 64 ? .max : ~(.max >> UInt64(bits))
    let lowMask: UInt64 = bits <= 64 ? 0 : bits >= 128 ? .max : ~(.max >> UInt64(bits - 64))
    return (high ^ network.high) & highMask == 0 && (low ^ network.low) & lowMask == 0
  }

  /// ff02::1:ffXX:XXXX, the group a neighbour solicitation for this address goes to
  /// (RFC 4291 §2.7.1).
  package var solicitedNode: IPAddress {
    IPAddress(high: 0xff02 << 48, low: 0x1_ff00_0000 | low & 0xff_ffff)
  }

  /// fe80:: and the modified EUI-64 of `address` (RFC 4291 appendix A).
  package init(linkLocalOf address: MACAddress) {
    let vendor = (address.value >> 24) ^ 0x02_0000
    high = 0xfe80 << 48
    low = vendor << 40 | 0xff_fe00_0000 | address.value & 0xff_ffff
  }
}

/// One end of a connection.
package struct SocketAddress: Equatable, Hashable, BitwiseCopyable, Sendable {
  package var ip: IPAddress
  package var port: UInt16

  @inline(__always)
  package init(ip: IPAddress, port: UInt16) {
    self.ip = ip
    self.port = port
  }
}

extension RawSpan {
  @inline(__always)
  package func macAddress(at offset: Int) -> MACAddress {
    MACAddress(UInt64(beUInt16(at: offset)) << 32 | UInt64(beUInt32(at: offset + 2)))
  }
  /// Four bytes.
  @inline(__always)
  package func ipv4Address(at offset: Int) -> IPAddress { IPAddress(v4: beUInt32(at: offset)) }
  /// Sixteen bytes.
  @inline(__always)
  package func ipv6Address(at offset: Int) -> IPAddress {
    IPAddress(high: beUInt64(at: offset), low: beUInt64(at: offset + 8))
  }
}

extension MutableRawSpan {
  @_lifetime(self: copy self)
  @inline(__always)
  package mutating func store(_ address: MACAddress, at offset: Int) {
    storeBE(UInt16(truncatingIfNeeded: address.value >> 32), at: offset)
    storeBE(UInt32(truncatingIfNeeded: address.value), at: offset + 2)
  }
  /// Sixteen bytes; for IPv4 store `address.v4`.
  @_lifetime(self: copy self)
  @inline(__always)
  package mutating func store(_ address: IPAddress, at offset: Int) {
    storeBE(address.high, at: offset)
    storeBE(address.low, at: offset + 8)
  }
}
