import DPUCore
import Frames

/// The way out of one port: the burst that waits to leave, and the port's counters.
struct OutgoingPort: ~Copyable {
  var waiting = Burst()
  let counters = Counters<PortCounter>()
}

/// One `OutgoingPort` for each port, allocated at start and, like its counters, never freed.
///
/// Not an `InlineArray`: compiler 6.3.1 destroys one with elements that cannot be copied twice.
@safe
struct PortTable: ~Copyable {
  private let base: UnsafeMutablePointer<OutgoingPort>
  let count: Int

  init(count: Int) {
    self.count = count
    unsafe base = .allocate(capacity: count)
    for port in 0..<count { unsafe (base + port).initialize(to: OutgoingPort()) }
  }

  subscript(port: Int) -> OutgoingPort {
    @inline(__always)
    unsafeAddress {
      precondition(port >= 0 && port < count)
      return unsafe UnsafePointer(base + port)
    }
    @inline(__always)
    unsafeMutableAddress {
      precondition(port >= 0 && port < count)
      return unsafe base + port
    }
  }
}
