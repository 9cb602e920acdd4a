import DPUCore
import Testing

@testable import ControlPlane

@Suite struct RequestTests {
  /// The reply to one line from somebody who may write, or may not.
  static func reply(to line: String, mayWrite: Bool = true) -> String {
    var handler = RequestHandler(source: FakeSource())
    return handler.handle(Text(line).span, from: Caller(mayWrite ? .administrator : .reader)).string
  }

  static func call(_ method: String, _ params: String = "") -> String {
    let params = params.isEmpty ? "" : #","params":"# + params
    return reply(to: #"{"jsonrpc":"2.0","id":1,"method":"\#(method)"\#(params)}"#)
  }

  static func result(_ text: String) -> String { #"{"jsonrpc":"2.0","id":1,"result":\#(text)}"# }

  // MARK: Results

  static let answers: [(String, String, String)] = [
    (
      "version.get", "",
      #"{"version":"0.1.0","architecture":"x86_64","interface":1,"dpdk":"DPDK 22.11.7"}"#
    ),
    (
      "system.health", "",
      #"{"status":"degraded","checks":[{"name":"uplink","ok":true,"detail":"link is up"},"#
        + #"{"name":"broker","ok":false,"detail":"no broker attached"}]}"#
    ),
    ("system.uptime", "[]", #"{"milliseconds":61500}"#),
    ("system.shutdown", "{}", #"{"stopping":true}"#),
    (
      "port.list", "",
      #"{"ports":[{"name":"uplink","role":"uplink","device":"net_tap0","driver":"net_tap","#
        + #""mac":"02:00:00:00:00:01","mtu":1500,"queues":2,"linkUp":true,"speedMegabits":0,"#
        + #""receivedPackets":12,"receivedBytes":3456,"sentPackets":0,"sentBytes":0,"#
        + #""missedPackets":0,"receiveErrors":0,"sendErrors":0,"withoutBuffer":0}]}"#
    ),
    (
      "port.get", #"{"port":"uplink"}"#,
      #"{"name":"uplink","role":"uplink","device":"net_tap0","driver":"net_tap","#
        + #""mac":"02:00:00:00:00:01","mtu":1500,"queues":2,"linkUp":true,"speedMegabits":0,"#
        + #""receivedPackets":12,"receivedBytes":3456,"sentPackets":0,"sentBytes":0,"#
        + #""missedPackets":0,"receiveErrors":0,"sendErrors":0,"withoutBuffer":0}"#
    ),
    (
      "port.stats", #"{"port":"uplink"}"#,
      #"{"port":"uplink","counters":{"segmentsReceived":12,"droppedBadChecksum":1},"cores":["#
        + #"{"core":1,"counters":{"segmentsReceived":5,"droppedBadChecksum":0}},"#
        + #"{"core":2,"counters":{"segmentsReceived":7,"droppedBadChecksum":1}}],"#
        + #""device":{"rx_good_packets":12,"rx_errors":0}}"#
    ),
    (
      "core.stats", "",
      #"{"cores":[{"core":1,"turns":100,"busyCycles":500000,"idleCycles":1500000,"#
        + #""cyclesPerSecond":1000000,"counters":{}},{"core":2,"turns":90,"busyCycles":0,"#
        + #""idleCycles":90000000,"cyclesPerSecond":1000000,"counters":{}}]}"#
    ),
    (
      "mem.stats", "",
      #"{"pools":[{"name":"payload blocks","core":1,"pieceBytes":2048,"capacity":100,"free":90,"#
        + #""lowWater":80},{"name":"packet buffers","core":null,"pieceBytes":2176,"#
        + #""capacity":8191,"free":8000,"lowWater":null}]}"#
    ),
    (
      "tcp.stats", "",
      #"{"counters":{"segmentsReceived":12,"droppedBadChecksum":1},"cores":["#
        + #"{"core":1,"counters":{"segmentsReceived":5,"droppedBadChecksum":0}},"#
        + #"{"core":2,"counters":{"segmentsReceived":7,"droppedBadChecksum":1}}]}"#
    ),
    (
      "tcp.list", #"{"offset":7,"limit":1}"#,
      #"{"total":5000,"offset":7,"connections":[{"core":1,"id":7,"remote":"10.77.0.2:40000","#
        + #""local":"[fd77::1]:1883","state":"ESTABLISHED","service":"mqtt","receivedBytes":0,"#
        + #""sentBytes":0,"receiveQueued":0,"sendQueued":0,"congestionWindow":0,"#
        + #""smoothedRTTMicroseconds":120,"retransmissions":0,"ageMilliseconds":0}]}"#
    ),
    ("mqtt.stats", "", #"{"counters":{},"cores":[]}"#),
    (
      "mqtt.topics", "",
      #"{"total":2,"offset":0,"subscriptions":[{"core":1,"filter":"a/+/#","shared":false,"clientID":"sensor-7","#
        + #""grantedQoS":1,"noLocal":true,"identifier":7},{"core":2,"filter":"b","shared":true,"clientID":null,"#
        + #""grantedQoS":0,"noLocal":false,"identifier":0}]}"#
    ),
    (
      "mqtt.topics", #"{"offset":1,"limit":5}"#,
      #"{"total":2,"offset":1,"subscriptions":[{"core":2,"filter":"b","shared":true,"clientID":null,"#
        + #""grantedQoS":0,"noLocal":false,"identifier":0}]}"#
    ),
    (
      "mqtt.explain", #"{"topic":"a/\"b\"\u00e9"}"#,
      #"{"topic":"a/\"b\"é","decision":"relay","reason":"noVerdict","certified":true,"#
        + #""verdict":"none","verdictAgeMilliseconds":null,"generation":3,"#
        + #""matchingSubscriptions":1,"receivers":[{"core":1,"clientID":"sensor-7","#
        + #""grantedQoS":1}]}"#
    ),
    (
      "link.stats", "",
      #"{"links":[{"core":1,"up":true,"stalled":false,"certified":false,"#
        + #""objections":["kernelConnection"],"listeners":["0.0.0.0:1883"],"channels":0}],"#
        + #""counters":{},"cores":[]}"#
    ),
    ("p4.list", "", #"{"called":"p4.list"}"#),
    (
      "p4.table.get", #"{"table":"acl","entry":7,"pipeline":"fw"}"#,
      #"{"called":"p4.table.get","pipeline":"$.params.pipeline","table":"$.params.table","#
        + #""entry":"$.params.entry"}"#
    ),
  ]

  @Test(arguments: answers) func isAnswered(method: String, params: String, expected: String) {
    #expect(Self.call(method, params) == Self.result(expected))
  }

  @Test func everyMethodIsListed() {
    let list = Self.call("rpc.list")
    for method in Method.allCases {
      #expect(list.contains(#"{"name":"\#(Text(stringLiteral: method.name).string)","#))
    }
    for method in PipelineMethod.allCases {
      #expect(list.contains(#"{"name":"\#(Text(stringLiteral: method.name).string)","#))
    }
    #expect(
      list.contains(
        #""parameters":[{"name":"topic","required":true},{"name":"client","required":false}]"#))
  }

  @Test func aFullPageFitsAReply() {
    let reply = Self.call("tcp.list", #"{"limit":1000}"#)
    #expect(reply.hasPrefix(#"{"jsonrpc":"2.0","id":1,"result""#))
    #expect(reply.utf8.count < Limits.replyBytes / 4)
  }

  @Test func beyondTheEndOfAListingIsAnEmptyPage() {
    #expect(
      Self.call("tcp.list", #"{"offset":9000}"#)
        == Self.result(#"{"total":5000,"offset":9000,"connections":[]}"#))
  }

  // MARK: Refusals

  /// The line, and the error that answers it: id, code, message, data.
  static let refusals: [(String, String)] = [
    // Not JSON.
    ("", #"null|-32700|unexpected token near end of file|{"line":1,"column":1}"#),
    ("{", #"null|-32700|string or '}' expected near end of file|{"line":1,"column":2}"#),
    (
      #"{"jsonrpc":"2.0","id":1,"method":}"#,
      #"null|-32700|unexpected token near '}'|{"line":1,"column":34}"#
    ),
    (
      #"{"id":1,"id":2}"#,
      #"null|-32700|duplicate object key near '\"id\"'|{"line":1,"column":9}"#
    ),
    ("{} {}", #"null|-32700|end of file expected near '{'|{"line":1,"column":4}"#),
    // Not a request.
    ("7", #"null|-32600|must be an object, is an integer|{"path":"$"}"#),
    ("{}", #"null|-32600|has no \"jsonrpc\"|{"path":"$"}"#),
    (#"{"jsonrpc":"2.0","id":1}"#, #"1|-32600|has no \"method\"|{"path":"$"}"#),
    (
      #"{"jsonrpc":"1.0","id":1,"method":"rpc.list"}"#,
      #"1|-32600|must be \"2.0\"|{"path":"$.jsonrpc"}"#
    ),
    (
      #"{"jsonrpc":"2.0","id":"x","method":7}"#,
      #""x"|-32600|must be a string, is an integer|{"path":"$.method"}"#
    ),
    (
      #"{"jsonrpc":"2.0","id":1.5,"method":"rpc.list"}"#,
      #"null|-32600|must be a string, an integer or null|{"path":"$.id"}"#
    ),
    (
      #"{"jsonrpc":"2.0","id":1,"method":"rpc.list","parms":{}}"#,
      #"1|-32600|unknown key; known are jsonrpc, id, method, params|{"path":"$.parms"}"#
    ),
    (
      #"{"jsonrpc":"2.0","id":1,"method":"rpc.list","params":"x"}"#,
      #"1|-32600|must be an object|{"path":"$.params"}"#
    ),
    ("[]", #"null|-32600|a batch holds 1 to 64 requests|{"path":"$"}"#),
    // No such method.
    (
      #"{"jsonrpc":"2.0","id":1,"method":"tcp.lost"}"#,
      #"1|-32601|there is no method tcp.lost; rpc.list tells those there are|"#
        + #"{"path":"$.method"}"#
    ),
    // Wrong parameters.
    (
      #"{"jsonrpc":"2.0","id":1,"method":"rpc.list","params":{"a":1}}"#,
      #"1|-32602|rpc.list takes no parameters|{"path":"$.params.a"}"#
    ),
    (
      #"{"jsonrpc":"2.0","id":1,"method":"tcp.list","params":[1]}"#,
      #"1|-32602|must be an object, is an array|{"path":"$.params"}"#
    ),
    (
      #"{"jsonrpc":"2.0","id":1,"method":"tcp.list","params":{"limt":1}}"#,
      #"1|-32602|unknown parameter; known are offset, limit|{"path":"$.params.limt"}"#
    ),
    (
      #"{"jsonrpc":"2.0","id":1,"method":"tcp.list","params":{"limit":0}}"#,
      #"1|-32602|must lie between 1 and 1000, is 0|{"path":"$.params.limit"}"#
    ),
    (
      #"{"jsonrpc":"2.0","id":1,"method":"tcp.list","params":{"offset":"0"}}"#,
      #"1|-32602|must be an integer, is a string|{"path":"$.params.offset"}"#
    ),
    (
      #"{"jsonrpc":"2.0","id":1,"method":"mqtt.explain"}"#,
      #"1|-32602|has no parameter \"topic\"|{"path":"$"}"#
    ),
    (
      #"{"jsonrpc":"2.0","id":1,"method":"mqtt.explain","params":{"topic":""}}"#,
      #"1|-32602|must not be empty|{"path":"$.params.topic"}"#
    ),
    // What the firmware cannot answer.
    (
      #"{"jsonrpc":"2.0","id":1,"method":"mqtt.explain","params":{"topic":"a","client":"nobody"}}"#,
      "1|-32006|no client of that name is connected|"
    ),
    (
      #"{"jsonrpc":"2.0","id":1,"method":"port.get","params":{"port":"eth0"}}"#,
      #"1|-32006|there is no port of this name|{"path":"$.params.port"}"#
    ),
    (
      #"{"jsonrpc":"2.0","id":1,"method":"port.stats","params":{"port":"eth0"}}"#,
      "1|-32006|there is no port of this name|"
    ),
    (
      #"{"jsonrpc":"2.0","id":1,"method":"port.stats"}"#,
      #"1|-32602|has no parameter \"port\"|{"path":"$"}"#
    ),
    (
      #"{"jsonrpc":"2.0","id":1,"method":"mqtt.clients"}"#,
      "1|-32000|core 2 did not answer in time|"
    ),
    // Pipelines.
    (
      #"{"jsonrpc":"2.0","id":1,"method":"p4.register.read","params":{"index":7}}"#,
      #"1|-32602|has no parameter \"register\"|{"path":"$.params"}"#
    ),
    (
      #"{"jsonrpc":"2.0","id":1,"method":"p4.table.clear","params":{"table":"t","entry":7}}"#,
      #"1|-32602|unknown parameter; known are pipeline, table|{"path":"$.params.entry"}"#
    ),
    (
      #"{"jsonrpc":"2.0","id":1,"method":"p4.list","params":{"pipeline":"x"}}"#,
      #"1|-32602|p4.list takes no parameters|{"path":"$.params.pipeline"}"#
    ),
    (
      #"{"jsonrpc":"2.0","id":1,"method":"p4.unload"}"#,
      #"1|-32008|is busy|{"path":"$","reason":"busy"}"#
    ),
  ]

  @Test(arguments: refusals) func isRefused(line: String, expected: String) {
    let parts = expected.split(separator: "|", omittingEmptySubsequences: false)
    let data = parts[3].isEmpty ? "" : #","data":\#(parts[3])"#
    let error = #"{"code":\#(parts[1]),"message":"\#(parts[2])"\#(data)}"#
    #expect(Self.reply(to: line) == #"{"jsonrpc":"2.0","id":\#(parts[0]),"error":\#(error)}"#)
  }

  @Test func aReaderMayNotShutDown() {
    let source = FakeSource()
    var handler = RequestHandler(source: source)
    let line = Text(#"{"jsonrpc":"2.0","id":1,"method":"system.shutdown"}"#)
    let reply = handler.handle(line.span, from: Caller(.reader)).string
    #expect(
      reply == #"{"jsonrpc":"2.0","id":1,"error":{"code":-32001,"message":"#
        + #""system.shutdown is for root and the firmware's own user"}}"#)
    #expect(!source.isShutDown)
    let refused = handler.counters[.refusedPermission]
    #expect(refused == 1)
  }

  @Test func whatIsRequiredIsTakenAndWhatABatchHoldsIsAWrite() {
    for method in PipelineMethod.allCases {
      for parameter in PipelineParameter.allCases where method.requires(parameter) {
        #expect(method.takes(parameter), "\(method) requires \(parameter)")
      }
      #expect(method.isWrite || !method.isBatchable, "\(method)")
    }
  }

  @Test func aReaderMayNotWriteTables() {
    let line = #"{"jsonrpc":"2.0","id":1,"method":"p4.table.clear","params":{"table":"acl"}}"#
    #expect(Self.reply(to: line, mayWrite: false).contains("-32001"))
    #expect(Self.reply(to: line).contains(#""called":"p4.table.clear""#))
  }

  // MARK: Notifications and batches

  @Test(arguments: [
    #"{"jsonrpc":"2.0","method":"rpc.list"}"#,
    #"{"jsonrpc":"2.0","method":"no.such"}"#,
    #"{"jsonrpc":"2.0","method":"tcp.list","params":{"limit":0}}"#,
    #"[{"jsonrpc":"2.0","method":"rpc.list"},{"jsonrpc":"2.0","method":"no.such"}]"#,
  ])
  func aNotificationGetsNoReply(line: String) { #expect(Self.reply(to: line) == "") }

  @Test func aBatchIsAnsweredInOrder() {
    let uptime = #""method":"system.uptime""#
    let reply = Self.reply(
      to: #"[{"jsonrpc":"2.0","id":1,\#(uptime)},3,{"jsonrpc":"2.0",\#(uptime)},"#
        + #"{"jsonrpc":"2.0","id":"b",\#(uptime),"params":{"x":1}}]"#)
    #expect(
      reply == #"[{"jsonrpc":"2.0","id":1,"result":{"milliseconds":61500}},"#
        + #"{"jsonrpc":"2.0","id":null,"error":{"code":-32600,"#
        + #""message":"must be an object, is an integer","data":{"path":"$[1]"}}},"#
        + #"{"jsonrpc":"2.0","id":"b","error":{"code":-32602,"#
        + #""message":"system.uptime takes no parameters","data":{"path":"$[3].params.x"}}}]"#)
  }

  @Test func aBatchCannotGrowAReplyWithoutEnd() {
    let page = #"{"jsonrpc":"2.0","id":1,"method":"tcp.list","params":{"limit":1000}}"#
    let batch = "[" + Array(repeating: page, count: 64).joined(separator: ",") + "]"
    let reply = Self.reply(to: batch)
    #expect(reply.utf8.count <= Limits.replyBytes)
    #expect(reply.contains(#""error":{"code":-32005,"#))
  }

  @Test func errorsDoNotRepeatWhatIsLong() {
    let long = String(repeating: "\u{7f}", count: 10_000)
    for request in [
      #"{"jsonrpc":"2.0","id":"\#(long)","method":"rpc.list"}"#,
      #"{"jsonrpc":"2.0","id":1,"method":"\#(long)"}"#,
      #"{"jsonrpc":"2.0","id":1,"method":"rpc.list","\#(long)":1}"#,
      #"{"jsonrpc":"2.0","id":1,"method":"rpc.list","params":{"\#(long)":1}}"#,
      "\(long)",
    ] {
      let reply = Self.reply(to: request)
      #expect(reply.contains(#""error":{"code":-32"#))
      #expect(reply.utf8.count < 4_096)
    }
  }

  @Test func refusalsAreCounted() {
    var handler = RequestHandler(source: FakeSource())
    for (line, _) in Self.refusals {
      _ = handler.handle(Text(line).span, from: Caller(.administrator))
    }
    let parse = handler.counters[.refusedParse]
    let invalid = handler.counters[.refusedInvalidRequest]
    let unknown = handler.counters[.refusedUnknownMethod]
    let parameters = handler.counters[.refusedInvalidParameters]
    let notFound = handler.counters[.refusedNotFound]
    let noAnswer = handler.counters[.refusedNoAnswer]
    let byPipeline = handler.counters[.refusedByPipeline]
    #expect([parse, invalid, unknown, parameters, notFound, noAnswer] == [5, 9, 1, 11, 3, 1])
    #expect(byPipeline == 1)
  }
}
