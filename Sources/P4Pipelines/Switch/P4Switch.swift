package import DPUCore

/// A v1model switch: parser, ingress, traffic manager, egress and deparser around a `Machine`.
///
/// Packets come in through `receive` and leave through the sink that is handed to `run`; nothing
/// happens in between. Call `run` after each burst and, while it says that work is left or
/// `nextDeadline` has passed, again. Control operations are applied between two runs (`apply`).
///
/// A batch of up to 64 packets goes through ingress in bank 0 of the machine. As long as nobody
/// asks for copies it goes through egress there too, in place. Copies (multicast, clones) are made
/// in bank 1, where up to 64 of them run together; `order` remembers in which order the packets
/// of both banks leave. See `docs/p4.md` for the rules of v1model that stand behind it.
package struct P4Switch: ~Copyable {
  package let options: SwitchOptions
  package internal(set) var counters = Counters<SwitchCounter>()

  var machine: Machine
  var arrivals: WaitingRing
  /// Resubmitted and recirculated packets; they go before new ones.
  var again: WaitingRing
  var held: HeldPackets
  /// Clones made by egress, until the batch at hand is through.
  var late: IndexQueue
  var queues: EgressQueues
  var sessions: CloneSessions
  var multicast: MulticastTree
  var digests: DigestRing
  /// Tables that watch for idle entries, and the one to look at next.
  let idleTables: [Int]
  var nextIdleTable = 0

  /// The packets in the banks: place 64 * bank + packet.
  var slots: PlaceArray<PacketSlot>
  /// Places in the order in which they leave.
  var order: PlaceArray<UInt8>
  var ordered = 0
  /// Packets of each bank that wait for egress.
  var staged0: UInt64 = 0
  var staged1: UInt64 = 0
  /// Of bank 1: how many places are taken, and which of them have to be parsed first.
  var copies = 0
  var unparsed: UInt64 = 0
  /// Of those: which have a field list, and the packets of bank 0 whose fields they get.
  var listed: UInt64 = 0
  /// The list that all of them have; -1: they differ.
  var commonList = -1
  let sources: RawArray<UInt8>
  /// Of bank 1: copies, whose requests are void; moved originals keep theirs.
  var voided: UInt64 = 0
  /// Of bank 0: to be given back when no copy needs their bytes any more.
  var finished0: UInt64 = 0

  /// Field values to put back into packets of bank 0 once all have begun.
  var restores: FixedArray<UInt>
  /// What is staged has been in queues.
  var isReleasing = false

  /// Of this run.
  var now = Instant.zero
  var microseconds: UInt64 = 0
  /// Egress programs whose outcome depends on the order of packets run originals and copies in
  /// one bank.
  let egressKeepsOrder: Bool

  /// Allocates everything. Throws when a constant entry of the program does not fit its table.
  /// `secret` keys the hashes of the tables: a random number where packets come from strangers.
  package init(
    _ code: PipelineCode, program: P4Program, options: SwitchOptions = SwitchOptions(),
    secret: UInt64 = 0
  ) throws(TableError) {
    self.options = options
    let machine = try Machine(code, program: program, secret: secret, seed: options.seed)
    let fieldBytes = machine.fieldListBytes
    arrivals = WaitingRing(capacity: SwitchLimits.arrivals, fieldBytes: 0)
    again = WaitingRing(capacity: options.recirculating, fieldBytes: fieldBytes)
    held = HeldPackets(
      capacity: options.held, stateBytes: machine.stateBytes, fieldBytes: fieldBytes)
    late = IndexQueue(capacity: options.held)
    queues = EgressQueues(depth: options.queueDepth, held: options.held)
    sessions = CloneSessions(capacity: SwitchLimits.sessions)
    multicast = MulticastTree(groups: SwitchLimits.groups, nodes: SwitchLimits.nodes)
    var digestBytes = 0
    for list in program.learnLists.indices {
      digestBytes = max(digestBytes, machine.digestBytes(list))
    }
    digests = DigestRing(
      capacity: SwitchLimits.digests, bytes: digestBytes, lists: program.learnLists.count)
    idleTables = program.tables.indices.filter { program.tables[$0].supportsTimeout }
    slots = PlaceArray(repeating: PacketSlot())
    sources = RawArray(zeroes: Machine.width)
    order = PlaceArray(repeating: 0)
    restores = FixedArray(repeating: 0, count: Machine.width)
    egressKeepsOrder = machine.egressKeepsOrder
    self.machine = machine
  }
}

/// What the switch knows of a packet in a bank.
struct PacketSlot: BitwiseCopyable {
  var buffer = PacketBuffer.none
  /// Egress port.
  var port: UInt16 = 0
  /// Where it came from outside.
  var origin: UInt16 = 0
  /// Of a multicast copy; -1: none.
  var replicationID: Int32 = -1
  var instanceType: UInt8 = 0
  /// False: the bytes belong to another packet, which outlives this one.
  var ownsBuffer = false
  /// It has been in a queue, since this microsecond.
  var wasQueued = false
  var fieldList: Int16 = -1
  var truncation: UInt32 = 0
  var enqueued: UInt64 = 0
}

/// What programs see in `instance_type`.
enum InstanceType {
  static let normal: UInt8 = 0
  static let ingressClone: UInt8 = 1
  static let egressClone: UInt8 = 2
  static let recirculated: UInt8 = 4
  static let replicated: UInt8 = 5
  static let resubmitted: UInt8 = 6
}

// MARK: Packets in, packets out

extension P4Switch {
  /// Packets that `receive` will still take before `run` must be called.
  package var arrivalRoom: Int { arrivals.room }

  /// Takes a packet that arrived on `port`, for the next `run`. False when too many wait already:
  /// that is counted, and the caller keeps the buffer.
  @inline(__always)
  package mutating func receive(_ buffer: PacketBuffer, port: Int, now: Instant) -> Bool {
    guard arrivals.room > 0 else {
      counters.increment(.droppedArrivalsFull)
      return false
    }
    arrivals.push(
      WaitingPacket(
        buffer: buffer, microseconds: microseconds(at: now),
        port: UInt16(truncatingIfNeeded: port)))
    return true
  }

  /// Brings waiting packets on their way, about `budget` of them, so that a program whose packets
  /// go round for ever does not keep the poll loop. True: call again, work is left.
  package mutating func run<Sink: PacketSink & ~Copyable>(
    into sink: inout Sink, now: Instant, budget: Int = SwitchLimits.budget
  ) -> Bool {
    queues.begin(now)
    if isIdle { return false }
    begin(now)
    var left = budget
    if queues.count > 0 { left -= releaseQueued(into: &sink) }
    while left > 0 {
      if late.count > 0 {
        left -= max(SwitchLimits.batchCost, releaseLate(into: &sink))
      } else {
        let count = takeBatch()
        if count == 0 { break }
        runIngress(count, into: &sink)
        left -= max(SwitchLimits.batchCost, count)
      }
    }
    let logs = machine.countLogs()
    if logs.made != 0 {
      counters.add(logs.made, to: .logs)
      counters.add(logs.lost, to: .logsLost)
    }
    return hasWork
  }

  /// Packets wait that do not wait for time.
  private var hasWork: Bool { arrivals.count + again.count + late.count > 0 }

  /// No packet waits anywhere.
  package var isIdle: Bool { !hasWork && queues.count == 0 }

  /// When a packet in a queue with a rate may leave next; nil when none waits.
  package var nextDeadline: Instant? { queues.nextDeadline }

  /// Finishes what waits, before another program takes over: a bounded number of runs, in which
  /// queues are emptied whatever their rates. What still goes round is dropped and counted.
  package mutating func drain<Sink: PacketSink & ~Copyable>(into sink: inout Sink, now: Instant) {
    var rounds = SwitchLimits.drainRounds
    while rounds > 0, !isIdle {
      _ = run(into: &sink, now: now)
      if queues.count > 0 { _ = releaseQueued(into: &sink, regardless: true) }
      rounds -= 1
    }
    discard(into: &sink)
  }

  /// Gives back the buffers of all waiting packets.
  package mutating func discard<Memory: PacketMemory & ~Copyable>(into memory: inout Memory) {
    while arrivals.count > 0 { discard(arrivals.pop().buffer, into: &memory) }
    while again.count > 0 { discard(again.pop().buffer, into: &memory) }
    while let slot = late.pop() {
      discard(held[slot].buffer, into: &memory)
      held.give(slot)
    }
    while let (slot, _) = queues.popAny() {
      discard(held[slot].buffer, into: &memory)
      held.give(slot)
    }
  }

  private mutating func discard<Memory: PacketMemory & ~Copyable>(
    _ buffer: PacketBuffer, into memory: inout Memory
  ) {
    memory.recycle(buffer)
    counters.increment(.droppedAtSwap)
  }

  private mutating func begin(_ now: Instant) {
    self.now = now
    microseconds = microseconds(at: now)
    machine.begin(microseconds: microseconds)
    machine.tables.begin(now: now)
  }

  /// Timestamps have 48 bits.
  private func microseconds(at now: Instant) -> UInt64 {
    (now - options.start).microseconds & 0xffff_ffff_ffff
  }
}
