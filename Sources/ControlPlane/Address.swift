package import DPUCore

/// An IP address as sixteen bytes in network order; IPv4 is mapped, `::ffff:a.b.c.d`.
package struct Address: Equatable, BitwiseCopyable, Sendable {
  package var high: UInt64
  package var low: UInt64

  package init(high: UInt64, low: UInt64) {
    self.high = high
    self.low = low
  }

  package init(ipv4: UInt32) { self.init(high: 0, low: 0xffff_0000_0000 | UInt64(ipv4)) }

  package var isIPv4: Bool { high == 0 && low >> 32 == 0xffff }
  package var ipv4: UInt32 { UInt32(truncatingIfNeeded: low) }

  /// Whether the first `prefix` bits (of 32 for IPv4) are those of `other`.
  package func isInNetwork(of other: Address, prefix: Int) -> Bool {
    guard isIPv4 == other.isIPv4 else { return false }
    let bits = isIPv4 ? 96 + prefix : prefix
    // Shifts of 64 and more give zero here, as wanted.
    let highMask = ~(UInt64.max >> UInt64(min(bits, 64)))
    let lowMask = bits <= 64 ? 0 : ~(UInt64.max >> UInt64(bits - 64))
    return (high ^ other.high) & highMask == 0 && (low ^ other.low) & lowMask == 0
  }

  /// Whether one host may have this address: not unspecified, loopback, multicast or broadcast.
  package var isHostAddress: Bool {
    if isIPv4 {
      let first = ipv4 >> 24
      return first != 0 && first != 127 && first < 224
    }
    return high >> 56 != 0xff && !(high == 0 && low <= 1)
  }

  var isLinkLocal: Bool { !isIPv4 && high >> 54 == 0xfe80 >> 6 }
}

// MARK: Text

extension Address {
  /// Dotted IPv4, or IPv6 by RFC 4291, section 2.2; nil for anything else. A zone (`%eth0`) is not
  /// part of an address.
  package init?(_ text: Text) {
    let bytes = text.bytes
    if bytes.contains(UInt8(ascii: ":")) {
      guard let parsed = Self.parseIPv6(bytes) else { return nil }
      self = parsed
    } else {
      guard let value = Self.parseIPv4(bytes[...]) else { return nil }
      self.init(ipv4: value)
    }
  }

  private static func parseIPv4(_ bytes: ArraySlice<UInt8>) -> UInt32? {
    var value: UInt32 = 0
    var parts = 0
    var part: UInt32 = 0
    var digits = 0
    for byte in bytes {
      if byte == UInt8(ascii: ".") {
        guard digits > 0, parts < 3 else { return nil }
        value = value << 8 | part
        parts += 1
        part = 0
        digits = 0
      } else {
        // A leading zero is refused: some programs take what follows as octal.
        guard let digit = decimalDigit(byte), digits == 0 || part != 0 else { return nil }
        part = part * 10 + UInt32(digit)
        digits += 1
        guard part <= 255 else { return nil }
      }
    }
    return parts == 3 && digits > 0 ? value << 8 | part : nil
  }

  private static func parseIPv6(_ bytes: [UInt8]) -> Address? {
    var groups: [UInt16] = []
    /// Where `::` stands, in groups.
    var gap: Int?
    var index = 0
    if bytes.starts(with: [UInt8(ascii: ":"), UInt8(ascii: ":")]) {
      gap = 0
      index = 2
    }
    while index < bytes.count {
      guard groups.count < 8 else { return nil }
      var end = index
      while end < bytes.count, bytes[end] != UInt8(ascii: ":") { end += 1 }
      let group = bytes[index..<end]
      if group.contains(UInt8(ascii: ".")) {
        guard end == bytes.count, groups.count <= 6, let ipv4 = parseIPv4(group) else { return nil }
        groups += [UInt16(ipv4 >> 16), UInt16(truncatingIfNeeded: ipv4)]
        break
      }
      guard let value = parseHexGroup(group) else { return nil }
      groups.append(value)
      if end == bytes.count { break }
      index = end + 1
      if index == bytes.count { return nil }
      if bytes[index] == UInt8(ascii: ":") {
        guard gap == nil else { return nil }
        gap = groups.count
        index += 1
      }
    }
    guard gap == nil ? groups.count == 8 : groups.count < 8 else { return nil }
    let zeros = [UInt16](repeating: 0, count: 8 - groups.count)
    groups.insert(contentsOf: zeros, at: gap ?? 8)
    var address = Address(high: 0, low: 0)
    for index in 0..<4 {
      address.high = address.high << 16 | UInt64(groups[index])
      address.low = address.low << 16 | UInt64(groups[index + 4])
    }
    return address
  }

  private static func parseHexGroup(_ bytes: ArraySlice<UInt8>) -> UInt16? {
    guard !bytes.isEmpty, bytes.count <= 4 else { return nil }
    var value: UInt16 = 0
    for byte in bytes {
      guard let digit = hexDigit(byte) else { return nil }
      value = value << 4 | UInt16(digit)
    }
    return value
  }

  /// Dotted IPv4, or IPv6 as RFC 5952 recommends it: lower case, the longest run of two or more
  /// zero groups written as `::`.
  package var text: Text {
    var text = Text()
    if isIPv4 {
      for shift in [UInt32(24), 16, 8, 0] {
        if shift < 24 { text.append(byte: UInt8(ascii: ".")) }
        text.append(ipv4 >> shift & 255)
      }
      return text
    }
    func group(_ index: Int) -> UInt64 {
      (index < 4 ? high : low) >> UInt64(48 - index % 4 * 16) & 0xffff
    }
    var gap = 0..<0
    var start = 0
    while start < 8 {
      var end = start
      while end < 8, group(end) == 0 { end += 1 }
      if end - start > max(1, gap.count) { gap = start..<end }
      start = end + 1
    }
    var index = 0
    while index < 8 {
      if !gap.isEmpty, index == gap.lowerBound {
        text.append("::" as StaticString)
        index = gap.upperBound
        continue
      }
      if index > 0, gap.isEmpty || index != gap.upperBound { text.append(byte: UInt8(ascii: ":")) }
      text.append(group(index), radix: 16, width: 1)
      index += 1
    }
    return text
  }
}

/// A MAC address in the low 48 bits, the first byte highest.
package struct HardwareAddress: Equatable, BitwiseCopyable, Sendable {
  package var rawValue: UInt64
  package init(rawValue: UInt64) { self.rawValue = rawValue }

  /// Six pairs of hexadecimal digits with colons; nil for anything else.
  package init?(_ text: Text) {
    guard text.bytes.count == 17 else { return nil }
    rawValue = 0
    for (index, byte) in text.bytes.enumerated() {
      if index % 3 == 2 {
        guard byte == UInt8(ascii: ":") else { return nil }
      } else {
        guard let digit = hexDigit(byte) else { return nil }
        rawValue = rawValue << 4 | UInt64(digit)
      }
    }
  }

  /// One station: not a group address, not zero.
  package var isStation: Bool { rawValue != 0 && rawValue >> 40 & 1 == 0 }

  package var text: Text {
    var text = Text()
    for shift in [UInt64(40), 32, 24, 16, 8, 0] {
      if shift < 40 { text.append(byte: UInt8(ascii: ":")) }
      text.append(rawValue >> shift & 255, radix: 16, width: 2)
    }
    return text
  }
}

func decimalDigit(_ byte: UInt8) -> UInt8? {
  byte >= UInt8(ascii: "0") && byte <= UInt8(ascii: "9") ? byte - UInt8(ascii: "0") : nil
}

private func hexDigit(_ byte: UInt8) -> UInt8? {
  if let digit = decimalDigit(byte) { return digit }
  let lower = byte | 0x20
  return lower >= UInt8(ascii: "a") && lower <= UInt8(ascii: "f")
    ? lower - UInt8(ascii: "a") + 10 : nil
}
