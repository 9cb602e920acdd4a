package import DPUCore

/// A switch with ports, memory and a clock of its own: what tests, `dpuctl` and benchmarks run a
/// program on. Time passes only when told to, so a run repeats exactly.
package struct VirtualSwitch: ~Copyable {
  package var `switch`: P4Switch
  package var ports: VirtualPorts
  package private(set) var now: Instant
  package let names: P4Names
  /// Packets that are collected before the switch runs, 1...64.
  package let batch: Int
  private var collected = 0

  /// Calls of `run` after which a switch counts as not coming to rest: a program may send packets
  /// in circles.
  package var patience = 100_000
  /// Whether the switch failed to come to rest, ever.
  package private(set) var isRestless = false
  /// Between two packets, and between two looks at a switch that still has work.
  package static let step = Interval.microseconds(10)

  package init(
    _ program: P4Program, _ code: PipelineCode, options: SwitchOptions = SwitchOptions(),
    batch: Int = 64, ports: consuming VirtualPorts = VirtualPorts()
  ) throws(TableError) {
    precondition(batch >= 1 && batch <= 64)
    // A start above zero: programs ask whether a timestamp is there by comparing it with zero.
    now = Instant.zero + .seconds(1)
    `switch` = try P4Switch(code, program: program, options: options)
    self.ports = ports
    names = P4Names(program)
    self.batch = batch
  }

  /// False when there is no buffer for it.
  package mutating func send(_ bytes: some Collection<UInt8>, port: Int) -> Bool {
    guard let buffer = ports.buffer(holding: bytes) else { return false }
    now = now + Self.step
    if !`switch`.receive(buffer, port: port, now: now) {
      ports.recycle(buffer)
      return false
    }
    collected += 1
    if collected >= batch { return settle() }
    return true
  }

  /// Runs until nothing waits any more; false when the switch does not come to rest within
  /// `patience` runs.
  package mutating func settle() -> Bool {
    collected = 0
    for _ in 0..<patience {
      if `switch`.run(into: &ports, now: now) {
        now = now + Self.step
      } else if let deadline = `switch`.nextDeadline {
        now = max(now + .microseconds(1), deadline)
      } else {
        return true
      }
    }
    isRestless = true
    return false
  }

  package mutating func pass(_ time: Interval) { now = now + time }

  /// What was sent before takes effect before.
  package mutating func apply(_ batch: ControlBatch) {
    _ = settle()
    `switch`.apply(batch, now: now)
  }

  /// Gives everything back that still waits inside.
  package mutating func drain() { `switch`.drain(into: &ports, now: now) }
}
