import CLinux
import DPUCore
import Foundation
import Glibc
import HostLink

/// One client's TCP connection.
final class Client {
  let socket: Int32
  let lane: Int
  let channel: SlabHandle
  /// Bytes of the broker that the client's socket did not take.
  var backlog: [UInt8] = []
  var clientShut = false
  var brokerShut = false
  /// The broker closed; what is left in the backlog still goes out.
  var closing: CloseReason?
  /// Bytes for which no credit was given back yet.
  var owed = 0

  init(socket: Int32, lane: Int, channel: SlabHandle) {
    self.socket = socket
    self.lane = lane
    self.channel = channel
  }
}

/// What a worker of the firmware would own.
struct Lane: ~Copyable {
  var link: WorkerLink
  var slots = Slab<Int32>(repeating: -1, capacity: 4096)
  let bell: Int32
}

/// Moves bytes between TCP clients and the link, on one thread for all lanes.
struct Relay: ~Copyable {
  private enum Tag {
    static let input: UInt64 = 0, listener: UInt64 = 1, bell: UInt64 = 2, client: UInt64 = 16
  }

  private let tcpListener: Int32
  private let local: LinkAddress
  private let usesIPv6: Bool
  private let listener: HostLinkListener
  private let epoll = clinux_link_epoll_create()
  private let lanes: UnsafeMutablePointer<Lane>
  private let laneCount: Int
  private var clients: [Int32: Client] = [:]
  /// Sockets that may hold unread bytes.
  private var readable: Set<Int32> = []
  private var nextLane = 0
  private var holdsCredit = false
  private var isRunning = true
  private var input: [UInt8] = []

  init(
    linkSocket: Int32, streamListener: HostLinkStreamListener?, tcpListener: Int32,
    brokerPort: UInt16, workers: Int, ringBytes: Int, usesIPv6: Bool
  ) {
    self.tcpListener = tcpListener
    self.usesIPv6 = usesIPv6
    local =
      usesIPv6
      ? LinkAddress(high: 0xfd77_0000_0000_0000, low: 1, port: brokerPort)
      : LinkAddress(ipv4: 0x0a4d_0001, port: brokerPort)
    listener = HostLinkListener(
      listener: linkSocket, streamListener: streamListener, workers: workers,
      channelsPerWorker: 4096, ringBytes: ringBytes)!
    laneCount = workers
    lanes = .allocate(capacity: workers)
    let readable = UInt32(CLINUX_LINK_READABLE)
    _ = clinux_link_epoll_add(epoll, 0, readable, Tag.input)
    _ = clinux_link_epoll_add(epoll, tcpListener, readable, Tag.listener)
    for worker in 0..<workers {
      let mailbox = listener.mailbox(worker)
      (lanes + worker).initialize(
        to: Lane(
          link: WorkerLink(mailbox, channelsMax: 4096), bell: mailbox.workerBell))
      _ = clinux_link_epoll_add(epoll, mailbox.workerBell, readable, Tag.bell)
    }
    var processors = clinux_control_processors()
    _ = clinux_control_processors_now(&processors)
    precondition(listener.start(on: processors) == 0)
  }

  private static var now: Instant { Instant(nanoseconds: clinux_link_clock()) }

  mutating func run() {
    var events = [clinux_link_event](repeating: clinux_link_event(), count: 256)
    while isRunning {
      let now = Self.now
      for lane in 0..<laneCount {
        lanes[lane].link.beginTurn(now: now)
        takeLinkEvents(lane)
      }
      for socket in readable {
        if let client = clients[socket] { readClient(client) } else { readable.remove(socket) }
      }
      var mayWait = true
      for lane in 0..<laneCount {
        lanes[lane].link.finishTurn(now: now)
        if !lanes[lane].link.link.prepareToSleep() { mayWait = false }
      }
      // The listener's thread rings nobody for its commands, so the wait is short.
      let count = clinux_link_epoll_wait(epoll, &events, 256, mayWait ? 20 : 0)
      for lane in 0..<laneCount { lanes[lane].link.link.awake() }
      for event in events[..<Int(max(0, count))] { handle(event) }
    }
    listener.stop()
  }

  private mutating func handle(_ event: clinux_link_event) {
    switch event.tag {
    case Tag.input: readInput()
    case Tag.listener: acceptClients()
    case Tag.bell: for lane in 0..<laneCount { clinux_link_eventfd_take(lanes[lane].bell) }
    default:
      guard let client = clients[Int32(event.tag - Tag.client)] else { return }
      readable.insert(client.socket)
      if event.events & UInt32(CLINUX_LINK_WRITABLE) != 0 { writeClient(client) }
    }
  }

  // MARK: Standard input

  private mutating func readInput() {
    var buffer = [UInt8](repeating: 0, count: 4096)
    let count = read(0, &buffer, buffer.count)
    guard count > 0 else {
      isRunning = false
      return
    }
    input += buffer[..<count]
    while let end = input.firstIndex(of: 10) {
      let words = String(decoding: input[..<end], as: UTF8.self).split(separator: " ")
      input.removeFirst(end + 1)
      switch words.first {
      case "quit": isRunning = false
      case "hold": holdsCredit = true
      case "release":
        holdsCredit = false
        for client in clients.values { giveCredit(client) }
      case "certified":
        let all = (0..<laneCount).allSatisfy { lanes[$0].link.link.certified }
        say("certified \(all) flags \(lanes[0].link.link.certificate.rawValue)")
      case "counters":
        for lane in 0..<laneCount {
          let counters = lanes[lane].link.link.counters
          say("counters \(LinkCounter.allCases.map { "\($0.name)=\(counters.value($0))" })")
        }
      case "listener":
        let counters = listener.counters.reader
        say("listener \(HostLinkCounter.allCases.map { "\($0.name)=\(counters.value($0))" })")
      case "flush":
        for lane in 0..<laneCount {
          say("flush \(lanes[lane].link.link.flush(token: UInt32(words[1])!))")
        }
      default: say("unknown command")
      }
    }
  }

  // MARK: Clients

  private mutating func acceptClients() {
    while true {
      var address = sockaddr_in()
      var length = socklen_t(16)
      let accepted = withUnsafeMutablePointer(to: &address) {
        $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
          accept(tcpListener, $0, &length)
        }
      }
      guard accepted >= 0 else { return }
      _ = fcntl(accepted, F_SETFL, O_NONBLOCK)
      var one: Int32 = 1
      setsockopt(accepted, Int32(IPPROTO_TCP), TCP_NODELAY, &one, 4)
      let lane = nextLane
      nextLane = (nextLane + 1) % laneCount
      let host = UInt32(bigEndian: address.sin_addr.s_addr)
      let from = UInt16(bigEndian: address.sin_port)
      let peer =
        usesIPv6
        ? LinkAddress(high: local.high, low: UInt64(host), port: from)
        : LinkAddress(ipv4: host & 0xff_ffff | 0x0a00_0000, port: from)
      guard let channel = lanes[lane].slots.insert(accepted) else {
        close(accepted)
        continue
      }
      guard lanes[lane].link.link.open(channel, local: local, peer: peer) else {
        say("open refused")
        lanes[lane].slots.remove(channel)
        reset(accepted)
        continue
      }
      clients[accepted] = Client(socket: accepted, lane: lane, channel: channel)
      let events = UInt32(CLINUX_LINK_READABLE) | UInt32(CLINUX_LINK_EDGE)
      _ = clinux_link_epoll_add(epoll, accepted, events, Tag.client + UInt64(accepted))
    }
  }

  private func reset(_ socket: Int32) {
    var linger = linger(l_onoff: 1, l_linger: 0)
    setsockopt(
      socket, SOL_SOCKET, SO_LINGER, &linger, socklen_t(MemoryLayout.size(ofValue: linger)))
    close(socket)
  }

  private mutating func readClient(_ client: Client) {
    guard !client.clientShut, client.closing == nil else {
      readable.remove(client.socket)
      return
    }
    var buffer = [UInt8](repeating: 0, count: 16 * 1024)
    while true {
      let room = min(buffer.count, lanes[client.lane].link.link.sendRoom(client.channel))
      guard room > 0 else { return }
      let count = Int(clinux_link_receive(client.socket, &buffer, UInt64(room)))
      if count == -Int(EAGAIN) {
        readable.remove(client.socket)
        return
      }
      guard count >= 0 else {
        lanes[client.lane].link.link.close(client.channel, reason: .reset)
        return remove(client, .reset)
      }
      guard count > 0 else {
        client.clientShut = true
        lanes[client.lane].link.link.shut(client.channel)
        return closeWhenBothShut(client)
      }
      let taken = lanes[client.lane].link.link.send(
        client.channel, buffer.span.extracting(0..<count).bytes)
      precondition(taken == count, "send took less than sendRoom promised")
    }
  }

  private mutating func writeClient(_ client: Client) {
    while !client.backlog.isEmpty {
      let count = Int(
        clinux_link_send(client.socket, client.backlog, UInt64(client.backlog.count)))
      if count == -Int(EAGAIN) {
        let events =
          UInt32(CLINUX_LINK_READABLE) | UInt32(CLINUX_LINK_WRITABLE) | UInt32(CLINUX_LINK_EDGE)
        _ = clinux_link_epoll_modify(
          epoll, client.socket, events, Tag.client + UInt64(client.socket))
        return
      }
      guard count > 0 else {
        if client.closing == nil {
          lanes[client.lane].link.link.close(client.channel, reason: .reset)
        }
        return remove(client, .reset)
      }
      client.backlog.removeFirst(count)
      client.owed += count
    }
    if !holdsCredit { giveCredit(client) }
    if let reason = client.closing { return remove(client, reason) }
    if client.brokerShut { shutdown(client.socket, Int32(SHUT_WR)) }
    closeWhenBothShut(client)
  }

  private mutating func giveCredit(_ client: Client) {
    guard client.closing == nil else { return }
    lanes[client.lane].link.link.grant(client.channel, client.owed)
    client.owed = 0
  }

  private mutating func closeWhenBothShut(_ client: Client) {
    guard client.clientShut, client.brokerShut, client.backlog.isEmpty, client.closing == nil
    else { return }
    lanes[client.lane].link.link.close(client.channel, reason: .finished)
    remove(client, .finished)
  }

  private mutating func remove(_ client: Client, _ reason: CloseReason) {
    guard clients.removeValue(forKey: client.socket) != nil else { return }
    if lanes[client.lane].slots.contains(client.channel) {
      lanes[client.lane].slots.remove(client.channel)
    }
    if reason == .finished { close(client.socket) } else { reset(client.socket) }
  }

  // MARK: The link

  private mutating func takeLinkEvents(_ lane: Int) {
    while let event = lanes[lane].link.link.nextEvent() {
      switch event {
      case .data(let channel, let count):
        guard let client = client(channel, lane) else { continue }
        client.backlog += lanes[lane].link.link.eventBytes.withUnsafeBytes { Array($0) }
        precondition(lanes[lane].link.link.eventBytes.byteCount == count)
        writeClient(client)
      case .credit, .accepted: break
      case .shut(let channel):
        guard let client = client(channel, lane) else { continue }
        client.brokerShut = true
        writeClient(client)
      case .closed(let channel, let reason):
        guard let client = client(channel, lane) else { continue }
        client.closing = reason
        lanes[lane].slots.remove(channel)
        writeClient(client)
      case .down(let reason):
        say("down \(lane) \(reason)")
        for client in Array(clients.values) where client.lane == lane {
          remove(client, .reset)
        }
      case .up: say("up \(lane)")
      case .stalled: say("stalled \(lane)")
      case .resumed: say("resumed \(lane)")
      case .listen(let address): say("listen \(lane) \(text(address))")
      case .unlisten(let address): say("unlisten \(lane) \(text(address))")
      case .certificate(let flags): say("certificate \(lane) \(flags.rawValue)")
      case .flushed(let token, let complete):
        let bytes = lanes[lane].link.link.counters.value(LinkCounter.bytesReceived)
        say("flushed \(lane) \(token) \(complete) \(bytes)")
      }
    }
  }

  /// One line, at once.
  private func say(_ line: String) {
    FileHandle.standardOutput.write(Data((line + "\n").utf8))
  }

  private func client(_ channel: SlabHandle, _ lane: Int) -> Client? {
    guard lanes[lane].slots.contains(channel) else { return nil }
    return clients[lanes[lane].slots[channel]]
  }

  private func text(_ address: LinkAddress) -> String {
    let host = address.low
    return address.isIPv4
      ? "\(host >> 24 & 255).\(host >> 16 & 255).\(host >> 8 & 255).\(host & 255) \(address.port)"
      : "\(String(address.high, radix: 16)):\(String(host, radix: 16)) \(address.port)"
  }
}
