import Glibc

/// Nanoseconds of the monotonic clock.
func monotonicNanoseconds() -> UInt64 {
  var time = timespec()
  clock_gettime(CLOCK_MONOTONIC, &time)
  return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
}

/// CPU time all threads of a process have used, in nanoseconds: the first field of
/// `/proc/PID/task/*/schedstat`, which counts run time exactly, not in ticks.
func processNanoseconds(_ process: Int32) -> UInt64 {
  guard let folder = opendir("/proc/\(process)/task") else { return 0 }
  defer { closedir(folder) }
  var total: UInt64 = 0
  while let entry = readdir(folder) {
    let thread = withUnsafeBytes(of: &entry.pointee.d_name) { name in
      String(decoding: name.prefix { $0 != 0 }, as: UTF8.self)
    }
    guard Int(thread) != nil else { continue }
    let file = open("/proc/\(process)/task/\(thread)/schedstat", O_RDONLY)
    guard file >= 0 else { continue }
    defer { close(file) }
    var text = [UInt8](repeating: 0, count: 64)
    let count = read(file, &text, text.count)
    let digits = text.prefix(max(count, 0)).prefix { $0 != UInt8(ascii: " ") }
    total += digits.reduce(0) { $0 * 10 + UInt64($1 &- UInt8(ascii: "0")) }
  }
  return total
}
