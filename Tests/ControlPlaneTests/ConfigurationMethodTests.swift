import DPUCore
import Foundation
import JSONText
import Testing

@testable import ControlPlane

/// A running configuration and what `config.*` says about it.
private final class Keeping {
  let source = FakeSource()
  let folder = TemporaryFolder()
  private var handler: RequestHandler<FakeSource>

  static let file = """
    {
      "schema": 1,
      "ports": [{"role": "uplink", "device": "net_tap0"}],
      "addresses": ["10.77.0.1/24"],
      "pipelines": [{"name": "main", "program": "/a.json", "ports": {"0": "uplink"}}],
      "filters": [{"port": "uplink", "program": "/f.o"}]
    }
    """

  init() throws {
    let running = try Configuration.parse(Text(Self.file).span)
    handler = RequestHandler(
      source: source,
      keeper: ConfigurationKeeper(running, file: Text(folder.path + "/config.json"), source: source)
    )
  }

  /// The result or the error.
  func call(_ method: String, _ members: [String: Any] = [:], _ caller: Caller.Role = .operator)
    throws -> String
  {
    let params = String(
      decoding: try JSONSerialization.data(withJSONObject: members, options: .sortedKeys),
      as: UTF8.self)
    let line = #"{"jsonrpc":"2.0","id":1,"method":"\#(method)","params":\#(params)}"#
    let reply = handler.handle(Text(line).span, from: Caller(caller)).string
    let start = #"{"jsonrpc":"2.0","id":1,"#
    #expect(reply.hasPrefix(start))
    return String(reply.dropFirst(start.count).dropLast())
  }

  func with(_ old: String, _ new: String) -> String {
    #expect(Self.file.contains(old))
    return Self.file.replacing(old, with: new)
  }

  var saved: String? { try? String(contentsOfFile: folder.path + "/config.json", encoding: .utf8) }
}

@Suite struct ConfigurationMethodTests {
  @Test func whatIsWrittenReadsBackTheSame() throws {
    for text in [
      Keeping.file,
      """
      {"schema": 1, "eal": ["--no-huge"], "cores": [1, 3], "idle": "sleep", "mtu": 9000,
       "ports": [{"role": "host", "name": "h\\"\\\\", "device": "0000:03:00.1", "queues": 2, "mtu": 600},
                 {"role": "uplink", "device": "0000:03:00.0"}],
       "addresses": ["fd77::1/64", "10.77.0.1/24"], "gateway": "10.77.0.254", "gateway6": "fe80::1",
       "mac": "02:00:00:00:00:01", "echo": {"port": 7},
       "tcp": {"cores": "all", "connections": 7, "receiveBuffer": 5000, "sendBuffer": 6000, "blocks": 65,
               "blockSize": 300},
       "mqtt": {"consume": "off", "verify": "trust", "ttlMilliseconds": 100, "maximumPacket": 128,
                "slowPackets": 2, "slowBytes": 2048},
       "filters": [{"port": "host", "program": "/g", "name": "xdp", "engine": "fpga",
                    "aborted": "pass", "deadDevice": "drop"}],
       "fpga": {"kind": "simulated", "path": "/tmp/f", "timeoutMilliseconds": 7},
       "hostLink": {"socket": "/l", "group": "g", "listen": "[::]:1", "peer": "10.0.0.1"},
       "control": {"socket": "/c", "mode": "0600", "group": "7", "operators": "o"},
       "security": {"capabilities": "keep", "calls": "any"}, "log": "debug"}
      """,
    ] {
      let configuration = try Configuration.parse(Text(text).span)
      #expect(try Configuration.parse(configuration.json.span) == configuration)
    }
  }

  @Test func everybodyMayReadAndOnlyOperatorsCompare() throws {
    let keeping = try Keeping()
    #expect(try keeping.call("config.get", [:], .reader).hasPrefix(#""result":{"configuration":{"#))
    #expect(try keeping.call("config.diff", ["text": Keeping.file], .reader).contains("-32001"))
    #expect(try keeping.call("config.diff", ["text": Keeping.file]) == #""result":{"changes":[]}"#)
  }

  @Test func differencesSayWhenTheyCanBeMade() throws {
    let keeping = try Keeping()
    let text = keeping.with(
      #""addresses""#, #""mtu": 1400, "log": "debug", "mqtt": {"consume": "off"}, "addresses""#)
    #expect(
      try keeping.call("config.diff", ["text": text])
        == #""result":{"changes":[{"path":"$.mtu","from":1500,"to":1400,"live":false},"#
        + #"{"path":"$.mqtt.consume","from":"certified","to":"off","live":true},"#
        + #"{"path":"$.log","from":"info","to":"debug","live":true}]}"#)
  }

  @Test func aMistakeIsNamedWithItsPlaceAndChangesNothing() throws {
    let keeping = try Keeping()
    let before = try keeping.call("config.get")
    #expect(
      try keeping.call("config.apply", ["text": keeping.with("10.77.0.1/24", "10.77.0.1/33")])
        == #""error":{"code":-32008,"message":"configuration:4:17: $.addresses[0]: the prefix must lie between 1 "#
        + #"and 32","data":{"path":"$.params.text","line":4,"column":17,"#
        + #""reason":"badConfiguration"}}"#)
    #expect(try keeping.call("config.apply", ["text": "{"]).contains(#""line":1,"column":2"#))
    #expect(try keeping.call("config.get") == before)
    #expect(keeping.source.deeds.isEmpty)
  }

  @Test func whatNeedsARestartIsRefusedOrKeptForTheNextStart() throws {
    let keeping = try Keeping()
    let before = try keeping.call("config.get")
    let text = keeping.with(#""addresses""#, #""mtu": 1400, "log": "debug", "addresses""#)
    let refusal = try keeping.call("config.apply", ["text": text])
    #expect(refusal.contains("$.mtu cannot change while the firmware runs; nothing was changed"))
    #expect(refusal.contains(#""reason":"needsRestart""#))
    #expect(try keeping.call("config.get") == before)
    #expect(keeping.saved == nil)
    _ = try keeping.call("config.apply", ["text": text, "next": true])
    #expect(try keeping.call("config.get") == before)
    let next = try Configuration.parse(Text(try #require(keeping.saved)).span)
    #expect(next.mtu == 1_400)
    #expect(next.logLevel == .debug)
  }

  @Test func whatCanChangeChangesAtOnceAndIsSaved() throws {
    let keeping = try Keeping()
    let text = keeping.with("/a.json", "/b.json").replacing(
      #""filters": [{"port": "uplink", "program": "/f.o"}]"#,
      with: #""filters": [{"port": "uplink", "program": "/f.o", "aborted": "pass"}],"#
        + #" "mqtt": {"verify": "trust", "ttlMilliseconds": 700}, "log": "warning""#)
    let answer = try keeping.call("config.apply", ["text": text])
    #expect(answer.hasPrefix(#""result":{"changes":[{"path":"$.mqtt.verify""#), "\(answer)")
    #expect(
      keeping.source.deeds == [
        "ebpf.load port=uplink path=/f.o engine=auto aborted=pass deadDevice=software",
        "p4.load pipeline=main path=/b.json", "mqtt certified trust 700",
      ])
    #expect(keeping.source.journal.level == .warning)
    let running = try keeping.call("config.get")
    _ = try keeping.call("config.save")
    // What a start from the saved file would say.
    let next = try Configuration.parse(Text(try #require(keeping.saved)).span)
    #expect(running.contains(next.json.string))
    #expect(try keeping.call("config.diff", ["text": text]) == #""result":{"changes":[]}"#)
  }

  @Test func aFileThatWasChangedIsReadAgain() throws {
    let keeping = try Keeping()
    let file = keeping.folder.path + "/config.json"
    func write(_ text: String) throws {
      try text.write(toFile: file, atomically: true, encoding: .utf8)
    }
    #expect(try keeping.call("system.reload", [:], .reader).contains("-32001"))
    #expect(try keeping.call("system.reload").contains("No such file or directory"))
    try write(keeping.with("/a.json", "/b.json"))
    #expect(
      try keeping.call("system.reload")
        == #""result":{"changes":[{"path":"$.pipelines[0].program","from":"/a.json","#
        + #""to":"/b.json","live":true}]}"#)
    #expect(keeping.source.deeds == ["p4.load pipeline=main path=/b.json"])
    #expect(try keeping.call("system.reload") == #""result":{"changes":[]}"#)
    let running = try keeping.call("config.get")

    try write(keeping.with("10.77.0.1/24", "10.77.0.1/33"))
    let mistake = try keeping.call("system.reload")
    #expect(mistake.contains("config.json:4:17: $.addresses[0]: the prefix must lie between"))
    #expect(mistake.contains(#""line":4,"column":17"#))
    try write(keeping.with(#""addresses""#, #""mtu": 1400, "log": "debug", "addresses""#))
    let refusal = try keeping.call("system.reload")
    #expect(refusal.contains("nothing was changed\""))
    #expect(refusal.contains(#""reason":"needsRestart""#))
    #expect(keeping.source.deeds.count == 1)
    #expect(try keeping.call("config.get") == running)
  }

  @Test func whenOneChangeFailsThoseBeforeAreTakenBack() throws {
    let keeping = try Keeping()
    let before = try keeping.call("config.get")
    let text = keeping.with("/a.json", "/refused").replacing("/f.o", with: "/g.o")
    #expect(
      try keeping.call("config.apply", ["text": text]).contains(#""message":"no program""#))
    #expect(
      keeping.source.deeds.map { String($0.prefix(32)) } == [
        "ebpf.load port=uplink path=/g.o ", "p4.load pipeline=main path=/refu",
        "ebpf.load port=uplink path=/f.o ",
      ])
    #expect(try keeping.call("config.get") == before)
    let missing = keeping.with("/a.json", "/missing")
    #expect(
      try keeping.call("config.apply", ["text": missing]).contains("/missing: No such file"))
  }

  @Test func aFileThatCannotBeWrittenIsSaid() throws {
    let keeping = try Keeping()
    #expect(
      try keeping.call("config.save", ["path": "/no/such/folder/x"])
        .contains("/no/such/folder/x: No such file or directory"))
    #expect(try keeping.call("config.save", ["path": "x"]).contains("must be an absolute path"))
  }
}
