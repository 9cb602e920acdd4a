import DPUCore
import Foundation
import JSONText
import Testing

@testable import ControlPlane

@Suite struct ConfigurationTests {
  /// The smallest file that is accepted, for cases about one more member.
  static func minimal(_ more: String = "") -> String {
    """
    {"schema": 1,
     "ports": [{"role": "uplink", "device": "net_null0"}],
     "addresses": ["10.77.0.1/24", "fd77::1/64"]\(more.isEmpty ? "" : ",\n" + more)}
    """
  }

  /// Every member with a value that is not its default.
  static let full = """
    {
      "schema": 1,
      "eal": ["--no-huge", "-m", "512"],
      "ports": [
        {"role": "uplink", "device": "0000:03:00.0", "queues": 2, "mtu": 1600},
        {"role": "host", "name": "pf0", "device": "net_tap0,iface=host0"}
      ],
      "cores": [1, 2],
      "idle": "yield",
      "addresses": ["10.77.0.1/24", "fd77::1/64"],
      "gateway": "10.77.0.254",
      "gateway6": "fe80::1",
      "mac": "02:00:00:00:00:0A",
      "mtu": 1400,
      "tcp": {"connections": 100, "receiveBuffer": 8192, "sendBuffer": 16384,
              "blocks": 256, "blockSize": 1024},
      "echo": {"port": 7},
      "mqtt": {"consume": "off", "verify": "trust", "ttlMilliseconds": 250,
               "maximumPacket": 1000, "slowPackets": 10, "slowBytes": 2048},
      "pipelines": [
        {"name": "fw", "program": "/usr/share/dpu/firewall.json",
         "ports": {"0": "uplink", "1": "host", "255": "cpu"}},
        {"name": "local", "ports": {"510": "stack", "255": "cpu"}}
      ],
      "filters": [
        {"port": "host", "program": "/usr/share/dpu/limit.o", "name": "xdp", "engine": "fpga",
         "aborted": "pass", "deadDevice": "drop"}
      ],
      "fpga": {"path": "/run/fpga", "kind": "simulated", "timeoutMilliseconds": 7},
      "hostLink": {"socket": "/run/a.sock", "group": "mosquitto",
                   "listen": "192.168.100.2:4841", "peer": "192.168.100.1"},
      "control": {"socket": "/run/b.sock", "mode": "0600", "group": "dpu",
                  "operators": "netops"},
      "security": {"capabilities": "keep", "calls": "any"},
      "log": "debug"
    }
    """

  @Test func everyMemberIsRead() throws {
    let configuration = try parse(Self.full)
    var expected = Configuration()
    expected.ealArguments = ["--no-huge", "-m", "512"]
    expected.ports = [
      .init(role: .uplink, name: "uplink", device: "0000:03:00.0", queues: 2, mtu: 1600),
      .init(role: .host, name: "pf0", device: "net_tap0,iface=host0", queues: nil, mtu: nil),
    ]
    expected.cores = [1, 2]
    expected.idlePolicy = .yield
    expected.addresses = [
      .init(address: Address(ipv4: 0x0a4d_0001), prefix: 24),
      .init(address: Address(high: 0xfd77_0000_0000_0000, low: 1), prefix: 64),
    ]
    expected.gateway = Address(ipv4: 0x0a4d_00fe)
    expected.gateway6 = Address(high: 0xfe80_0000_0000_0000, low: 1)
    expected.mac = HardwareAddress(rawValue: 0x0200_0000_000a)
    expected.mtu = 1400
    expected.tcp = .init(
      connections: 100, receiveBuffer: 8192, sendBuffer: 16384, blocks: 256, blockSize: 1024)
    expected.echoPort = 7
    expected.mqtt = .init(
      consume: .off, verify: .trust, verdictTTLMilliseconds: 250, maximumPacket: 1000,
      slowPackets: 10, slowBytes: 2048)
    var filter = Configuration.Filter(port: .host, program: "/usr/share/dpu/limit.o")
    filter.name = "xdp"
    filter.policy.engine = .fpga
    filter.policy.aborted = .pass
    filter.policy.deadDevice = .drop
    expected.filters = [filter]
    expected.fpga = .init(path: "/run/fpga", kind: .simulated)
    expected.fpga?.timeoutMilliseconds = 7
    expected.pipelines = [
      .init(
        name: "fw", program: "/usr/share/dpu/firewall.json",
        ports: [
          .init(number: 0, end: .uplink), .init(number: 1, end: .host),
          .init(number: 255, end: .cpu),
        ]),
      .init(
        name: "local", ports: [.init(number: 510, end: .stack), .init(number: 255, end: .cpu)]),
    ]
    expected.hostLink = .init(
      socket: "/run/a.sock", group: "mosquitto",
      listen: .init(address: Address(ipv4: 0xc0a8_6402), port: 4841),
      peer: Address(ipv4: 0xc0a8_6401))
    expected.control = .init(socket: "/run/b.sock", mode: 0o600, group: "dpu")
    expected.security.capabilities = .keep
    expected.security.calls = .any
    expected.control.operators = "netops"
    expected.logLevel = .debug
    #expect(configuration == expected)
    #expect(!configuration.ports[0].isVirtual)
    #expect(configuration.ports[1].isVirtual)
  }

  @Test func defaultsHold() throws {
    let configuration = try parse(Self.minimal())
    #expect(configuration.cores == [0])
    #expect(configuration.tcp == Configuration.TCP())
    #expect(configuration.mqtt.consume == .certified)
    #expect(configuration.echoPort == nil)
    #expect(configuration.control.socket.string == "/run/dpu/control.sock")
  }

  /// The text, and what is said about it.
  static let wrongTexts: [(String, String)] = [
    ("", "f:1:1: $: not valid JSON: unexpected token near end of file"),
    ("hello\n", "f:1:1: $: not valid JSON: invalid token near 'hello'"),
    (
      "{\n  \"schema\": 1\n  \"ports\": []\n}",
      "f:3:3: $: not valid JSON: '}' expected near '\"ports\"'"
    ),
    (
      "{\"schema\": 1, \"schema\": 1}",
      "f:1:15: $: not valid JSON: duplicate object key near '\"schema\"'"
    ),
    // Columns are characters, not bytes.
    (
      "{\"é\": \"ü\", \"schema\": nil}",
      "f:1:22: $: not valid JSON: invalid token near 'nil'"
    ),
    ("{\"schema\": 1}}", "f:1:14: $: not valid JSON: end of file expected near '}'"),
    ("{\n\"schema\": 1,", "f:2:13: $: not valid JSON: string or '}' expected near end of file"),
    ("[]", "f:1:1: $: must be an object, is an array"),
    ("\n {}", "f:2:2: $: has no \"schema\""),
    ("  {\"schema\": 2}", "f:1:14: $.schema: must lie between 1 and 1, is 2"),
    ("{\"schema\": 1.0}", "f:1:12: $.schema: must be an integer, is a number with a fraction"),
    ("{\"schema\": 1}", "f:1:1: $: has no \"ports\""),
    (
      "{\"schema\": 1, \"ports\": [{\"role\": \"uplink\", \"device\": \"x\"}]}",
      "f:1:1: $: has no \"addresses\""
    ),
    (
      "{\"schema\": 1, \"prots\": []}",
      "f:1:15: $.prots: unknown key; known are schema, eal, ports, cores, idle, addresses, "
        + "gateway, gateway6, mac, mtu, tcp, echo, mqtt, pipelines, filters, fpga, hostLink, "
        + "control, security, log"
    ),
  ]

  /// Members of a configuration that is right otherwise, and what is said about them.
  static let wrongFilters: [(String, String)] = [
    (#""filters": [{"program": "x"}]"#, #"$.filters[0]: has no "port""#),
    (#""filters": [{"port": "uplink"}]"#, #"$.filters[0]: has no "program""#),
    (#""filters": [{"port": "host", "program": "x"}]"#, "$.filters[0]: there is no host port"),
    (
      #""filters": [{"port": "uplink", "program": "x"}, {"port": "uplink", "program": "y"}]"#,
      "$.filters[1]: a second filter for the port uplink"
    ),
    (
      #""filters": [{"port": "uplink", "program": "x", "engine": "fpga"}]"#,
      #"$.filters[0]: wants the FPGA, and there is no "fpga""#
    ),
    (
      #""filters": [{"port": "uplink", "program": "x", "aborted": "software"}]"#,
      "$.filters[0].aborted: must be drop or pass"
    ),
    (
      #""filters": [{"port": "uplink", "program": "x", "engin": "jit"}]"#,
      """
      $.filters[0].engin: unknown key; known are port, program, name, engine, aborted, deadDevice
      """
    ),
    (#""fpga": {"path": "/x"}"#, #"$.fpga: has no "kind""#),
    (
      #""fpga": {"path": "/x", "kind": "pci", "timeoutMilliseconds": 0}"#,
      "$.fpga.timeoutMilliseconds: must lie between 1 and 60000, is 0"
    ),
  ]

  @Test(arguments: wrongFilters) func filterIsRefused(_ member: String, _ expected: String) {
    let said = complaint(
      about: """
        {"schema": 1, "ports": [{"role": "uplink", "device": "x"}],
         "addresses": ["10.0.0.1/24"], \(member)}
        """)
    #expect(said?.hasSuffix(expected) == true, "said: \(said ?? "nothing")")
  }

  @Test(arguments: wrongTexts) func isRefused(_ text: String, _ expected: String) {
    #expect(complaint(about: text) == expected)
  }

  /// A line of its own, the fourth, in an otherwise good file; what is said about it from the
  /// column on.
  static let wrongMembers: [(String, String)] = [
    // EAL arguments
    (#""eal": "-n""#, "8: $.eal: must be an array, is a string"),
    (#""eal": ["-n", 4]"#, "15: $.eal[1]: must be a string, is an integer"),
    (#""eal": [""]"#, "9: $.eal[0]: must not be empty"),
    (#""eal": ["a\tb"]"#, "9: $.eal[0]: must not hold control characters"),
    // Cores
    (#""cores": []"#, "10: $.cores: must have 1 to 64 elements, has 0"),
    (#""cores": [1, 2, 1]"#, "17: $.cores[2]: core 1 stands here twice"),
    (#""cores": [128]"#, "11: $.cores[0]: must lie between 0 and 127, is 128"),
    (#""idle": true"#, "9: $.idle: must be a string, is a boolean"),
    (#""idle": "nap""#, "9: $.idle: must be one of: spin, pause, yield, sleep"),
    // Addresses
    (
      #""gateway": "10.77.1.9""#,
      "12: $.gateway: 10.77.1.9 lies in none of the networks of \"addresses\""
    ),
    (#""gateway": "10.77.0.1""#, "12: $.gateway: is an address of the DPU itself"),
    (#""gateway": "fd77::9""#, "12: $.gateway: must be an IPv4 address"),
    (#""gateway6": "10.77.0.9""#, "13: $.gateway6: must be an IPv6 address"),
    (#""gateway": "10.77.0.256""#, "12: $.gateway: 10.77.0.256 is not an IP address"),
    (#""gateway": "224.0.0.1""#, "12: $.gateway: 224.0.0.1 cannot be the address of a host"),
    (
      #""mac": "02:00:00:00:00""#, "8: $.mac: must be a MAC address, for instance 02:00:00:00:00:01"
    ),
    (#""mac": "01:00:5e:00:00:01""#, "8: $.mac: must not be zero or a group address"),
    (#""mtu": 9001"#, "8: $.mtu: must lie between 576 and 9000, is 9001"),
    (#""mtu": 1279"#, "8: $.mtu: must be at least 1280 with an IPv6 address (RFC 8200)"),
    // TCP and echo
    (
      #""tcp": {"sendBufer": 1}"#,
      "9: $.tcp.sendBufer: unknown key; known are cores, connections, receiveBuffer, sendBuffer, blocks, blockSize"
    ),
    (#""tcp": {"blocks": -1}"#, "19: $.tcp.blocks: must lie between 64 and 4194304, is -1"),
    (#""tcp": null"#, "8: $.tcp: must be an object, is null"),
    (#""echo": {}"#, "9: $.echo: has no \"port\""),
    (#""echo": {"port": 65536}"#, "18: $.echo.port: must lie between 1 and 65535, is 65536"),
    // MQTT
    (#""mqtt": {"consume": "on"}"#, "21: $.mqtt.consume: must be one of: off, certified"),
    (#""mqtt": {"verify": 1}"#, "20: $.mqtt.verify: must be a string, is an integer"),
    (
      #""mqtt": {"slowBytes": 1e6}"#,
      "23: $.mqtt.slowBytes: must be an integer, is a number with a fraction"
    ),
    // Sockets
    (#""control": {"socket": "dpu.sock"}"#, "23: $.control.socket: must be an absolute path"),
    (#""control": {"mode": 660}"#, "21: $.control.mode: must be a string, is an integer"),
    (
      #""control": {"mode": "0668"}"#,
      "21: $.control.mode: must be three or four octal digits, for instance \"0660\""
    ),
    (#""control": {"mode": "0066"}"#, "21: $.control.mode: must let the owner read and write"),
    (
      #""hostLink": {"mode": "0600"}"#,
      "14: $.hostLink.mode: unknown key; known are socket, group, listen, peer"
    ),
    (
      #""hostLink": {"listen": "192.168.100.2"}"#,
      "24: $.hostLink.listen: must be ADDRESS:PORT, for instance 192.168.100.2:4841"
    ),
    (
      #""hostLink": {"listen": "fd78::2:4841"}"#,
      "24: $.hostLink.listen: an IPv6 address stands in brackets, for instance [fd78::2]:4841"
    ),
    (
      #""hostLink": {"listen": "[10.0.0.1]:4841"}"#,
      "24: $.hostLink.listen: must be ADDRESS:PORT, for instance 192.168.100.2:4841"
    ),
    (
      #""hostLink": {"listen": "[fd78::2:4841"}"#,
      "24: $.hostLink.listen: must be ADDRESS:PORT, for instance 192.168.100.2:4841"
    ),
    (
      #""hostLink": {"listen": "dpu:4841"}"#,
      "24: $.hostLink.listen: dpu is not an IP address"
    ),
    (
      #""hostLink": {"listen": "1.2.3.4:"}"#,
      "24: $.hostLink.listen: the port must lie between 1 and 65535"
    ),
    (
      #""hostLink": {"listen": "1.2.3.4:65536"}"#,
      "24: $.hostLink.listen: the port must lie between 1 and 65535"
    ),
    (
      #""hostLink": {"listen": "1.2.3.4:48x"}"#,
      "24: $.hostLink.listen: the port after : must be a number"
    ),
    (
      #""hostLink": {"listen": "[fe80::1]:4841"}"#,
      "24: $.hostLink.listen: fe80::1 is the same on every link, and a link cannot be given"
    ),
    (
      #""hostLink": {"listen": "0.0.0.0:4841"}"#,
      "24: $.hostLink.listen: every address of the machine needs \"peer\", who alone may connect"
    ),
    (
      #""hostLink": {"listen": "[::]:4841"}"#,
      "24: $.hostLink.listen: every address of the machine needs \"peer\", who alone may connect"
    ),
    (
      #""hostLink": {"listen": "10.77.0.1:4841"}"#,
      "24: $.hostLink.listen: is an address of the DPU's own stack, not of the system it runs on"
    ),
    (
      #""hostLink": {"listen": "1.2.3.4:5", "peer": "::1"}"#,
      "45: $.hostLink.peer: must be of the same family as \"listen\""
    ),
    (
      #""hostLink": {"listen": "1.2.3.4:5", "peer": "0.0.0.0"}"#,
      "45: $.hostLink.peer: must be the address of one machine"
    ),
    (
      #""hostLink": {"peer": "1.2.3.4"}"#,
      "22: $.hostLink.peer: means nothing without \"listen\""
    ),
    (#""log": "verbose""#, "8: $.log: must be one of: error, warning, info, debug"),
  ]

  @Test(arguments: wrongMembers) func isRefusedInPlace(_ line: String, _ expected: String) {
    #expect(complaint(about: Self.minimal(line)) == "f:4:" + expected)
  }

  /// Values of "ports" and what is said about them.
  static let wrongPorts: [(String, String)] = [
    ("[]", "1:24: $.ports: must have 1 to 2 elements, has 0"),
    ("[7]", "1:25: $.ports[0]: must be an object, is an integer"),
    (#"[{"role": "uplink"}]"#, "1:25: $.ports[0]: has no \"device\""),
    (#"[{"device": "x"}]"#, "1:25: $.ports[0]: has no \"role\""),
    (#"[{"role": "host", "device": "x"}]"#, "1:24: $.ports: must have a port with the role uplink"),
    (#"[{"role": "down", "device": "x"}]"#, "1:34: $.ports[0].role: must be one of: uplink, host"),
    (
      "[{\"role\": \"uplink\", \"device\": \"x\"},\n{\"role\": \"uplink\", \"device\": \"y\"}]",
      "2:1: $.ports[1]: a second port with the role uplink"
    ),
    (
      "[{\"role\": \"uplink\", \"device\": \"x\"},\n{\"role\": \"host\", \"device\": \"x\"}]",
      "2:1: $.ports[1]: a second port with the device x"
    ),
    (
      "[{\"role\": \"uplink\", \"device\": \"x\"},\n{\"role\": \"host\", \"name\": \"uplink\", \"device\": \"y\"}]",
      "2:1: $.ports[1]: a second port with the name uplink"
    ),
    (
      #"[{"role": "uplink", "device": "x", "queues": 0}]"#,
      "1:69: $.ports[0].queues: must lie between 1 and 64, is 0"
    ),
    // Brackets and quotes in strings do not lead the search for the place astray.
    (
      "[{\"device\": \"a]}\\\"[{,\", \"role\": \"uplink\",\n\"mtu\": 1}]",
      "2:8: $.ports[0].mtu: must lie between 576 and 9000, is 1"
    ),
  ]

  @Test(arguments: wrongPorts) func portsAreRefused(_ ports: String, _ expected: String) {
    let text = "{\"schema\": 1, \"ports\": \(ports), \"addresses\": [\"10.0.0.1/8\"]}"
    #expect(complaint(about: text) == "f:" + expected)
  }

  /// Values of "addresses" and what is said about them.
  static let wrongAddresses: [(String, String)] = [
    ("[]", "13: $.addresses: must have 1 to 2 elements, has 0"),
    (#"["10.0.0.1"]"#, "14: $.addresses[0]: must be ADDRESS/PREFIX, for instance 10.77.0.1/24"),
    (#"["10.0.0.1/"]"#, "14: $.addresses[0]: the prefix must lie between 1 and 32"),
    (#"["10.0.0.1/33"]"#, "14: $.addresses[0]: the prefix must lie between 1 and 32"),
    (#"["fd77::1/129"]"#, "14: $.addresses[0]: the prefix must lie between 1 and 128"),
    (#"["10.0.0.1/2x"]"#, "14: $.addresses[0]: the prefix after / must be a number"),
    (#"["10.0.0.0/24"]"#, "14: $.addresses[0]: is the address of the network itself"),
    (#"["10.0.0.255/24"]"#, "14: $.addresses[0]: is the broadcast address of its network"),
    (#"["127.0.0.1/8"]"#, "14: $.addresses[0]: 127.0.0.1 cannot be the address of a host"),
    (#"["ff02::1/64"]"#, "14: $.addresses[0]: ff02::1 cannot be the address of a host"),
    (
      #"["10.0.0.1/8", "10.0.0.2/24"]"#,
      "28: $.addresses[1]: a second IPv4 address; one can be served"
    ),
    (#"["10.0.01/8"]"#, "14: $.addresses[0]: 10.0.01 is not an IP address"),
  ]

  @Test(arguments: wrongAddresses) func addressesAreRefused(_ value: String, _ expected: String) {
    let text = """
      {"schema": 1, "ports": [{"role": "uplink", "device": "x"}],
      "addresses":\(value)}
      """
    #expect(complaint(about: text) == "f:2:" + expected)
  }

  @Test func pointToPointPrefixesHaveNoNetworkAddress() throws {
    for prefix in ["10.0.0.0/31", "10.0.0.1/31", "10.0.0.0/32"] {
      let text = Self.minimal().replacing("10.77.0.1/24", with: prefix)
      #expect(complaint(about: text) == nil)
    }
  }

  static let wrongPipelines: [(String, String)] = [
    ("{}", "13: $.pipelines: must be an array, is an object"),
    ("[{}]", "14: $.pipelines[0]: has no \"name\""),
    (#"[{"name": "a"}]"#, "14: $.pipelines[0]: has no \"ports\""),
    (
      #"[{"name": "a", "ports": {"0": "uplink"}, "path": "x"}]"#,
      "54: $.pipelines[0].path: unknown key; known are name, program, ports"
    ),
    (
      #"[{"name": "a", "ports": {}}]"#,
      "37: $.pipelines[0].ports: must name a port"
    ),
    (
      #"[{"name": "a", "ports": {"511": "uplink"}}]"#,
      "38: $.pipelines[0].ports.511: must be the number of a port, 0 to 510"
    ),
    (
      #"[{"name": "a", "ports": {"01": "uplink"}}]"#,
      "38: $.pipelines[0].ports.01: must be the number of a port, 0 to 510"
    ),
    (
      #"[{"name": "a", "ports": {"0": "wan"}}]"#,
      "43: $.pipelines[0].ports.0: must be one of: uplink, host, stack, cpu"
    ),
    (
      #"[{"name": "a", "ports": {"0": "host"}}]"#,
      "43: $.pipelines[0].ports.0: there is no host port"
    ),
    (
      #"[{"name": "a", "ports": {"0": "cpu", "1": "cpu"}}]"#,
      "55: $.pipelines[0].ports.1: cpu is port 0 already"
    ),
    (
      #"[{"name": "a", "ports": {"0": "stack"}}, {"name": "b", "ports": {"1": "stack"}}]"#,
      "54: $.pipelines[1]: stack belongs to the pipeline a already"
    ),
    (
      #"[{"name": "a", "ports": {"0": "cpu"}}, {"name": "a", "ports": {"1": "cpu"}}]"#,
      "52: $.pipelines[1]: a second pipeline with the name a"
    ),
  ]

  @Test(arguments: wrongPipelines) func pipelinesAreRefused(_ value: String, _ expected: String) {
    #expect(complaint(about: Self.minimal(#""pipelines":\#(value)"#)) == "f:4:" + expected)
  }

  // MARK: Files

  @Test func aFileIsLoadedOrItsFaultNamed() throws {
    let folder = TemporaryFolder()
    let path = folder.path + "/config.json"
    func failure() -> String? {
      do {
        _ = try Configuration.load(Text(path))
        return nil
      } catch {
        return error.message.string
      }
    }
    #expect(failure() == "\(path): No such file or directory")
    try Self.minimal().write(toFile: path, atomically: false, encoding: .utf8)
    #expect(failure() == nil)
    try Self.minimal("\"x\": 1").write(toFile: path, atomically: false, encoding: .utf8)
    #expect(failure()?.hasPrefix("\(path):4:1: $.x: unknown key") == true)
    let large = String(repeating: " ", count: Limits.configurationBytes)
    try (large + " ").write(toFile: path, atomically: false, encoding: .utf8)
    #expect(failure() == "\(path): File too large")
    try large.write(toFile: path, atomically: false, encoding: .utf8)
    #expect(failure()?.hasPrefix("\(path):1:1048577: $: not valid JSON") == true)
  }

  /// The example that people copy must be one that is accepted.
  @Test func theDocumentedExampleIsAccepted() throws {
    let page = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
      .appendingPathComponent("../../docs/configuration.md")
    let text = try String(contentsOf: page, encoding: .utf8)
    let examples = text.components(separatedBy: "```json\n").dropFirst().map {
      $0.components(separatedBy: "```")[0]
    }
    #expect(examples.count == 2)
    for example in examples { #expect(complaint(about: example) == nil) }
    // The full one shows the defaults.
    var configuration = try parse(try #require(examples.last))
    let defaults = Configuration()
    #expect(configuration.tcp == defaults.tcp)
    #expect(configuration.mqtt == defaults.mqtt)
    #expect(configuration.hostLink.socket == defaults.hostLink.socket)
    configuration.control.group = nil
    configuration.control.operators = nil
    #expect(configuration.security == defaults.security)
    #expect(configuration.control == defaults.control)
  }
}
