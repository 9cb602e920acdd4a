import DPUCore

@testable import HostLink

/// Bytes on their way in one direction: at most `capacity`, in and out by seeded pieces.
struct BytePipe {
  private(set) var bytes: [UInt8] = []
  var capacity = 40_000
  /// No call takes or gives more than this.
  var pieceMax = Int.max
  var isEnded = false
  /// What the end says: 0 for a stream that was closed, or an error.
  var endResult = 0

  /// As sendmsg: how many were taken, or EAGAIN.
  mutating func write(_ parts: StreamParts) -> Int {
    if isEnded { return -32 }
    let count = min(parts.count, capacity - bytes.count, pieceMax)
    guard count > 0 else { return -11 }
    let first = min(count, parts.firstCount)
    bytes += Self.memory(parts.first, first)
    bytes += Self.memory(parts.second, count - first)
    return count
  }

  /// As recvmsg: how many came, EAGAIN, or the end.
  mutating func read(_ parts: StreamParts) -> Int {
    let count = min(parts.count, bytes.count, pieceMax)
    guard count > 0 else { return isEnded ? endResult : -11 }
    let first = min(count, parts.firstCount)
    Self.memory(parts.first, first).copyBytes(from: bytes[..<first])
    Self.memory(parts.second, count - first).copyBytes(from: bytes[first..<count])
    bytes.removeFirst(count)
    return count
  }

  private static func memory(_ address: UInt, _ count: Int) -> UnsafeMutableRawBufferPointer {
    UnsafeMutableRawBufferPointer(
      start: UnsafeMutableRawPointer(bitPattern: address), count: count)
  }

  mutating func put(_ more: [UInt8]) { bytes += more }
}

/// What joins the memory of a firmware with that of a shim elsewhere: a pump at each end, and a
/// pipe between them for each direction that takes and gives what a seed says.
final class StreamCarrier {
  let shimMemory: SharedMemory
  var firmware: StreamPump
  var shim: StreamPump
  var down = BytePipe()
  var up = BytePipe()
  private var random: SplitMix64

  init(_ memory: SharedMemory, seed: UInt64) {
    shimMemory = SharedMemory(ringBytes: memory.link.ringBytes)
    firmware = StreamPump(memory.link, role: .firmware)
    shim = StreamPump(shimMemory.link, role: .shim)
    random = SplitMix64(seed: seed ^ 0x5eed)
  }

  private func choosePieces() {
    // Sometimes byte by byte, so that headers come in halves.
    let largest = [1, 7, 16, 300, 5_000, 70_000].randomElement(using: &random)!
    down.pieceMax = Int.random(in: 1...largest, using: &random)
    up.pieceMax = Int.random(in: 1...largest, using: &random)
  }

  /// Any of the four movements, or none.
  func moveSome() {
    choosePieces()
    if Bool.random(using: &random) { _ = try! firmware.send { down.write($0) } }
    if Bool.random(using: &random) { _ = try! shim.send { up.write($0) } }
    if Bool.random(using: &random) { _ = try! firmware.receive { up.read($0) } }
    if Bool.random(using: &random) { _ = try! shim.receive { down.read($0) } }
  }

  /// Until nothing moves any more, which a full ring may be the reason of.
  func moveAll() {
    var before = -1
    repeat {
      before = down.bytes.count + up.bytes.count
      down.pieceMax = .max
      up.pieceMax = .max
      for _ in 0..<4 {
        _ = try! firmware.send { down.write($0) }
        _ = try! shim.receive { down.read($0) }
        _ = try! shim.send { up.write($0) }
        _ = try! firmware.receive { up.read($0) }
      }
    } while down.bytes.count + up.bytes.count != before
  }
}
