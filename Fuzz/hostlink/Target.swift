// Input: a byte that chooses the end under test, then steps. The other end is the input: it
// writes frames and indices straight into the shared memory, right or wrong, while the end under
// test opens, sends, grants and closes.
import DPUCore

@testable import HostLink

private let ringBytes = 1 << 17
private let memoryBytes = LinkMemory.byteCount(ringBytes: ringBytes)
nonisolated(unsafe) private let memory = UnsafeMutableRawBufferPointer.allocate(
  byteCount: memoryBytes, alignment: 4096)

@c(LLVMFuzzerTestOneInput)
public func fuzz(_ data: UnsafePointer<UInt8>, _ count: Int) -> CInt {
  memory.initializeMemory(as: UInt8.self, repeating: 0)
  var input = Input(data, count)
  let choice = input.byte()
  let role = choice & 1 == 0 ? LinkRole.firmware : .shim
  let link = LinkMemory(address: UInt(bitPattern: memory.baseAddress!), ringBytes: ringBytes)
  var end = LinkEndpoint(role: role, channelsMax: 8)
  var now = Instant(nanoseconds: 1_000_000_000)
  end.attach(link, generation: 7, now: now)
  var peer = Peer(role: role == .firmware ? .shim : .firmware)
  if choice & 2 == 0 { peer.greet() }
  while !input.isEmpty {
    let step = input.byte()
    switch step & 15 {
    case 0...6: peer.sendFrame(&input)
    case 7: peer.greet()
    case 8: peer.moveIndices(&input)
    case 9: peer.readEverything()
    case 10...12: act(on: &end, &input)
    case 13:
      now = now + .milliseconds(UInt64(input.byte()) * 50)
      end.advance(now: now)
    case 14: link.certificate = CertificateFlags(rawValue: UInt32(input.byte()))
    default: end.peerGone()
    }
    while let event = end.nextEvent() { look(event, end) }
    _ = end.finishTurn()
    if end.isDetached {
      memory.initializeMemory(as: UInt8.self, repeating: 0)
      peer = Peer(role: peer.role)
      end.attach(link, generation: 7, now: now)
      peer.greet()
    }
  }
  return 0
}

private func look(_ event: LinkEndpoint.Event, _ end: borrowing LinkEndpoint) {
  let bytes = end.eventBytes
  if case .link(.data(_, let count)) = event {
    precondition(bytes.byteCount == count && count > 0 && count <= HostLinkLimits.payloadMax)
    precondition(bytes.byte(at: 0) >= 0 && bytes.byte(at: count - 1) >= 0)
  } else {
    precondition(bytes.byteCount == 0)
  }
}

private func channel(_ byte: UInt8) -> SlabHandle {
  SlabHandle(index: UInt32(byte & 15), generation: UInt32(byte >> 4 & 3))
}

/// What the owner of the end does.
private func act(on end: inout LinkEndpoint, _ input: inout Input) {
  let step = input.byte()
  let handle = channel(input.byte())
  switch step & 7 {
  case 0:
    if end.role == .firmware {
      let address = LinkAddress(ipv4: 0x0a4d_0001, port: 1883)
      _ = end.open(handle, local: address, peer: address)
    } else {
      end.accepted(handle)
    }
  case 1, 2:
    let room = end.sendRoom(handle)
    let bytes = [UInt8](repeating: step, count: Int(input.word()))
    let sent = end.send(handle, bytes.span.bytes)
    precondition(sent >= min(room, bytes.count) && sent <= bytes.count)
  case 3:
    // As far as the contract allows: what came and was not granted yet.
    guard end.channels.isOpen(handle) else { return }
    let state = end.channels[handle.index]
    let used = HostLinkLimits.window - Int(state.receiveCredit) - Int(state.grantable)
    end.grant(handle, min(used, Int(input.word())))
  case 4: end.shut(handle)
  case 5: end.close(handle, reason: .finished)
  case 6:
    if end.role == .firmware { _ = end.flush(token: 9) } else { _ = end.report(.certified) }
  default: end.shutDown()
  }
}

/// Writes into the ring that the end under test reads.
private struct Peer {
  let role: LinkRole
  private var tail: UInt64 = 0

  init(role: LinkRole) { self.role = role }

  /// Offsets as LinkMemory and RingMemory lay them out.
  private var writes: Int { role == .firmware ? 0 : 512 }
  private var reads: Int { role == .firmware ? 512 : 0 }
  private var ring: Int { 4096 + (role == .firmware ? 0 : ringBytes) }

  private mutating func append(_ header: FrameHeader, _ body: [UInt8], mayCross: Bool = false) {
    let size = FrameHeader.footprint(Int(header.length))
    let untilEnd = ringBytes - Int(tail % UInt64(ringBytes))
    if size > untilEnd, untilEnd >= FrameHeader.byteCount, !mayCross {
      store(FrameHeader(.padding, length: untilEnd - FrameHeader.byteCount), [])
      tail &+= UInt64(untilEnd)
    }
    store(header, body)
    tail &+= UInt64(size)
    memory.storeBytes(of: tail, toByteOffset: writes, as: UInt64.self)
  }

  private func store(_ header: FrameHeader, _ body: [UInt8]) {
    let start = Int(tail % UInt64(ringBytes))
    let room = ringBytes - start
    guard room >= 16 else { return }
    memory.storeBytes(of: header.word0, toByteOffset: ring + start, as: UInt64.self)
    memory.storeBytes(of: header.channel, toByteOffset: ring + start + 8, as: UInt64.self)
    for (i, byte) in body.enumerated() where 16 + i < room { memory[ring + start + 16 + i] = byte }
  }

  mutating func greet() {
    let hello = Hello(role: role, generation: 7, channels: 8, ringBytes: ringBytes)
    var bytes = [UInt8](repeating: 0, count: Hello.byteCount)
    var elements = bytes.mutableSpan
    var body = elements.mutableBytes
    hello.write(to: &body)
    append(FrameHeader(.hello, length: bytes.count), bytes)
  }

  mutating func sendFrame(_ input: inout Input) {
    var header = FrameHeader(.ping)
    header.kind = input.byte()
    header.flags = input.byte()
    header.channel = channel(input.byte()).rawValue
    let sizes = input.byte()
    // Small and large arguments and bodies, seldom a length that lies.
    header.argument = sizes & 1 == 0 ? UInt32(input.byte()) : input.long()
    header.length = sizes & 2 == 0 ? UInt16(input.byte() & 63) : input.word()
    let body = input.take(min(Int(header.length), 64))
    if sizes & 0xf0 == 0xf0 { header.length = input.word() }
    append(header, body, mayCross: sizes & 4 != 0)
  }

  mutating func moveIndices(_ input: inout Input) {
    let which = input.byte()
    if which & 8 != 0 { return skipToEnd(leaving: Int(which >> 4) * FrameHeader.alignment) }
    let value = which & 2 == 0 ? UInt64(input.word()) * 16 : UInt64(input.long()) << 32
    if which & 1 == 0 {
      tail = which & 4 == 0 ? tail &+ value : value
      memory.storeBytes(of: tail, toByteOffset: writes, as: UInt64.self)
    } else {
      memory.storeBytes(of: value, toByteOffset: reads + 128, as: UInt64.self)
    }
  }

  /// Fills the ring up to `room` bytes before its end, in frames that mean nothing.
  private mutating func skipToEnd(leaving room: Int) {
    var untilEnd = ringBytes - Int(tail % UInt64(ringBytes))
    while untilEnd > room {
      let size = min(untilEnd - room, HostLinkLimits.payloadMax)
      store(FrameHeader(.padding, length: size - FrameHeader.byteCount), [])
      tail &+= UInt64(size)
      untilEnd -= size
    }
    memory.storeBytes(of: tail, toByteOffset: writes, as: UInt64.self)
  }

  func readEverything() {
    let seen = memory.load(fromByteOffset: reads, as: UInt64.self)
    memory.storeBytes(of: seen, toByteOffset: reads + 128, as: UInt64.self)
  }
}
