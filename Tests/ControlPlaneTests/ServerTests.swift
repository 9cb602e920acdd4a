import DPUCore
import Glibc
import Testing

@testable import ControlPlane

/// A server on a socket of its own, stopped at the end.
final class RunningServer {
  let folder = TemporaryFolder()
  let source = FakeSource()
  private let server: ControlServer<FakeSource>

  init(_ patience: Patience = Patience(), configuration: Configuration? = nil) throws {
    var control = Configuration.Control()
    control.socket = Text(folder.socket)
    let listener = try ControlListener(control)
    let source = source
    let file = Text(folder.path + "/config.json")
    let keeper = configuration.map {
      ConfigurationKeeper($0, file: file, source: source)
    }
    server = try ControlServer(listener, source: source, keeper: keeper, patience: patience)
    try server.start(on: .current())
  }

  deinit { server.stop() }

  func connect() throws -> TestClient { try #require(TestClient(folder.socket)) }
  subscript(counter: ControlCounter) -> UInt64 { server.counters.value(counter) }

  /// Waits for a counter that another thread is about to write.
  func reaches(_ counter: ControlCounter, _ value: UInt64) -> Bool {
    for _ in 0..<5_000 {
      if self[counter] == value { return true }
      usleep(1_000)
    }
    return false
  }
}

@Suite struct ServerTests {
  static func request(_ id: Int, _ method: String = "system.uptime") -> String {
    #"{"jsonrpc":"2.0","id":\#(id),"method":"\#(method)"}"#
  }
  static func uptime(_ id: Int) -> String {
    #"{"jsonrpc":"2.0","id":\#(id),"result":{"milliseconds":61500}}"#
  }

  // MARK: Lines

  @Test func requestsOnOneConnectionAreAnsweredInOrder() throws {
    let server = try RunningServer()
    let client = try server.connect()
    #expect(client.call(Self.request(1)) == Self.uptime(1))
    // Many at once, the last in two pieces.
    client.send((2...1_000).map { Self.request($0) + "\n" }.joined() + #"{"jsonrpc":"2.0","#)
    for id in 2...1_000 { #expect(client.line() == Self.uptime(id)) }
    #expect(client.call(#""id":1001,"method":"system.uptime"}"#) == Self.uptime(1_001))
    #expect(server[.answered] == 1_001)
  }

  @Test func aClientThatEndsIsStillAnswered() throws {
    let server = try RunningServer()
    let client = try server.connect()
    // The last line without a line feed, as `printf … | nc -NU` sends it.
    client.send(Self.request(1) + "\n" + Self.request(2))
    client.sendEnd()
    #expect(client.line() == Self.uptime(1))
    #expect(client.line() == Self.uptime(2))
    #expect(client.line() == nil)
  }

  @Test func aNotificationOfAClientThatIsGoneIsObeyed() throws {
    let server = try RunningServer()
    do {
      let client = try server.connect()
      client.send(#"{"jsonrpc":"2.0","method":"system.shutdown"}"# + "\n")
    }
    #expect(server.reaches(.answered, 1))
    #expect(server.source.isShutDown)
  }

  @Test func aParseErrorLeavesTheConnectionUsable() throws {
    let server = try RunningServer()
    let client = try server.connect()
    #expect(client.call("{")?.contains("-32700") == true)
    #expect(client.call(Self.request(2)) == Self.uptime(2))
  }

  // MARK: Limits

  @Test func aRequestOfTheFullSizeIsAnsweredAndOneByteMoreIsNot() throws {
    let server = try RunningServer()
    let client = try server.connect()
    let padding = String(repeating: " ", count: Limits.requestBytes - Self.request(1).utf8.count)
    #expect(client.call(Self.request(1) + padding) == Self.uptime(1))
    client.send(Self.request(2) + padding + " \n")
    #expect(
      client.line() == #"{"jsonrpc":"2.0","id":null,"error":{"code":-32003,"#
        + #""message":"a request has at most 1048576 bytes"}}"#)
    #expect(client.line() == nil)
    #expect(server[.closedRequestTooLarge] == 1)
  }

  @Test func aRequestWithoutEndIsCutOff() throws {
    let server = try RunningServer()
    let client = try server.connect()
    let piece = String(repeating: "x", count: 1 << 20)
    while client.send(piece) {}
    #expect(server.reaches(.closedRequestTooLarge, 1))
  }

  @Test func halfARequestIsNotWaitedForLong() throws {
    var patience = Patience()
    patience.halfRequest = .milliseconds(200)
    let server = try RunningServer(patience)
    let idle = try server.connect()
    let half = try server.connect()
    half.send(#"{"jsonrpc":"#)
    #expect(
      half.line() == #"{"jsonrpc":"2.0","id":null,"error":{"code":-32004,"#
        + #""message":"the rest of the request did not come in time"}}"#)
    #expect(half.line() == nil)
    #expect(server[.closedHalfRequest] == 1)
    // Nothing at all is no half request.
    #expect(idle.call(Self.request(1)) == Self.uptime(1))
  }

  @Test func drippingDoesNotProlongARequestForEver() throws {
    var patience = Patience()
    patience.wholeRequest = .milliseconds(300)
    let server = try RunningServer(patience)
    let client = try server.connect()
    var pieces = 0
    while client.send(" "), pieces < 1_000 {
      usleep(20_000)
      pieces += 1
    }
    #expect(server[.closedHalfRequest] == 1)
    #expect(pieces < 100)
  }

  // MARK: Bodies

  static func write(_ id: Int, _ bytes: String, _ more: String = "") -> String {
    #"{"jsonrpc":"2.0","id":\#(id),"method":"p4.write","params":{"bytes":\#(bytes)\#(more)}}"#
  }
  static func written(_ id: Int, _ bytes: Int) -> String {
    #"{"jsonrpc":"2.0","id":\#(id),"result":{"called":"p4.write","body":\#(bytes),"#
      + #""bytes":"$.params.bytes"}}"#
  }

  @Test func aBodyIsNoLine() throws {
    let server = try RunningServer()
    let client = try server.connect()
    let body = #"{"jsonrpc":"2.0","id":9,"method":"system.shutdown"}"# + "\n\n"
    client.send(
      Self.write(1, "\(body.utf8.count)") + "\n" + body + Self.write(2, "0") + "\n"
        + Self.request(3) + "\n")
    #expect(client.line() == Self.written(1, body.utf8.count))
    #expect(client.line() == Self.written(2, 0))
    #expect(client.line() == Self.uptime(3))
    #expect(!server.source.isShutDown)
  }

  @Test func aBodyMayComeInPiecesAndBeAsLongAsALine() throws {
    let server = try RunningServer()
    let client = try server.connect()
    client.send(Self.write(1, "3") + "\n")
    for byte: UInt8 in [10, 0, 255] {
      usleep(20_000)
      #expect(server[.answered] == 0)
      client.send([byte])
    }
    #expect(client.line() == Self.written(1, 3))
    client.send(Self.write(2, "\(Limits.bodyBytes)") + "\n")
    client.send([UInt8](repeating: 10, count: Limits.bodyBytes))
    #expect(client.line() == Self.written(2, Limits.bodyBytes))
    #expect(client.call(Self.request(3)) == Self.uptime(3))
  }

  @Test func theBodyOfARefusedRequestIsSkipped() throws {
    let server = try RunningServer()
    let client = try server.connect()
    client.send(Self.write(1, "4", #","colour":1"#) + "\n{}\n\n" + Self.request(2) + "\n")
    #expect(client.line()?.contains("unknown parameter") == true)
    #expect(client.line() == Self.uptime(2))
    // Not even JSON-RPC.
    client.send(#"{"method":"p4.write","params":{"bytes":2}}"# + "\n\n\n" + Self.request(3) + "\n")
    #expect(client.line()?.contains("-32600") == true)
    #expect(client.line() == Self.uptime(3))
    #expect(server[.refusedInvalidParameters] == 1)
    #expect(server[.refusedInvalidRequest] == 1)
  }

  @Test func noRequestInAnArrayHasABody() throws {
    let server = try RunningServer()
    let client = try server.connect()
    client.send(
      "[\(Self.write(1, "2")),\(Self.request(2)),\(Self.write(3, "1"))]\n\n\n\n"
        + Self.request(4) + "\n")
    func refusal(_ id: Int, _ index: Int) -> String {
      #"{"jsonrpc":"2.0","id":\#(id),"error":{"code":-32600,"message":"a request with a body "#
        + #"stands in no array of requests","data":{"path":"$[\#(index)].method"}}}"#
    }
    #expect(client.line() == "[\(refusal(1, 0)),\(Self.uptime(2)),\(refusal(3, 2))]")
    #expect(client.line() == Self.uptime(4))
    #expect(server[.refusedInvalidRequest] == 2)
  }

  @Test(arguments: ["\(Limits.bodyBytes + 1)", "\(Int64.max)"])
  func aBodyThatIsTooLongIsNotWaitedFor(bytes: String) throws {
    let server = try RunningServer()
    let client = try server.connect()
    client.send(Self.write(1, bytes) + "\n")
    #expect(
      client.line() == #"{"jsonrpc":"2.0","id":null,"error":{"code":-32003,"#
        + #""message":"a body has at most 1048576 bytes"}}"#)
    #expect(client.line() == nil)
    #expect(server[.closedRequestTooLarge] == 1)
    let other = try server.connect()
    other.send("[" + Self.write(1, bytes) + "," + Self.write(2, bytes) + "]\n")
    #expect(other.line()?.contains("-32003") == true)
    #expect(other.line() == nil)
  }

  @Test(arguments: [#""7""#, "-1", "7.5", "null"])
  func whereNobodyKnowsTheLengthTheConnectionEnds(bytes: String) throws {
    let server = try RunningServer()
    let client = try server.connect()
    client.send(Self.write(1, bytes) + "\n" + Self.request(2) + "\n")
    #expect(client.line()?.contains(#""path":"$.params.bytes""#) == true)
    #expect(client.line() == nil)
    #expect(server[.refusedInvalidParameters] == 1)
  }

  @Test func halfABodyIsNotWaitedForLong() throws {
    var patience = Patience()
    patience.halfRequest = .milliseconds(200)
    patience.wholeRequest = .milliseconds(500)
    let server = try RunningServer(patience)
    let silent = try server.connect()
    silent.send(Self.write(1, "2") + "\n")
    #expect(silent.line()?.contains("-32004") == true)
    #expect(silent.line() == nil)
    let slow = try server.connect()
    slow.send(Self.write(1, "1000") + "\n")
    var pieces = 0
    while slow.send("x"), pieces < 1_000 {
      usleep(20_000)
      pieces += 1
    }
    #expect(pieces < 100)
    let gone = try server.connect()
    gone.send(Self.write(1, "2") + "\nx")
    gone.sendEnd()
    #expect(
      gone.line() == #"{"jsonrpc":"2.0","id":null,"error":{"code":-32004,"#
        + #""message":"the connection ended before the body did"}}"#)
    #expect(gone.line() == nil)
    #expect(server[.closedHalfRequest] == 3)
    #expect(server[.answered] == 0)
  }

  // MARK: Connections

  @Test func theSixtyFifthConnectionIsRefused() throws {
    let server = try RunningServer()
    var clients: [TestClient] = []
    for id in 0..<64 {
      let client = try server.connect()
      #expect(client.call(Self.request(id)) == Self.uptime(id))
      clients.append(client)
    }
    let last = try server.connect()
    #expect(
      last.line() == #"{"jsonrpc":"2.0","id":null,"error":{"code":-32002,"#
        + #""message":"64 connections are open already"}}"#)
    #expect(last.line() == nil)
    #expect(server[.refusedTooManyConnections] == 1)
    // One goes, one comes.
    clients.removeLast()
    let next = try server.connect()
    #expect(next.call(Self.request(99)) == Self.uptime(99))
  }

  @Test func clientsThatComeAndGoTakeNoSlots() throws {
    let server = try RunningServer()
    for _ in 0..<1_000 { _ = try server.connect() }
    let client = try server.connect()
    #expect(client.call(Self.request(1)) == Self.uptime(1))
    #expect(server[.refusedTooManyConnections] == 0)
  }

  @Test func aClientThatDoesNotReadHarmsOnlyItself() throws {
    var patience = Patience()
    patience.unreadReply = .milliseconds(500)
    let server = try RunningServer(patience)
    let deaf = try server.connect()
    let list = #"{"jsonrpc":"2.0","id":1,"method":"tcp.list","params":{"limit":1000}}"# + "\n"
    deaf.send(String(repeating: list, count: 200))
    let other = try server.connect()
    for id in 0..<100 { #expect(other.call(Self.request(id)) == Self.uptime(id)) }
    // What is not read is not produced either.
    #expect(server[.answered] < 150)
    #expect(server.reaches(.closedUnreadReply, 1))
    #expect(other.call(Self.request(100)) == Self.uptime(100))
  }

  @Test func stoppingClosesConnectionsAndRemovesTheSocket() throws {
    let folder: TemporaryFolder
    let client: TestClient
    do {
      let server = try RunningServer()
      folder = server.folder
      client = try server.connect()
      #expect(client.call(Self.request(1)) == Self.uptime(1))
    }
    #expect(client.line() == nil)
    #expect(!folder.exists("control.sock"))
    #expect(!folder.exists("control.sock.lock"))
  }
}

@Suite struct ListenerTests {
  let folder = TemporaryFolder()

  func control(mode: UInt32 = 0o660, group: Text? = nil) -> Configuration.Control {
    Configuration.Control(socket: Text(folder.socket), mode: mode, group: group)
  }

  func complaint(_ control: Configuration.Control) -> String? {
    do {
      _ = try ControlListener(control)
      return nil
    } catch {
      return error.message.string
    }
  }

  @Test(arguments: [UInt32(0o600), 0o660, 0o666]) func theModeIsThatOfTheConfiguration(
    mode: UInt32
  ) throws {
    let listener = try ControlListener(control(mode: mode))
    var status = stat()
    #expect(stat(listener.path.string, &status) == 0)
    #expect(status.st_mode & 0o777 == mode)
  }

  @Test func theSocketOfADeadProcessIsReplaced() throws {
    leaveDeadSocket(folder.socket)
    #expect(folder.exists("control.sock"))
    #expect(complaint(control()) == nil)
  }

  @Test func aSecondFirmwareIsRefused() throws {
    let first = try ControlListener(control())
    let refusal = "\(folder.socket): another firmware already serves this socket"
    #expect(complaint(control()) == refusal)
    // And did not take the socket away.
    #expect(TestClient(folder.socket) != nil)
    // Even without the lock a socket that answers is left alone.
    unlink(folder.socket + ".lock")
    #expect(complaint(control()) == refusal)
    #expect(TestClient(folder.socket) != nil)
    withExtendedLifetime(first) {}
  }

  @Test func whatIsNoSocketIsLeftAlone() {
    close(open(folder.socket, O_CREAT | O_WRONLY, 0o600))
    #expect(
      complaint(control()) == "\(folder.socket): something that is not a socket stands there")
    #expect(folder.exists("control.sock"))
    #expect(!folder.exists("control.sock.lock"))
  }

  @Test func impossiblePlacesAreNamed() {
    #expect(complaint(control(group: "no-such-group")) == "there is no group no-such-group")
    var deep = control()
    deep.socket = Text(folder.path + "/a/b/control.sock")
    #expect(
      complaint(deep)
        == "\(folder.path)/a/b/control.sock: cannot listen: No such file or directory")
  }
}
