package import ControlPlane
package import HBPFBridge

/// One worker's copy of a port's filter.
package struct FilterInstance: ~Copyable {
  package var machine: FilterMachine
  package let policy: Configuration.FilterPolicy
  /// Packets go to the FPGA, and `machine` stands by.
  package let usesDevice: Bool

  package init(
    _ machine: consuming FilterMachine, policy: Configuration.FilterPolicy, usesDevice: Bool
  ) {
    self.machine = machine
    self.policy = policy
    self.usesDevice = usesDevice
  }
}

/// Names an instance in memory. The control thread makes it and hands it to a worker, which has it
/// alone until it hands it back; then the control thread frees it.
@safe
package struct FilterHandle: BitwiseCopyable, @unchecked Sendable {
  let pointer: UnsafeMutablePointer<FilterInstance>

  package init(_ instance: consuming FilterInstance) {
    unsafe pointer = .allocate(capacity: 1)
    unsafe pointer.initialize(to: instance)
  }

  /// Control thread only, once, when no worker has it any more.
  package func free() {
    unsafe pointer.deinitialize(count: 1)
    unsafe pointer.deallocate()
  }
}
