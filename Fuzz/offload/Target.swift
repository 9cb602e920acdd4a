// Input: a byte that chooses the offload's configuration, then steps of clients, of a broker and
// of the shim between them. Clients and the broker may say anything; the model of a broker
// handles the packets that are valid. With the offload switched off every byte must arrive as it
// was sent; in the end, with the link gone, everything must be given back.
import DPUCore
import HostLink
import MQTTOffload
import MQTTWire

@c(LLVMFuzzerTestOneInput)
public func fuzz(_ data: UnsafePointer<UInt8>, _ count: Int) -> CInt {
  var input = Input(data, count)
  let choice = input.byte()
  let bench = FuzzBench(
    isOff: choice & 3 == 0, trusts: choice & 4 != 0, runMax: choice & 8 != 0 ? 7 : 1 << 20)
  while !input.isEmpty {
    bench.step(&input)
    bench.lab.turn()
  }
  bench.giveEverythingUp()
  return 0
}

private let topics = ["a", "a/b", "$SYS/x", "b"]
private let filters = ["a", "#", "+/b", "$share/g/a"]

private final class FuzzBench {
  static let slots: UInt32 = 4

  /// A connection, with what went in at one end and came out at the other.
  struct Stream {
    let handle: SlabHandle
    var version: UInt8 = 4
    var clientWrote: [UInt8] = []
    var clientRead: [UInt8] = []
    var brokerWrote: [UInt8] = []
  }

  let lab: Lab
  let isOff: Bool
  var streams: [Stream?]

  init(isOff: Bool, trusts: Bool, runMax: Int) {
    self.isOff = isOff
    streams = Array(repeating: nil, count: Int(Self.slots))
    lab = Lab(connectionsMax: Int(Self.slots)) {
      $0.consume = isOff ? .off : .certified
      $0.verify = trusts ? .trust : .learned
      $0.subscriptionsMax = 16
      $0.verdictsMax = 16
      $0.requestsMax = 4
      $0.aliasesMax = 4
      $0.keptBlocks = 40
      $0.absentSessionsMax = 2
    }
    lab.stack.runMax = runMax
    lab.stack.sendLimit = 4_096
    lab.turn()
  }

  func step(_ input: inout Input) {
    let step = input.byte()
    let slot = Int(step >> 4 & 3)
    switch step & 15 {
    case 0: open(slot)
    case 1: say(slot, input.take(Int(input.byte())))
    case 2: connect(slot, &input)
    case 3: subscribe(slot, &input)
    case 4...6: publish(slot, &input)
    case 7: brokerWrites(slot, input.take(Int(input.byte())))
    case 8, 9: brokerHandles(slot)
    case 10: _ = lab.link.shimReads()
    case 11: shimForwards(slot)
    case 12: read(slot, max: input.byte() & 1 == 0 ? .max : 100)
    case 13: lab.now = lab.now + .milliseconds(UInt64(input.byte()) * 20)
    case 14: leave(slot, how: input.byte())
    default: link(input.byte())
    }
  }

  // MARK: Clients

  func open(_ slot: Int) {
    guard lab.stack.connections[UInt32(slot)] == nil else { return }
    streams[slot] = Stream(handle: lab.stack.connect(slot: UInt32(slot)))
  }

  func say(_ slot: Int, _ bytes: [UInt8]) {
    guard let stream = live(slot), lab.stack.readableCount(stream.handle) < 64_000 else { return }
    lab.stack.write(stream.handle, bytes)
    streams[slot]?.clientWrote += bytes
  }

  func connect(_ slot: Int, _ input: inout Input) {
    let shape = input.byte()
    if live(slot) == nil { open(slot) }
    let version = 3 + shape % 3
    streams[slot]?.version = version
    say(
      slot,
      Packet.connect(
        "c\(shape >> 4 & 3)", version: version, clean: shape & 4 == 0, keepAlive: 1,
        properties: shape & 8 == 0 ? [] : [0x11, 0, 0, 0, 100]))
    lab.turn()
    while lab.link.shimReads() {}
    brokerHandles(slot)
    shimForwards(slot)
  }

  func subscribe(_ slot: Int, _ input: inout Input) {
    guard let stream = live(slot) else { return }
    let shape = input.byte()
    let filter = filters[Int(shape & 3)]
    if shape & 4 != 0 {
      return say(slot, Packet.unsubscribe(5, [filter], version: stream.version))
    }
    let options = shape >> 4 & (stream.version == 5 ? 7 : 3)
    let identifier: [UInt8] = shape & 8 != 0 && stream.version == 5 ? [0x0b, 9] : []
    say(
      slot,
      Packet.subscribe(
        6, [(filter, options)], version: stream.version, properties: identifier))
  }

  func publish(_ slot: Int, _ input: inout Input) {
    guard let stream = live(slot) else { return }
    let shape = input.byte()
    var properties: [UInt8] = []
    var topic = topics[Int(shape & 3)]
    if shape & 4 != 0 { properties += [0x23, 0, 1 + shape >> 6] }
    if shape & 8 != 0 { properties += [0x02, 0, 0, 0, 1] }
    if shape & 0x30 == 0x30 { topic = "" }
    let flags = input.byte()
    let size = flags & 0x80 != 0 ? Int(input.word()) % 3_000 : Int(flags >> 4)
    say(
      slot,
      Packet.publish(
        topic, [UInt8](repeating: shape, count: size), qos: flags & 8 != 0 ? flags & 3 : 0,
        retain: flags & 12 == 12, version: stream.version, properties: properties))
  }

  func read(_ slot: Int, max: Int) {
    guard let stream = live(slot) else { return }
    streams[slot]?.clientRead += lab.stack.read(stream.handle, max: max)
    check(slot)
  }

  func leave(_ slot: Int, how: UInt8) {
    guard let stream = live(slot) else { return }
    switch how & 3 {
    case 0: say(slot, Packet.disconnect)
    case 1: if !lab.stack.connections[UInt32(slot)]!.finReceived { lab.stack.finish(stream.handle) }
    case 2: lab.stack.reset(stream.handle)
    default: if let channel = lab.broker.channels[stream.handle] { lab.broker.close(channel) }
    }
  }

  private func live(_ slot: Int) -> Stream? {
    guard let stream = streams[slot],
      lab.stack.connections[UInt32(slot)]?.handle == stream.handle
    else { return nil }
    return stream
  }

  // MARK: The broker and the shim

  /// The next packet of the client, if the broker would take it.
  func brokerHandles(_ slot: Int) {
    guard let stream = streams[slot], let channel = lab.broker.channels[stream.handle] else {
      return
    }
    if let packet = Packet.first(of: channel.input) {
      let version = ProtocolVersion(rawValue: channel.version) ?? .v311
      let isFirst = !channel.isConnected
      guard (packet[0] >> 4 == 1) == isFirst,
        (try? PacketCheck.check(packet.span.bytes, version: version, from: .client)) != nil
      else { return lab.broker.close(channel) }
    }
    _ = lab.broker.step(channel)
  }

  func brokerWrites(_ slot: Int, _ bytes: [UInt8]) {
    guard let stream = streams[slot], let channel = lab.broker.channels[stream.handle],
      !bytes.isEmpty
    else { return }
    lab.broker.send(channel, bytes)
  }

  func shimForwards(_ slot: Int) {
    guard let stream = streams[slot] else { return }
    let written = lab.broker.channels[stream.handle]?.socket.first ?? []
    let events = lab.link.events.count
    guard lab.link.shimForwards(stream.handle), lab.link.events.count > events,
      case .data(_, let bytes) = lab.link.events[events]
    else { return }
    precondition(written.starts(with: bytes))
    streams[slot]?.brokerWrote += bytes
  }

  func link(_ choice: UInt8) {
    switch choice & 7 {
    case 0: lab.link.certified.toggle()
    case 1: lab.link.events.append(.plain(.stalled))
    case 2: lab.link.events.append(.plain(.resumed))
    case 3: lab.link.refusesChannels.toggle()
    case 4: lab.link.frameMax = lab.link.frameMax == 5 ? HostLinkLimits.payloadMax : 5
    case 5: lab.link.events.append(.plain(.unlisten(LinkAddress(ipv4: 0, port: 1883))))
    case 6: lab.link.events.append(.plain(.listen(LinkAddress(ipv4: 0, port: 1883))))
    default: linkDown()
    }
  }

  func linkDown() {
    for stream in streams { if let stream { lab.link.toBroker[stream.handle] = nil } }
    lab.link.commands = []
    lab.link.events = [.plain(.down(.peerGone)), .plain(.up)]
    lab.broker.channels = [:]
    lab.link.toClient = [:]
  }

  // MARK: What must hold

  /// Switched off, the offload is a pipe. Aliases of 5.0 are put back even then.
  private func check(_ slot: Int) {
    guard isOff, let stream = streams[slot], stream.version != 5 else { return }
    precondition(stream.brokerWrote.starts(with: stream.clientRead))
    guard let channel = lab.broker.channels[stream.handle] else { return }
    let arrived = channel.seen.flatMap { $0 } + channel.input
    precondition(stream.clientWrote.starts(with: arrived))
  }

  func giveEverythingUp() {
    for slot in streams.indices { check(slot) }
    linkDown()
    lab.turn()
    for slot in streams.indices {
      if let stream = live(slot) { lab.stack.reset(stream.handle) }
    }
    lab.turn()
    lab.turn()
    let engine = lab.offload.engine.connectionCount
    precondition(engine == 0 && lab.offload.engine.subscriptionCount == 0)
    precondition(lab.offload.engine.absentSessionCount == 0)
    precondition(lab.offload.engine.opaqueSessionCount == 0)
    precondition(lab.offload.engine.freeKeptBlocks == 40)
    precondition(lab.stack.pool.freeCount == lab.stack.pool.capacity)
  }
}
