internal import CDPDK
package import DPUCore

/// Why something about DPDK failed: an errno value and, in words, what was being done.
package struct DPDKFailure: Error {
  package let code: Int32
  /// Text without a terminator.
  package let reason: [UInt8]

  init(code: Int32) {
    self.code = code
    reason = unsafe cText(cdpdk_failure()!)
  }

  @inline(__always)
  static func check(_ result: Int32) throws(DPDKFailure) {
    if result < 0 { throw DPDKFailure(code: -result) }
  }
}

/// DPDK as a whole: started once, before any port.
package enum DPDK {
  /// Starts the EAL with `arguments`, without a program name.
  package static func start(_ arguments: [[UInt8]]) throws(DPDKFailure) {
    var text: [UInt8] = []
    for argument in arguments { text += argument + [0] }
    let result = unsafe text.withUnsafeBytes {
      unsafe cdpdk_start($0.baseAddress, UInt32($0.count))
    }
    try DPDKFailure.check(result)
  }

  /// DPDK's name and version.
  package static var version: [UInt8] { unsafe cText(cdpdk_version()!) }

  package static func stop() { cdpdk_stop() }

  /// The time-stamp counter of this core, in nanoseconds since `start`.
  @inline(__always)
  package static var now: Instant { Instant(nanoseconds: cdpdk_now()) }

  /// Gives the calling thread its own cache of every pool. Each worker calls it first.
  package static func registerThread() throws(DPDKFailure) {
    try DPDKFailure.check(cdpdk_thread_register())
  }

  package static func unregisterThread() { cdpdk_thread_unregister() }

  /// Frames dropped because they came in several pieces and did not fit one buffer.
  package static var droppedScattered: UInt64 { cdpdk_dropped_scattered() }
}

/// The bytes of C text, without its terminator.
private func cText(_ text: UnsafePointer<CChar>) -> [UInt8] {
  var letter = unsafe text
  var result: [UInt8] = []
  while unsafe letter.pointee != 0 {
    unsafe result.append(UInt8(bitPattern: letter.pointee))
    unsafe letter += 1
  }
  return result
}
