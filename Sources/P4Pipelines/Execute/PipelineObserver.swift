/// Watches a machine at work, for tracing one packet. The machine runs instruction by instruction
/// then; what the instructions do is the same.
package protocol PipelineObserver: ~Copyable {
  /// False compiles the calls away.
  static var isObserving: Bool { get }

  /// An instruction has run for these packets of the bank. What it belongs to stands in
  /// `machine.code.marks`, what it wrote in the machine.
  mutating func ran(
    _ instruction: Int, packets: UInt64, _ machine: borrowing Machine, bank: Int)

  /// A table was looked up for these packets, of which `hits` hit; `machine.lookupKey` and
  /// `machine.lookupResult` tell the rest for each of them.
  mutating func applied(
    _ table: Int, packets: UInt64, hits: UInt64, _ machine: borrowing Machine, bank: Int)
}

/// Nobody watches: the packet path.
struct NoObserver: PipelineObserver {
  static var isObserving: Bool { false }
  mutating func ran(
    _ instruction: Int, packets: UInt64, _ machine: borrowing Machine, bank: Int
  ) {}
  mutating func applied(
    _ table: Int, packets: UInt64, hits: UInt64, _ machine: borrowing Machine, bank: Int
  ) {}
}

/// What a lookup found, as a tracer shows it.
package struct LookupResult: BitwiseCopyable, Sendable {
  /// Index of the entry; nil: a miss, or a keyless table.
  package var entry: Int?
  /// Index in `P4Program.actions`; nil: no action.
  package var action: Int?
}

// What a tracer reads. Numbers come from outside, so they are checked.

extension Machine {
  package func observedLane(_ lane: UInt32, bank: Int, packet: Int) -> UInt64 {
    precondition(Int(lane) < code.laneCount)
    return memory.bank(bank).lane(lane)[checked(packet)]
  }

  package func observedMask(_ mask: UInt32, bank: Int) -> UInt64 {
    precondition(Int(mask) < code.maskCount)
    return memory.bank(bank).mask(mask)
  }

  /// Header bytes of a packet.
  package func observedByte(_ offset: Int, bank: Int, packet: Int) -> UInt8 {
    precondition(offset >= 0 && offset < code.headerBytes)
    return unsafe memory.bank(bank).headerBytes(checked(packet), UInt32(offset)).pointee
  }

  /// The low 64 bits of a field.
  package func observedField(
    _ place: PipelineCode.FieldPlace, bank: Int, packet: Int
  ) -> UInt64 {
    Self.value(PlaceImage(place, code), memory.bank(bank), checked(packet))
  }

  /// A limb of a wide slot.
  package func observedLimb(_ index: Int, ofWide slot: UInt32, bank: Int, packet: Int) -> UInt64 {
    precondition(Int(slot) < code.wideCount && index >= 0 && index < code.wideLimbs)
    return memory.bank(bank).wideSlot(checked(packet), slot)[index]
  }

  /// A byte of the key that the lookup has just used; only within `applied`.
  package func lookupKeyByte(_ index: Int, packet: Int) -> UInt8 {
    precondition(index >= 0 && index < scratch.keyStride)
    return unsafe scratch.keys[checked(packet) &* scratch.keyStride &+ index]
  }

  /// What the lookup has just found; only within `applied`.
  package func lookupResult(_ number: Int, hit: Bool, bank: Int, packet: Int) -> LookupResult {
    precondition(number >= 0 && number < code.tables.count)
    let table = unsafe image.tables.base[number]
    let bank = memory.bank(bank)
    let packet = checked(packet)
    let entries =
      table.entryLane == Instruction.none ? scratch.column(1) : bank.lane(table.entryLane)
    let record = Int(truncatingIfNeeded: bank.lane(table.recordLane)[packet])
    let action = unsafe tables.records[record]
    return LookupResult(
      entry: hit ? Int(truncatingIfNeeded: entries[packet]) : nil,
      action: action == TableSet.noAction ? nil : Int(truncatingIfNeeded: action))
  }
}
