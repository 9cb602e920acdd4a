package import DPUCore
import JSONText

// Where the broker finds the firmware.

extension Configuration {
  package struct HostLink: Equatable, Sendable {
    package var socket: Text = "/run/dpu/link.sock"
    /// Group that may connect, a name or a number; nil: that of the process.
    package var group: Text?
    /// Where a broker on another machine connects over TCP; nil: nowhere.
    package var listen: Endpoint?
    /// The only address that may connect there; nil: whoever reaches it.
    package var peer: Address?
  }

  /// `stackAddresses`: those that the DPU's own TCP/IP stack answers for.
  static func hostLink(
    _ field: JSONField, stackAddresses: [Network]
  ) throws(JSONField.Problem) -> HostLink {
    var hostLink = HostLink()
    var listen: JSONField?
    var peer: JSONField?
    for member in try field.members() {
      switch member.key {
      case "socket": hostLink.socket = try socketPath(member.field)
      case "group": hostLink.group = try member.field.text(maximumBytes: 32)
      case "listen": listen = member.field
      case "peer": peer = member.field
      default: throw member.unknown("socket, group, listen, peer")
      }
    }
    if let peer {
      let address = try hostLinkAddress(peer, peer.text())
      guard !address.isWildcard else { throw peer.problem("must be the address of one machine") }
      hostLink.peer = address
    }
    guard let listen else {
      if let peer { throw peer.problem("means nothing without \"listen\"") }
      return hostLink
    }
    let endpoint = try endpoint(listen)
    let isWildcard = endpoint.address.isWildcard
    if isWildcard, hostLink.peer == nil {
      throw listen.problem("every address of the machine needs \"peer\", who alone may connect")
    }
    for network in stackAddresses where network.address == endpoint.address {
      throw listen.problem("is an address of the DPU's own stack, not of the system it runs on")
    }
    // `::` takes IPv4 as well.
    if let address = hostLink.peer, address.isIPv4 != endpoint.address.isIPv4,
      !isWildcard || endpoint.address.isIPv4
    {
      throw peer!.problem("must be of the same family as \"listen\"")
    }
    hostLink.listen = endpoint
    return hostLink
  }

  private static func endpoint(_ field: JSONField) throws(JSONField.Problem) -> Endpoint {
    let bytes = try field.text().bytes
    guard let colon = bytes.lastIndex(of: UInt8(ascii: ":")) else { throw notEndpoint(field) }
    var host = bytes[..<colon]
    if host.first == UInt8(ascii: "[") {
      guard host.count > 2, host.last == UInt8(ascii: "]") else { throw notEndpoint(field) }
      host = host.dropFirst().dropLast()
      guard host.contains(UInt8(ascii: ":")) else { throw notEndpoint(field) }
    } else if host.contains(UInt8(ascii: ":")) {
      throw field.problem("an IPv6 address stands in brackets, for instance [fd78::2]:4841")
    }
    var port = 0
    for byte in bytes[(colon + 1)...] {
      guard let digit = decimalDigit(byte), port <= 65_535 else {
        throw field.problem("the port after : must be a number")
      }
      port = port * 10 + Int(digit)
    }
    guard (1...65_535).contains(port) else {
      throw field.problem("the port must lie between 1 and 65535")
    }
    return Endpoint(
      address: try hostLinkAddress(field, Text(bytes: Array(host))), port: UInt16(port))
  }

  private static func notEndpoint(_ field: JSONField) -> JSONField.Problem {
    field.problem("must be ADDRESS:PORT, for instance 192.168.100.2:4841")
  }

  /// An address of the system, which may be a loopback or a wildcard one.
  private static func hostLinkAddress(
    _ field: JSONField, _ text: Text
  ) throws(JSONField.Problem) -> Address {
    guard let address = Address(text) else {
      throw field.problem("\(text) is not an IP address")
    }
    guard !address.isLinkLocal else {
      throw field.problem("\(text) is the same on every link, and a link cannot be given")
    }
    return address
  }
}

extension Address {
  /// `0.0.0.0` or `::`.
  fileprivate var isWildcard: Bool { high == 0 && (low == 0 || low == 0xffff_0000_0000) }
}
