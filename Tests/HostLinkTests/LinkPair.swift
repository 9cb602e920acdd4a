import DPUCore
import Testing

@testable import HostLink

/// Memory of a ring pair, as both processes see it.
final class SharedMemory {
  private let base: UnsafeMutableRawPointer
  let bytes: UnsafeMutableRawBufferPointer
  let link: LinkMemory

  init(ringBytes: Int = 1 << 17) {
    let count = LinkMemory.byteCount(ringBytes: ringBytes)
    base = .allocate(byteCount: count, alignment: 4096)
    bytes = UnsafeMutableRawBufferPointer(start: base, count: count)
    bytes.initializeMemory(as: UInt8.self, repeating: 0)
    link = LinkMemory(address: UInt(bitPattern: base), ringBytes: ringBytes)
  }

  deinit { base.deallocate() }
}

/// Both ends of a link back to back, with one virtual clock.
struct LinkPair: ~Copyable {
  let memory: SharedMemory
  /// Between the firmware's memory and one of the shim's own; nil: both have the same.
  let carrier: StreamCarrier?
  var firmware: DPULink
  var shim: LinkEndpoint
  var now = Instant(nanoseconds: 1_000_000_000)

  init(ringBytes: Int = 1 << 17, channels: Int = 64, greet: Bool = true, streamSeed: UInt64? = nil)
  {
    memory = SharedMemory(ringBytes: ringBytes)
    carrier = streamSeed.map { [memory] in StreamCarrier(memory, seed: $0) }
    firmware = DPULink(channelsMax: channels)
    shim = LinkEndpoint(role: .shim, channelsMax: channels)
    firmware.apply(.attach(memory.link, generation: 7, doorbell: -1), now: now)
    shim.attach(carrier?.shimMemory.link ?? memory.link, generation: 7, now: now)
    guard greet else { return }
    finishTurns()
    precondition(firmware.nextEvent() == .up && shim.nextEvent() == .link(.up))
  }

  mutating func finishTurns() {
    _ = firmware.finishTurn()
    _ = shim.finishTurn()
    carrier?.moveAll()
  }

  mutating func advance(_ interval: Interval) {
    now = now + interval
    firmware.advance(now: now)
    shim.advance(now: now)
    finishTurns()
  }

  /// What the firmware's end reports now, data as bytes.
  mutating func firmwareEvents() -> [LinkEvent] {
    finishTurns()
    var events: [LinkEvent] = []
    while let event = firmware.nextEvent() { events.append(event) }
    return events
  }

  mutating func shimEvents() -> [LinkEndpoint.Event] {
    finishTurns()
    var events: [LinkEndpoint.Event] = []
    while let event = shim.nextEvent() { events.append(event) }
    return events
  }

  /// Opens a channel and takes it at the other end.
  mutating func open(_ index: UInt32, generation: UInt32 = 1) -> SlabHandle {
    let handle = SlabHandle(index: index, generation: generation)
    let opened = firmware.open(handle, local: .broker, peer: .client)
    precondition(opened)
    precondition(shimEvents() == [.open(handle, local: .broker, peer: .client)])
    return handle
  }
}

extension LinkAddress {
  static let broker = LinkAddress(ipv4: 0x0a4d_0001, port: 1883)
  static let client = LinkAddress(ipv4: 0x0a4d_0002, port: 40_000)
}

extension RawSpan {
  var array: [UInt8] { withUnsafeBytes { Array($0) } }
}

private let noise: [UInt8] = {
  var random = SplitMix64(seed: 1)
  let turn = (0..<1 << 17).map { _ in UInt8.random(in: 0...255, using: &random) }
  return turn + turn
}()

/// `count` bytes, at most 128 KB, that tell their place in the stream of `seed`.
func pattern(from position: Int, _ count: Int, seed: UInt64 = 0) -> [UInt8] {
  let start = (position &+ Int(truncatingIfNeeded: seed &* 0x9e37_79b9_7f4a_7c15 >> 17)) & 0x1ffff
  return Array(noise[start..<start + count])
}

/// `#expect` without its look into the expression, which noncopyable values do not allow.
func check(
  _ condition: Bool, _ comment: Comment? = nil, location: SourceLocation = #_sourceLocation
) {
  #expect(condition, comment, sourceLocation: location)
}

func check<T: Equatable>(_ value: T, is expected: T, location: SourceLocation = #_sourceLocation) {
  #expect(value == expected, sourceLocation: location)
}
