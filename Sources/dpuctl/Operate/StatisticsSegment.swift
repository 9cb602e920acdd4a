import CLinux
import Glibc

/// The firmware's counters in shared memory, read without asking it: docs/operating.md has the
/// layout.
final class StatisticsSegment {
  struct Counter: Equatable {
    /// `tcp.segmentsReceived`
    var name: String
    var core: Int
    fileprivate var offset: Int
  }

  private static let layout = 1
  private let memory: UnsafeRawPointer
  private let byteCount: Int
  private(set) var counters: [Counter] = []

  /// Asks for the memory, maps it and reads its directory.
  init(_ firmware: FirmwareConnection) throws {
    let (answer, descriptor) = try firmware.callForDescriptor("stats.open")
    defer { if descriptor >= 0 { close(descriptor) } }
    guard descriptor >= 0 else {
      throw Failure.refused(
        "stats.open: no memory came with the answer; through --host it cannot: use metrics")
    }
    guard answer["layout"].integer == Self.layout else {
      throw Failure.refused(
        "stats.open: layout \(answer["layout"].cell), and this dpuctl knows \(Self.layout)")
    }
    var status = stat()
    guard fstat(descriptor, &status) == 0, status.st_size >= 64 else {
      throw Failure.refused("stats.open: the memory is too small")
    }
    byteCount = Int(status.st_size)
    guard let memory = mmap(nil, byteCount, PROT_READ, MAP_SHARED, descriptor, 0),
      memory != MAP_FAILED
    else { throw Failure.refused("stats.open: \(String(cString: strerror(errno)))") }
    self.memory = UnsafeRawPointer(memory)
    try readDirectory()
  }

  deinit { munmap(UnsafeMutableRawPointer(mutating: memory), byteCount) }

  private func word(_ offset: Int) -> UInt64 {
    memory.load(fromByteOffset: offset, as: UInt64.self)
  }

  /// Between two looks at the sequence that are even and the same.
  private func readDirectory() throws {
    for _ in 0..<1_000 {
      let before = clinux_service_observe(UInt(bitPattern: memory) + 24)
      let found = before % 2 == 0 ? directory() : nil
      if let found, clinux_service_observe(UInt(bitPattern: memory) + 24) == before {
        counters = found
        return
      }
      usleep(1_000)
    }
    throw Failure.refused("stats.open: the directory of the memory makes no sense")
  }

  /// Nil when it points outside of the memory: it is being written, or is not ours.
  private func directory() -> [Counter]? {
    guard word(0) == 0x5354_4154_5355_5044 else { return nil }
    let start = Int(clamping: word(32))
    let count = Int(clamping: word(40))
    guard start >= 64, start <= byteCount, count <= (byteCount - start) / 128 else { return nil }
    var found: [Counter] = []
    for index in 0..<count {
      let place = start + index * 128
      let offset = Int(clamping: word(place))
      let length = Int(word(place + 8) >> 32)
      guard offset >= 64, offset <= byteCount - 8, offset % 8 == 0, length <= 112 else {
        return nil
      }
      let name = UnsafeRawBufferPointer(start: memory + place + 16, count: length)
      found.append(
        Counter(
          name: String(decoding: name, as: UTF8.self),
          core: Int(UInt32(truncatingIfNeeded: word(place + 8))),
          offset: offset))
    }
    return found
  }

  /// Its value now. Each is whole; several are not of one moment.
  func value(_ counter: Counter) -> UInt64 {
    clinux_service_observe(UInt(bitPattern: memory) + UInt(counter.offset))
  }
}
