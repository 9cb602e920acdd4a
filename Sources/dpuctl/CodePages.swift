import Glibc
import HBPFBridge

/// Pages from the kernel for compiled programs: writable first, executable afterwards.
struct CodePages: CodeMemory, ~Copyable {
  private static func size(_ byteCount: Int) -> Int {
    let page = Int(sysconf(Int32(_SC_PAGESIZE)))
    return (max(1, byteCount) + page - 1) / page * page
  }

  mutating func install(_ code: Span<UInt8>) -> UInt? {
    let size = Self.size(code.count)
    guard let pages = mmap(nil, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0),
      pages != MAP_FAILED
    else { return nil }
    for index in code.indices {
      pages.storeBytes(of: code[index], toByteOffset: index, as: UInt8.self)
    }
    guard mprotect(pages, size, PROT_READ | PROT_EXEC) == 0 else {
      munmap(pages, size)
      return nil
    }
    return UInt(bitPattern: pages)
  }

  mutating func remove(_ address: UInt, byteCount: Int) {
    munmap(UnsafeMutableRawPointer(bitPattern: address), Self.size(byteCount))
  }
}
