import DPUCore

/// PINGREQ (section 3.12) and PINGRESP (section 3.13): two bytes.
package enum Ping {
  package static let encodedSize = 2

  /// Accepts the packet of `type`, PINGREQ or PINGRESP, at the start of `bytes`.
  package static func check(
    _ bytes: RawSpan, _ type: PacketType, version: ProtocolVersion
  ) throws(PacketFailure) {
    let sender: Sender = type == .pingreq ? .client : .server
    let header = try FixedHeader(bytes, expecting: type, version: version, from: sender)
    guard header.remainingLength == 0 else { throw .trailingBytes }
  }

  /// Writes PINGREQ or PINGRESP to the start of `out`; returns its size. Traps when it does not
  /// fit.
  @discardableResult
  @_lifetime(out: copy out)
  package static func write(_ type: PacketType, into out: inout MutableRawSpan) -> Int {
    invariant(type == .pingreq || type == .pingresp, "only PINGREQ and PINGRESP are empty")
    return out.put(type, remainingLength: 0)
  }
}
