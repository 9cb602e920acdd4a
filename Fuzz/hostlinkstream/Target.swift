// Input: a byte that chooses the end under test, then steps. What the other machine sends comes as
// frames, right or wrong, or as raw bytes, in pieces of any size; it takes what the pump sends
// likewise. A pump at the rings of the end under test carries both.
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
  var pump = StreamPump(link, role: role)
  var peer = Peer(role: role == .firmware ? .shim : .firmware)
  end.attach(link, generation: 7, now: .zero)
  if choice & 2 == 0 { peer.greet() }
  while !input.isEmpty {
    let step = input.byte()
    switch step & 7 {
    case 0...2: peer.sendFrame(&input)
    case 3: peer.stream += input.take(Int(input.byte()))
    case 4: peer.pieceMax = step & 8 == 0 ? Int(input.byte()) + 1 : Int(input.word()) + 1
    case 5: peer.stream += [UInt8](repeating: step, count: Int(input.word()))
    case 6: for _ in 0..<input.byte() { peer.sendFrame(kind: .ping) }
    default: peer.isEnded = step & 0xf0 == 0xf0
    }
    do throws(LinkFailure) {
      _ = try pump.receive(untilEnd: step & 8 != 0) { peer.give($0) }
      // Now and then the reader is late, so that its ring fills up.
      if step & 16 == 0 { read(&end) }
      _ = end.finishTurn()
      _ = try pump.send { peer.take($0) }
    } catch {
      // The rings are the end's own, and it is honest: only what came can be at fault.
      precondition(error == .badLength)
      return 0
    }
    // What the pump shows lies in the ring as it must.
    precondition(end.failure != .badRingIndex)
    if end.failure != nil { return 0 }
  }
  return 0
}

private func read(_ end: inout LinkEndpoint) {
  while let event = end.nextEvent() {
    look(event, end)
    if case .link(.data(let channel, let count)) = event { end.grant(channel, count) }
  }
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

/// The other machine.
private struct Peer {
  let role: LinkRole
  var stream: [UInt8] = []
  var pieceMax = 1 << 20
  var isEnded = false

  init(role: LinkRole) { self.role = role }

  mutating func give(_ parts: StreamParts) -> Int {
    let count = min(parts.count, stream.count, pieceMax)
    guard count > 0 else { return isEnded ? 0 : -11 }
    let first = min(count, parts.firstCount)
    buffer(parts.first, first).copyBytes(from: stream[..<first])
    buffer(parts.second, count - first).copyBytes(from: stream[first..<count])
    stream.removeFirst(count)
    return count
  }

  func take(_ parts: StreamParts) -> Int {
    precondition(parts.count > 0 && parts.count <= ringBytes)
    return isEnded ? -32 : min(parts.count, pieceMax)
  }

  private func buffer(_ address: UInt, _ count: Int) -> UnsafeMutableRawBufferPointer {
    UnsafeMutableRawBufferPointer(start: UnsafeMutableRawPointer(bitPattern: address), count: count)
  }

  mutating func greet() {
    let hello = Hello(role: role, generation: 7, channels: 8, ringBytes: ringBytes)
    stream += hello.frame.span.bytes.withUnsafeBytes { Array($0) }
  }

  mutating func sendFrame(kind: FrameKind) { append(FrameHeader(kind), []) }

  mutating func sendFrame(_ input: inout Input) {
    var header = FrameHeader(.ping)
    header.kind = input.byte()
    header.channel =
      SlabHandle(
        index: UInt32(input.byte() & 7), generation: 1
      ).rawValue
    let sizes = input.byte()
    header.argument = UInt32(input.byte())
    header.length = sizes & 1 == 0 ? UInt16(input.byte() & 63) : input.word()
    append(header, input.take(min(Int(header.length), 64)))
  }

  private mutating func append(_ header: FrameHeader, _ body: [UInt8]) {
    for word in [header.word0, header.channel] {
      for index in 0..<8 { stream.append(UInt8(truncatingIfNeeded: word >> UInt64(8 * index))) }
    }
    let size = FrameHeader.footprint(Int(header.length)) - FrameHeader.byteCount
    stream += body + [UInt8](repeating: 0, count: size - body.count)
  }
}
