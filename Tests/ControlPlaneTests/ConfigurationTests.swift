import DPUCore
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

  @Test func everyMemberIsRead() throws {
    let configuration = try parse(
      """
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
        "hostLink": {"socket": "/run/a.sock", "group": "mosquitto"},
        "control": {"socket": "/run/b.sock", "mode": "0600", "group": "dpu"},
        "log": "debug"
      }
      """)
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
    expected.hostLink = .init(socket: "/run/a.sock", group: "mosquitto")
    expected.control = .init(socket: "/run/b.sock", mode: 0o600, group: "dpu")
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
  static let wrong: [(String, String)] = [
    ("", "f:1:1: $: not valid JSON: unexpected token near end of file"),
    (
      "{\n  \"schema\": 1\n  \"ports\": []\n}",
      "f:3:3: $: not valid JSON: '}' expected near '\"ports\"'"
    ),
    (
      "{\"schema\": 1, \"schema\": 1}",
      "f:1:15: $: not valid JSON: duplicate object key near '\"schema\"'"
    ),
    ("[]", "f:1:1: $: must be an object, is an array"),
    ("{}", "f:1:1: $: has no \"schema\""),
    ("  {\"schema\": 2}", "f:1:14: $.schema: must lie between 1 and 1, is 2"),
    ("{\"schema\": 1.0}", "f:1:12: $.schema: must be an integer, is a number with a fraction"),
    (minimal("\"idle\": true"), "f:4:9: $.idle: must be a string, is a boolean"),
    (minimal("\"idle\": \"nap\""), "f:4:9: $.idle: must be one of: spin, pause, yield, sleep"),
  ]

  @Test(arguments: wrong) func isRefused(_ text: String, _ expected: String) {
    #expect(complaint(about: text) == expected)
  }
}
