import Glibc
import HBPFBridge

/// A device's registers in this process's memory, and nobody else's meanwhile.
final class DeviceFile {
  static let barBytes = 0x40000

  let address: UInt
  private let descriptor: Int32
  private let byteCount: Int

  /// Maps the file and takes its lock, as the firmware does for as long as it runs.
  init(_ path: String, isSimulated: Bool) throws {
    byteCount = isSimulated ? SimulatedWindow<WallClock>.fileBytes : Self.barBytes
    descriptor = open(path, O_RDWR | O_CLOEXEC)
    guard descriptor >= 0 else {
      throw Failure.unreachable("no FPGA: \(path): \(String(cString: strerror(errno)))")
    }
    var reason: Failure?
    var status = stat()
    var memory: UnsafeMutableRawPointer?
    if flock(descriptor, LOCK_EX | LOCK_NB) != 0 {
      reason = .refused("\(path) is in use: a firmware or another bench has this FPGA")
    } else if fstat(descriptor, &status) != 0 || status.st_size < byteCount {
      reason = .unreachable("no FPGA: \(path) has \(status.st_size) bytes, not \(byteCount)")
    } else {
      memory = mmap(nil, byteCount, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0)
      if memory == MAP_FAILED {
        reason = .unreachable("no FPGA: \(path): \(String(cString: strerror(errno)))")
      }
    }
    address = UInt(bitPattern: memory)
    if let reason {
      close(descriptor)
      throw reason
    }
  }

  deinit {
    munmap(UnsafeMutableRawPointer(bitPattern: address), byteCount)
    close(descriptor)
  }
}

/// Patience by the monotonic clock; gives the processor away while it waits.
struct WallClock: DevicePatience {
  private let nanoseconds: UInt64
  private var end: UInt64 = 0

  init(milliseconds: Int) { nanoseconds = UInt64(milliseconds) * 1_000_000 }

  static var now: UInt64 {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
  }

  mutating func begin() { end = Self.now + nanoseconds }

  mutating func isOver() -> Bool {
    sched_yield()
    return Self.now > end
  }
}
