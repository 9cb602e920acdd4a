package import DPUCore
package import JSONText

/// What is wrong with a configuration, and where.
package struct ConfigurationError: Error, Equatable, Sendable {
  package var position: TextPosition
  /// `$.ports[1].mtu`
  package var path: Text
  package var message: Text

  /// `FILE:LINE:COLUMN: PATH: MESSAGE`
  package func text(file: Text) -> Text {
    "\(file):\(position.line):\(position.column): \(path): \(message)"
  }
}

extension Configuration {
  /// The version of the file's layout that is understood.
  package static let schema = 1

  /// Reads a configuration file's contents. Strict: what is unknown, of the wrong type, repeated,
  /// out of range or contradictory is an error with its place.
  package static func parse(_ text: RawSpan) throws(ConfigurationError) -> Configuration {
    guard text.byteCount <= Limits.configurationBytes else {
      throw ConfigurationError(
        position: TextPosition(of: 0, in: text), path: "$",
        message: "a configuration has at most \(Limits.configurationBytes) bytes")
    }
    let root: JSONNode
    do {
      root = try JSONDocument.parse(text)
    } catch {
      throw ConfigurationError(
        position: TextPosition(of: error.offset, in: text), path: "$",
        message: "not valid JSON: \(error.reason)")
    }
    do {
      return try read(JSONField(node: root, path: JSONPath()))
    } catch {
      var locator = JSONLocator(text)
      let offset = locator.locate(error.path, key: error.atKey)
      throw ConfigurationError(
        position: TextPosition(of: offset, in: text), path: error.path.text,
        message: error.message)
    }
  }

  private typealias Field = JSONField

  private static func read(_ root: Field) throws(Field.Problem) -> Configuration {
    var result = Configuration()
    var sawSchema = false
    var gateway: Field?
    var gateway6: Field?
    var link: Field?
    var mtu: Field?
    var pipelines: Field?
    var filters: Field?
    for member in try root.members() {
      let field = member.field
      switch member.key {
      case "schema":
        _ = try field.integer(schema...schema)
        sawSchema = true
      case "eal":
        for argument in try field.elements(0...Limits.ealArguments) {
          result.ealArguments.append(try argument.text())
        }
      case "ports": result.ports = try ports(field)
      case "cores": result.cores = try cores(field)
      case "idle": result.idlePolicy = try field.word(IdlePolicy.self)
      case "addresses": result.addresses = try addresses(field)
      case "gateway": gateway = field
      case "gateway6": gateway6 = field
      case "mac": result.mac = try hardwareAddress(field)
      case "mtu":
        result.mtu = try field.integer(mtuRange)
        mtu = field
      case "tcp": result.tcp = try tcp(field)
      case "echo": result.echoPort = try echo(field)
      case "mqtt": result.mqtt = try mqtt(field)
      case "pipelines": pipelines = field
      case "filters": filters = field
      case "fpga": result.fpga = try fpga(field)
      case "hostLink": link = field
      case "control": result.control = try control(field)
      case "security": result.security = try security(field)
      case "log": result.logLevel = try field.word(LogLevel.self)
      default:
        throw member.unknown(
          """
          schema, eal, ports, cores, idle, addresses, gateway, gateway6, mac, mtu, tcp, echo, \
          mqtt, pipelines, filters, fpga, hostLink, control, security, log
          """)
      }
    }
    guard sawSchema else { throw root.problem("has no \"schema\"") }
    guard !result.ports.isEmpty else { throw root.problem("has no \"ports\"") }
    guard !result.addresses.isEmpty else { throw root.problem("has no \"addresses\"") }
    // These depend on the addresses, which may stand after them.
    if let gateway { result.gateway = try hop(gateway, ipv4: true, in: result.addresses) }
    if let gateway6 { result.gateway6 = try hop(gateway6, ipv4: false, in: result.addresses) }
    if result.mtu < 1_280, result.addresses.contains(where: { !$0.address.isIPv4 }) {
      throw (mtu ?? root).problem("must be at least 1280 with an IPv6 address (RFC 8200)")
    }
    let hasHost = result.ports.contains { $0.role == .host }
    if let filters {
      result.filters = try self.filters(filters, hasHost: hasHost, hasFPGA: result.fpga != nil)
    }
    if let pipelines {
      result.pipelines = try self.pipelines(pipelines, hasHost: hasHost)
    }
    if let link {
      result.hostLink = try self.hostLink(link, stackAddresses: result.addresses)
    }
    if result.control.socket == result.hostLink.socket {
      throw root.problem("hostLink and control must not share the socket \(result.control.socket)")
    }
    return result
  }

  // MARK: Ports and cores

  /// From what every IPv4 host must accept (RFC 791) to what jumbo frames carry.
  private static let mtuRange = 576...9_000

  private static func ports(_ field: Field) throws(Field.Problem) -> [Port] {
    var ports: [Port] = []
    for element in try field.elements(1...2) {
      let port = try port(element)
      for other in ports {
        if other.role == port.role {
          throw element.problem("a second port with the role \(port.role.word)")
        }
        if other.name == port.name {
          throw element.problem("a second port with the name \(port.name)")
        }
        if other.device == port.device {
          throw element.problem("a second port with the device \(port.device)")
        }
      }
      ports.append(port)
    }
    guard ports.contains(where: { $0.role == .uplink }) else {
      throw field.problem("must have a port with the role uplink")
    }
    return ports
  }

  private static func port(_ field: Field) throws(Field.Problem) -> Port {
    var role: Role?
    var name: Text?
    var device: Text?
    var queues: Int?
    var mtu: Int?
    for member in try field.members() {
      switch member.key {
      case "role": role = try member.field.word(Role.self)
      case "name": name = try member.field.text(maximumBytes: 32)
      case "device": device = try member.field.text()
      case "queues": queues = try member.field.integer(1...Limits.cores)
      case "mtu": mtu = try member.field.integer(mtuRange)
      default: throw member.unknown("role, name, device, queues, mtu")
      }
    }
    guard let role else { throw field.problem("has no \"role\"") }
    guard let device else { throw field.problem("has no \"device\"") }
    return Port(
      role: role, name: name ?? Text(stringLiteral: role.word), device: device, queues: queues,
      mtu: mtu)
  }

  private static func cores(_ field: Field) throws(Field.Problem) -> [Int] {
    var cores: [Int] = []
    for element in try field.elements(1...Limits.cores) {
      // DPDK numbers at most 128 logical cores in Debian's build.
      let core = try element.integer(0...127)
      if cores.contains(core) { throw element.problem("core \(core) stands here twice") }
      cores.append(core)
    }
    return cores
  }

  // MARK: Addresses

  private static func addresses(_ field: Field) throws(Field.Problem) -> [Network] {
    var networks: [Network] = []
    for element in try field.elements(1...Limits.addresses) {
      let network = try network(element)
      let isIPv4 = network.address.isIPv4
      if networks.contains(where: { $0.address.isIPv4 == isIPv4 }) {
        throw element.problem(
          isIPv4
            ? "a second IPv4 address; one can be served"
            : "a second IPv6 address; one can be served")
      }
      networks.append(network)
    }
    return networks
  }

  private static func network(_ field: Field) throws(Field.Problem) -> Network {
    let bytes = try field.text().bytes
    guard let slash = bytes.firstIndex(of: UInt8(ascii: "/")) else {
      throw field.problem("must be ADDRESS/PREFIX, for instance 10.77.0.1/24")
    }
    let address = try hostAddress(field, Text(bytes: Array(bytes[..<slash])))
    let bits = address.isIPv4 ? 32 : 128
    var prefix = 0
    let digits = bytes[(slash + 1)...]
    for byte in digits {
      guard let digit = decimalDigit(byte), digits.count <= 3 else {
        throw field.problem("the prefix after / must be a number")
      }
      prefix = prefix * 10 + Int(digit)
    }
    guard !digits.isEmpty, (1...bits).contains(prefix) else {
      throw field.problem("the prefix must lie between 1 and \(bits)")
    }
    if address.isIPv4, prefix < 31 {
      let hostBits = address.ipv4 << UInt32(prefix)
      guard hostBits != 0 else { throw field.problem("is the address of the network itself") }
      guard ~address.ipv4 << UInt32(prefix) != 0 else {
        throw field.problem("is the broadcast address of its network")
      }
    }
    return Network(address: address, prefix: prefix)
  }

  private static func hostAddress(_ field: Field, _ text: Text) throws(Field.Problem) -> Address {
    guard let address = Address(text) else {
      throw field.problem("\(text) is not an IP address")
    }
    guard address.isHostAddress else {
      throw field.problem("\(text) cannot be the address of a host")
    }
    return address
  }

  private static func hop(
    _ field: Field, ipv4: Bool, in networks: [Network]
  ) throws(Field.Problem) -> Address {
    let address = try hostAddress(field, field.text())
    guard address.isIPv4 == ipv4 else {
      throw field.problem(ipv4 ? "must be an IPv4 address" : "must be an IPv6 address")
    }
    for network in networks where network.address == address {
      throw field.problem("is an address of the DPU itself")
    }
    if address.isLinkLocal { return address }
    for network in networks
    where address.isInNetwork(of: network.address, prefix: network.prefix) {
      return address
    }
    throw field.problem("\(address.text) lies in none of the networks of \"addresses\"")
  }

  private static func hardwareAddress(_ field: Field) throws(Field.Problem) -> HardwareAddress {
    guard let address = HardwareAddress(try field.text()) else {
      throw field.problem("must be a MAC address, for instance 02:00:00:00:00:01")
    }
    guard address.isStation else { throw field.problem("must not be zero or a group address") }
    return address
  }

  // MARK: Services

  private static func tcp(_ field: Field) throws(Field.Problem) -> TCP {
    var tcp = TCP()
    for member in try field.members() {
      switch member.key {
      case "cores": tcp.cores = try member.field.word(StackCores.self)
      case "connections": tcp.connections = try member.field.integer(1...1_048_576)
      // A window scale of 14 allows 1 GiB (RFC 7323, section 2.3); 16 MiB fill 1 Gbit/s at 130 ms.
      case "receiveBuffer": tcp.receiveBuffer = try member.field.integer(4_096...16_777_216)
      case "sendBuffer": tcp.sendBuffer = try member.field.integer(4_096...16_777_216)
      case "blocks": tcp.blocks = try member.field.integer(64...4_194_304)
      case "blockSize": tcp.blockSize = try member.field.integer(256...65_536)
      default:
        throw member.unknown("cores, connections, receiveBuffer, sendBuffer, blocks, blockSize")
      }
    }
    return tcp
  }

  private static func echo(_ field: Field) throws(Field.Problem) -> UInt16 {
    var port: Int?
    for member in try field.members() {
      switch member.key {
      case "port": port = try member.field.integer(1...65_535)
      default: throw member.unknown("port")
      }
    }
    guard let port else { throw field.problem("has no \"port\"") }
    return UInt16(port)
  }

  private static func mqtt(_ field: Field) throws(Field.Problem) -> MQTT {
    var mqtt = MQTT()
    for member in try field.members() {
      switch member.key {
      case "consume": mqtt.consume = try member.field.word(Consume.self)
      case "verify": mqtt.verify = try member.field.word(Verify.self)
      case "ttlMilliseconds":
        mqtt.verdictTTLMilliseconds = try member.field.integer(100...3_600_000)
      case "maximumPacket": mqtt.maximumPacket = try member.field.integer(128...65_536)
      case "slowPackets": mqtt.slowPackets = try member.field.integer(1...1_000_000)
      case "slowBytes": mqtt.slowBytes = try member.field.integer(1_024...1_073_741_824)
      default:
        throw member.unknown(
          "consume, verify, ttlMilliseconds, maximumPacket, slowPackets, slowBytes")
      }
    }
    return mqtt
  }

  // MARK: Sockets

  private static func control(_ field: Field) throws(Field.Problem) -> Control {
    var control = Control()
    for member in try field.members() {
      switch member.key {
      case "socket": control.socket = try socketPath(member.field)
      case "mode": control.mode = try mode(member.field)
      case "group": control.group = try member.field.text(maximumBytes: 32)
      case "operators": control.operators = try member.field.text(maximumBytes: 32)
      default: throw member.unknown("socket, mode, group, operators")
      }
    }
    return control
  }

  private static func security(_ field: Field) throws(Field.Problem) -> Security {
    var security = Security()
    for member in try field.members() {
      switch member.key {
      case "capabilities": security.capabilities = try member.field.word(Capabilities.self)
      case "calls": security.calls = try member.field.word(Calls.self)
      default: throw member.unknown("capabilities, calls")
      }
    }
    return security
  }

  static func socketPath(_ field: JSONField) throws(JSONField.Problem) -> Text {
    let path = try field.text(maximumBytes: Limits.socketPathBytes)
    guard path.bytes.first == UInt8(ascii: "/") else {
      throw field.problem("must be an absolute path")
    }
    return path
  }

  /// A string, because JSON has no octal numbers: "0660".
  private static func mode(_ field: Field) throws(Field.Problem) -> UInt32 {
    let bytes = try field.text().bytes
    var mode: UInt32 = 0
    for byte in bytes {
      guard let digit = decimalDigit(byte), digit < 8, bytes.count <= 4 else {
        throw field.problem("must be three or four octal digits, for instance \"0660\"")
      }
      mode = mode << 3 | UInt32(digit)
    }
    guard bytes.count >= 3, mode <= 0o777 else {
      throw field.problem("must be three or four octal digits, for instance \"0660\"")
    }
    guard mode & 0o600 == 0o600 else { throw field.problem("must let the owner read and write") }
    return mode
  }
}
