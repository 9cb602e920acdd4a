import CLinux
import HBPFBridge

/// Pages from the kernel for compiled programs: writable first, executable afterwards.
package struct CodePages: CodeMemory, ~Copyable {
  package init() {}

  package mutating func install(_ code: Span<UInt8>) -> UInt? {
    var address: UInt64 = 0
    let error = unsafe code.withUnsafeBytes {
      unsafe clinux_code_install($0.baseAddress, UInt64($0.count), &address)
    }
    return error == 0 ? UInt(address) : nil
  }

  package mutating func remove(_ address: UInt, byteCount: Int) {
    clinux_code_remove(UInt64(address), UInt64(byteCount))
  }
}
