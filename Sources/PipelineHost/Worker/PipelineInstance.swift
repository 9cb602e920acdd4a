package import P4Pipelines

/// One worker's copy of a loaded program, with what its port numbers stand for.
package struct PipelineInstance: ~Copyable {
  package var p4: P4Switch
  /// Does not change; `var`, because a sink points at it.
  package internal(set) var ports: PortMap

  package init(_ p4: consuming P4Switch, ports: PortMap) {
    self.p4 = p4
    self.ports = ports
  }
}

/// Names an instance in memory. The control thread makes it and hands it to a worker, which has it
/// alone until it hands it back; then the control thread frees it.
@safe
package struct PipelineHandle: BitwiseCopyable, @unchecked Sendable {
  let pointer: UnsafeMutablePointer<PipelineInstance>

  package init(_ instance: consuming PipelineInstance) {
    unsafe pointer = .allocate(capacity: 1)
    unsafe pointer.initialize(to: instance)
  }

  /// Control thread only, once, when no worker has it any more.
  package func free() {
    unsafe pointer.deinitialize(count: 1)
    unsafe pointer.deallocate()
  }
}
