// Keys are gathered into the machine's scratch memory and handed to tables and hash functions by
// address; see Bank.swift for why that is safe.

extension Machine {
  /// Looks up a table, all but the dispatch. Returns the packets that hit.
  mutating func lookup(_ number: UInt32, _ bank: Bank, _ running: UInt64) -> UInt64 {
    let table = unsafe image.tables.base[Int(number)]
    let records = bank.lane(table.recordLane)
    let entries =
      table.entryLane == Instruction.none ? scratch.column(1) : bank.lane(table.entryLane)
    let stride = scratch.keyStride
    if table.keyBytes != 0 {
      // The last word first: the plan may end before it.
      let tail = unsafe scratch.keys + (Int(table.keyBytes) &- 8)
      each(running) { unsafe store64(0, tail + $0 &* stride) }
      unsafe gather(
        fixed: image.plans.base[Int(table.plan)], bank, running, scratch.keys, stride)
    }
    let hits = unsafe tables.lookup(
      Int(number), keys: scratch.keys, keyStride: stride, mask: running, entries: entries.base,
      records: records.base)
    if table.hitMask != Instruction.none { bank.setMask(table.hitMask, running, to: hits) }
    if table.selector != Instruction.none {
      let groups = unsafe tables.groups(mask: running, records: records.base)
      if groups != 0 {
        let hashes = scratch.column(2)
        hash(unsafe image.calculations.base[Int(table.selector)], bank, groups, hashes)
        unsafe tables.resolve(
          Int(number), mask: groups, hashes: hashes.base, records: records.base)
      }
    }
    if hits != 0 && table.counts {
      unsafe tables.countDirect(
        Int(number), hits: hits, entries: entries.base, lengths: bank.arrivals.base)
    }
    if hits != 0 && table.meters {
      let colours = scratch.column(3)
      unsafe tables.meterDirect(
        Int(number), hits: hits, entries: entries.base, lengths: bank.arrivals.base,
        microseconds: microseconds, colours: colours.base)
      each(hits) { Self.set(table.meterResult, bank, $0, to: colours[$0]) }
    }
    return hits
  }

  /// The outputs of a calculation.
  mutating func hash(
    _ calculation: CalculationImage, _ bank: Bank, _ mask: UInt64, _ target: Column
  ) {
    let plan = unsafe image.plans.base[Int(calculation.plan)]
    let function = Int(calculation.function)
    if calculation.tail != Instruction.none, externs.takesTails(function) {
      let head = calculation.head
      if head.bytes > 0 {
        unsafe gather(fixed: head, bank, mask, scratch.keys, scratch.keyStride)
      }
      unsafe externs.hash(
        function, mask: mask, bytes: scratch.keys, stride: scratch.keyStride,
        count: Int(head.bytes), tails: bank.headerBytes(0, calculation.tail),
        tailStride: bank.byteStride, into: target.base)
    } else if plan.isFixed {
      unsafe gather(fixed: plan, bank, mask, scratch.keys, scratch.keyStride)
      unsafe externs.hash(
        function, mask: mask, bytes: scratch.keys, stride: scratch.keyStride,
        count: Int(plan.bytes), into: target.base)
    } else {
      each(mask) { packet in
        let count = unsafe gather(plan, bank, packet, scratch.input)
        target[packet] = unsafe externs.hash(function, scratch.input, count)
      }
    }
  }

  /// The packets whose key is in a value set.
  mutating func contains(
    valueSet set: UInt32, plan number: UInt32, _ bank: Bank, _ running: UInt64
  ) -> UInt64 {
    let plan = unsafe image.plans.base[Int(number)]
    if plan.bytes == 0 { return 0 }
    let stride = scratch.keyStride
    let tail = unsafe scratch.keys + ((Int(plan.bytes) &- 1) & ~7)
    each(running) { unsafe store64(0, tail + $0 &* stride) }
    unsafe gather(fixed: plan, bank, running, scratch.keys, stride)
    return unsafe tables.valueSetContains(
      Int(set), keys: scratch.keys, keyStride: stride, mask: running)
  }
}
