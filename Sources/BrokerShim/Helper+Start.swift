import CLinux
import DPUCore
import HostLink

@_extern(c, "atexit")
private func systemAtExit(_ handler: @convention(c) () -> Void) -> Int32

// The life of the helper thread: from the first listen to the end of the process.

extension Broker {
  /// Starts the helper thread unless it runs. Not before the broker listens, because brokers
  /// fork into the background and change their user before that.
  func startHelper() {
    let (starts, isFirst) = locked { state -> (Bool, Bool) in
      guard !state.helperRuns else { return (false, false) }
      let isFirst = state.drained < 0 && !state.wasForked
      state.control = clinux_link_eventfd(0)
      state.drained = clinux_link_eventfd(0)
      guard state.control >= 0, state.drained >= 0 else { return (false, false) }
      descriptors.set(state.control, .hidden)
      descriptors.set(state.drained, .hidden)
      state.helperRuns = true
      return (true, isFirst)
    }
    guard starts else { return }
    if isFirst {
      // An offloaded connection needs two descriptors in this process.
      _ = clinux_link_raise_descriptor_limit(UInt64(4 * ShimLimits.connectionsMax))
      clinux_link_at_fork { Broker.shared.didFork() }
      _ = systemAtExit { Broker.shared.willExit() }
    }
    let result = unsafe clinux_link_thread_start(
      { Broker.shared.runHelper() }, "dpushim")
    if result != 0 {
      log("no helper thread, errno", Int64(-result))
      locked { $0.helperRuns = false }
    }
  }

  private func runHelper() {
    let control = locked { $0.control }
    guard var helper = Helper(self, control: control) else {
      return log("no helper: out of descriptors")
    }
    helper.run()
  }

  /// The process ends: what the broker wrote last still goes out.
  private func willExit() {
    let drained = locked { state -> Int32 in
      guard state.helperRuns else { return -1 }
      state.isExiting = true
      state.wakeHelper()
      return state.drained
    }
    if drained >= 0 { _ = clinux_link_wait_readable(drained, ShimLimits.exitMilliseconds) }
  }

  /// In the child of a fork, with the lock taken. The helper thread, its rings and its channels
  /// stayed with the parent; the kernel's listeners work here as well. A child that accepts gets
  /// a helper of its own.
  private func didFork() {
    alreadyLocked { state in
      state.helperRuns = false
      state.wasForked = true
      state.control = -1
      state.drained = -1
      for index in 0..<state.memories.count { state.memories[index] = .none }
      state.claim = CertificateClaim()
      for index in 0..<state.listeners.count {
        state.listeners[index].announcedTo = 0
        if state.listeners[index].state == .closing { state.listeners[index].state = .free }
      }
      state.forgetWaiting()
      for descriptor in 0...descriptors.highest where descriptors.use(descriptor) == .hidden {
        if !state.listensWith(descriptor) { descriptors.closeHidden(descriptor) }
      }
    }
  }
}
