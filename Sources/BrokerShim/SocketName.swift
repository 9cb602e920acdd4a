import HostLink

// `struct sockaddr_in` and `sockaddr_in6` as bytes: family (native order), port, address.

enum SocketName {
  private enum Offset {
    static let family = 0, port = 2, ipv4 = 4, ipv6 = 8
    static let ipv4Length = 16, ipv6Length = 28
  }

  static func family(_ name: UnsafeRawPointer, _ length: UInt32) -> UInt16? {
    unsafe length >= 2 ? name.loadUnaligned(as: UInt16.self) : nil
  }

  /// The address of a TCP socket, nil for another family.
  static func read(_ name: UnsafeRawPointer, _ length: UInt32) -> LinkAddress? {
    guard let family = unsafe family(name, length) else { return nil }
    if family == System.familyIPv4, Int(length) >= Offset.ipv4Length {
      let port = unsafe name.loadUnaligned(fromByteOffset: Offset.port, as: UInt16.self)
      let address = unsafe name.loadUnaligned(fromByteOffset: Offset.ipv4, as: UInt32.self)
      return LinkAddress(ipv4: UInt32(bigEndian: address), port: UInt16(bigEndian: port))
    }
    guard family == System.familyIPv6, Int(length) >= Offset.ipv6Length else { return nil }
    let port = unsafe name.loadUnaligned(fromByteOffset: Offset.port, as: UInt16.self)
    let high = unsafe name.loadUnaligned(fromByteOffset: Offset.ipv6, as: UInt64.self)
    let low = unsafe name.loadUnaligned(fromByteOffset: Offset.ipv6 + 8, as: UInt64.self)
    return LinkAddress(
      high: UInt64(bigEndian: high), low: UInt64(bigEndian: low), port: UInt16(bigEndian: port))
  }

  /// Writes `address` as the kernel does for a socket of `family`: cut to the caller's room, the
  /// full length returned. False when a pointer is missing or the length negative.
  static func write(
    _ address: LinkAddress, family: UInt16, to name: Bytes, _ length: Length
  ) -> Bool {
    guard let name = unsafe name, let length = unsafe length,
      unsafe Int32(bitPattern: length.pointee) >= 0
    else { return false }
    var bytes = InlineArray<28, UInt8>(repeating: 0)
    func put(_ value: UInt64, _ count: Int, at offset: Int) {
      for i in 0..<count {
        bytes[offset + i] = UInt8(truncatingIfNeeded: value >> UInt64((count - 1 - i) * 8))
      }
    }
    bytes[0] = UInt8(truncatingIfNeeded: family)  // little-endian machines only
    put(UInt64(address.port), 2, at: Offset.port)
    var full = Offset.ipv4Length
    if family == System.familyIPv4 {
      put(address.low & 0xffff_ffff, 4, at: Offset.ipv4)
    } else {
      put(address.high, 8, at: Offset.ipv6)
      put(address.low, 8, at: Offset.ipv6 + 8)
      full = Offset.ipv6Length
    }
    let room = unsafe min(full, Int(length.pointee))
    for i in 0..<room { unsafe name.storeBytes(of: bytes[i], toByteOffset: i, as: UInt8.self) }
    unsafe length.pointee = UInt32(full)
    return true
  }

  /// The local address of a real socket.
  static func local(of descriptor: Int32) -> LinkAddress? {
    var bytes = InlineArray<32, UInt64>(repeating: 0)
    var length: UInt32 = 256
    var span = bytes.mutableSpan
    return unsafe span.withUnsafeMutableBytes { buffer in
      guard unsafe Real.getsockname(descriptor, buffer.baseAddress!, &length) == 0 else {
        return nil
      }
      return unsafe read(buffer.baseAddress!, length)
    }
  }

  /// An integer socket option, nil when the socket does not have it.
  static func option(_ descriptor: Int32, _ level: Int32, _ name: Int32) -> Int32? {
    var value: Int32 = 0
    var length: UInt32 = 4
    let result = unsafe withUnsafeMutableBytes(of: &value) {
      unsafe Real.getsockopt(descriptor, level, name, $0.baseAddress!, &length)
    }
    return result == 0 ? value : nil
  }
}
