import DPUCore
import Foundation
import Testing

@testable import ControlPlane

/// Events over a socket: what subscribers hear.
@Suite struct EventTests {
  private static func subscribe(_ kinds: String) -> String {
    #"{"jsonrpc":"2.0","id":1,"method":"event.subscribe","params":{"kinds":[\#(kinds)]}}"#
  }

  /// Without what differs from run to run.
  private static func plain(_ line: String?) -> String {
    (line ?? "closed").replacing(/"sequence":\d+,"uptimeMilliseconds":\d+/, with: "...")
  }

  @Test func whoSubscribesHearsOfWhatOperatorsChange() throws {
    let server = try RunningServer()
    let listener = try server.connect()
    let other = try server.connect()
    #expect(
      listener.call(Self.subscribe(#""change""#))
        == #"{"jsonrpc":"2.0","id":1,"result":{"subscribed":["change"]}}"#)
    _ = other.call(
      #"{"jsonrpc":"2.0","id":7,"method":"tcp.drop","params":{"core":1,"id":3}}"#)
    #expect(
      Self.plain(listener.line())
        == #"{"jsonrpc":"2.0","method":"event","params":{"kind":"change",...,"level":"info","#
        + #""message":"tcp.drop by user \#(getuid())"}}"#)
    #expect(server.source.deeds == ["drop 3 on 1"])
    // It goes on answering, and what is no longer wanted no longer comes.
    _ = listener.call(Self.subscribe(""))
    _ = other.call(
      #"{"jsonrpc":"2.0","id":8,"method":"mqtt.disconnect","params":{"client":"a"}}"#)
    #expect(listener.call(ServerTests.request(9)) == ServerTests.uptime(9))
    // All of it stands in the log.
    let log =
      other.call(#"{"jsonrpc":"2.0","id":1,"method":"log.tail","params":{"limit":2}}"#) ?? ""
    #expect(log.contains(#"kind=change message=\"tcp.drop by user"#))
    #expect(log.contains(#"kind=change message=\"mqtt.disconnect by user"#))
  }

  @Test func aRefusedCallIsNoChange() throws {
    let server = try RunningServer()
    let client = try server.connect()
    _ = client.call(
      #"{"jsonrpc":"2.0","id":1,"method":"tcp.drop","params":{"core":1,"id":5000}}"#)
    let log = client.call(#"{"jsonrpc":"2.0","id":1,"method":"log.tail"}"#) ?? ""
    #expect(!log.contains("tcp.drop"))
  }

  @Test func healthThatIsBadIsNews() throws {
    let server = try RunningServer()
    let client = try server.connect()
    for _ in 0..<300 {
      let log = client.call(#"{"jsonrpc":"2.0","id":1,"method":"log.tail"}"#) ?? ""
      if log.contains(#"level=warning kind=health message=\"broker: no broker attached\""#) {
        #expect(!log.contains("uplink"))
        return
      }
      usleep(10_000)
    }
    Issue.record("nothing was said of the broker")
  }

  @Test func streamsOfPipelinesComeByThemselves() throws {
    let server = try RunningServer()
    let client = try server.connect()
    server.source.packetsIn = 3
    _ = client.call(Self.subscribe(#""p4.packetIn""#))
    for number in [2, 1, 0] {
      #expect(
        Self.plain(client.line())
          == #"{"jsonrpc":"2.0","method":"event","params":{"kind":"p4.packetIn",...,"#
          + #""pipeline":"main","content":{"packets":[\#(number)]}}}"#)
    }
  }

  @Test func capturedFramesComeUntilNobodyWantsThem() throws {
    let server = try RunningServer()
    server.source.framesWaiting = 2
    let client = try server.connect()
    _ = client.call(Self.subscribe(#""capture""#))
    #expect(
      client.call(
        #"{"jsonrpc":"2.0","id":2,"method":"capture.start","params":{"port":"uplink"}}"#)
        == #"{"jsonrpc":"2.0","id":2,"result":{"copyBytes":2048}}"#)
    let event = Self.plain(client.line()).replacing(
      /,"nanoseconds":\d+,"frames"/, with: #","frames""#)
    #expect(
      event == #"{"jsonrpc":"2.0","method":"event","params":{"kind":"capture",...,"frames":["#
        + #"{"port":"uplink","core":1,"outgoing":false,"nanoseconds":1000000000,"length":60,"frame":"0700"},"#
        + #"{"port":"uplink","core":1,"outgoing":true,"nanoseconds":1000000001,"length":60,"frame":"0701"}]}}"#
    )
    _ = client.call(Self.subscribe(""))
    for _ in 0..<2_000 where server.source.isCapturing { usleep(1_000) }
    #expect(server.source.deeds == ["capture uplink 2048", "capture ends"])
  }

  @Test func aCaptureIsAFileThatOthersRead() throws {
    let server = try RunningServer()
    server.source.framesWaiting = 5
    let file = server.folder.path + "/config.json"
    let outcome = try CommandTests.dpuctl([
      "--socket", server.folder.socket, "capture", "-n", "2", "--bytes", "64", "--write", file,
    ])
    #expect(outcome == CommandTests.Outcome(status: 0, output: "", complaint: ""))
    let bytes = try [UInt8](Data(contentsOf: URL(fileURLWithPath: file)))
    func word(_ place: Int) -> Int {
      (0..<4).reversed().reduce(0) { $0 << 8 | Int(bytes[place + $1]) }
    }
    // Every block says its length at both ends.
    var types: [Int] = []
    var place = 0
    while place + 12 <= bytes.count {
      types.append(word(place))
      let length = word(place + 4)
      #expect(length % 4 == 0 && word(place + length - 4) == length)
      place += length
    }
    #expect(place == bytes.count)
    #expect(types == [0x0a0d_0d0a, 1, 6, 6])
    let second = bytes.count - word(bytes.count - 4)
    // Of the interface, the bytes there are and there were, the frame, and that it went out.
    #expect([8, 20, 24].map { word(second + $0) } == [0, 2, 60])
    #expect(Array(bytes[(second + 28)..<(second + 32)]) == [7, 1, 0, 0])
    #expect(word(second + 36) == 2)
  }

  @Test func whoDoesNotReadLosesEventsAndIsToldSo() throws {
    let server = try RunningServer()
    let sleeper = try server.connect()
    let other = try server.connect()
    _ = sleeper.call(Self.subscribe(#""change""#))
    // More than the socket and the server hold for it.
    for _ in 0..<40 {
      for _ in 0..<1_000 {
        other.send(
          #"{"jsonrpc":"2.0","method":"log.level","params":{"level":"error"}}"# + "\n")
      }
      if server[.droppedEvents] > 0 { break }
    }
    #expect(server[.droppedEvents] > 0)
    var seen = 0
    while let line = sleeper.line() {
      seen += 1
      if line.contains(#""kind":"lost""#) { break }
      if seen.isMultiple(of: 1_000) {
        // Lets the next event happen that brings the news.
        other.send(#"{"jsonrpc":"2.0","method":"log.level","params":{"level":"error"}}"# + "\n")
      }
    }
    #expect(seen > 1_000)
  }

  @Test(arguments: [
    (
      #"{"jsonrpc":"2.0","id":1,"method":"event.subscribe","params":{"kinds":["x"]}}"#,
      "must be one of: health, change, p4.packetIn, p4.digest, p4.timeout, p4.log"
    ),
    (#"{"jsonrpc":"2.0","id":1,"method":"event.subscribe"}"#, "has no parameter"),
    (
      #"{"jsonrpc":"2.0","id":1,"method":"log.level","params":{"level":"loud"}}"#,
      "must be one of: error, warning, info, debug"
    ),
    (#"{"jsonrpc":"2.0","id":1,"method":"stats.open"}"#, "do not stand in shared memory"),
    (
      #"{"jsonrpc":"2.0","id":1,"method":"rpc.schema","params":{"method":"x"}}"#,
      "there is no method x"
    ),
    (
      #"{"jsonrpc":"2.0","id":1,"method":"port.set","params":{"port":"x","up":true}}"#,
      "there is no port of this name"
    ),
  ])
  func isRefused(line: String, complaint: String) {
    #expect(RequestTests.reply(to: line).contains(complaint))
  }

  @Test func aSchemaSaysWhatAMethodTakes() {
    #expect(
      RequestTests.reply(
        to: #"{"jsonrpc":"2.0","id":1,"method":"rpc.schema","params":{"method":"tcp.drop"}}"#)
        == RequestTests.result(
          #"{"$schema":"https://json-schema.org/draft/2020-12/schema","methods":{"tcp.drop":"#
            + #"{"description":"Ends a TCP connection with a reset.","type":"object","properties":"#
            + #"{"core":{"type":"integer","minimum":0,"maximum":2147483647},"#
            + #""id":{"type":"integer","minimum":0,"maximum":9223372036854775807}},"#
            + #""required":["core","id"],"additionalProperties":false}}}"#))
  }

  @Test func rolesMayDoMoreAndMore() {
    var handler = RequestHandler(source: FakeSource())
    func code(_ method: String, _ role: Caller.Role) -> Bool {
      let line = Text(String(#"{"jsonrpc":"2.0","id":1,"method":"\#(method)"}"#))
      return !handler.handle(line.span, from: Caller(role)).string.contains("-32001")
    }
    for (method, least) in [
      ("tcp.list", Caller.Role.reader), ("p4.table.clear", .operator), ("config.save", .operator),
      ("ebpf.load", .operator), ("event.subscribe", .operator), ("system.shutdown", .administrator),
    ] {
      for role in Caller.Role.allCases {
        #expect(code(method, role) == (role.rawValue >= least.rawValue), "\(method) \(role)")
      }
    }
  }
}
