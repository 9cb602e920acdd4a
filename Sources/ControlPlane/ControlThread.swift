package import CLinux
import DPUCore

/// A set of processors.
package struct Processors: BitwiseCopyable, Sendable {
  /// As Linux calls want it.
  package fileprivate(set) var set = clinux_control_processors()

  /// Those on which the calling thread may run. Ask before DPDK pins the main thread.
  package static func current() -> Processors {
    var processors = Processors()
    _ = unsafe clinux_control_processors_now(&processors.set)
    return processors
  }

  /// Without those of the poll loops, as long as one is left.
  package func without(_ cores: [Int]) -> Processors {
    var processors = self
    for core in cores {
      unsafe clinux_control_processors_remove(&processors.set, UInt32(core))
    }
    return processors
  }
}

/// A thread of the operating system that takes no signals.
struct ControlThread {
  private var thread: UInt64 = 0

  private final class Body: Sendable {
    let run: @Sendable () -> Void
    init(_ run: @escaping @Sendable () -> Void) { self.run = run }
  }

  /// Runs `body` until it returns.
  init(on processors: Processors, _ body: @escaping @Sendable () -> Void) throws(StartFailure) {
    let context = unsafe Unmanaged.passRetained(Body(body))
    var processors = processors
    let error = unsafe clinux_control_thread_start(
      { unsafe Unmanaged<Body>.fromOpaque($0!).takeRetainedValue().run() },
      context.toOpaque(), "dpu-control", &processors.set, &thread)
    guard error == 0 else {
      unsafe context.release()
      throw StartFailure("cannot start the control thread: \(errorText(-error))")
    }
  }

  /// Waits for the end of the body. Once.
  func join() { clinux_control_thread_join(thread) }
}
