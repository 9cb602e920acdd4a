import DPUCore

// Instructions that reach outside the packets: counters, registers, meters, hashes, requests. The
// lanes handed over by address are the bank's own.

extension Machine {
  mutating func executeExtern(_ op: Instruction, _ bank: Bank, _ running: UInt64) {
    switch op.opcode {
    case .count:
      unsafe externs.count(
        Int(op.b), mask: running, indices: bank.lane(op.a).base, lengths: bank.arrivals.base)
    case .countImmediate:
      let indices = scratch.column(0)
      each(running) { indices[$0] = op.immediate }
      unsafe externs.count(
        Int(op.b), mask: running, indices: indices.base, lengths: bank.arrivals.base)
    case .registerRead:
      unsafe externs.readRegister(
        Int(op.b), mask: running, indices: bank.lane(op.a).base, into: bank.lane(op.d).base)
    case .registerWrite:
      unsafe externs.writeRegister(
        Int(op.b), mask: running, indices: bank.lane(op.a).base, values: bank.lane(op.c).base)
    case .registerWriteImmediate:
      let values = scratch.column(0)
      each(running) { values[$0] = op.immediate }
      unsafe externs.writeRegister(
        Int(op.b), mask: running, indices: bank.lane(op.a).base, values: values.base)
    case .registerReadWide: readWideRegister(op, bank, running)
    case .registerWriteWide: writeWideRegister(op, bank, running)
    case .meter:
      unsafe externs.executeMeter(
        Int(op.b), mask: running, indices: bank.lane(op.a).base, lengths: bank.arrivals.base,
        microseconds: microseconds, into: bank.lane(op.d).base)
    case .hash:
      let target = bank.lane(op.d)
      unsafe hash(image.calculations.base[Int(op.c)], bank, running, target)
      if op.mask != ~0 { each(running) { target[$0] &= op.mask } }
    case .random:
      unsafe externs.random(
        mask: running, low: bank.lane(op.a).base, high: bank.lane(op.b).base,
        into: bank.lane(op.d).base)
    case .digest: request(.digest, list: op.a, bank, running) { _ in 0 }
    case .cloneIngress, .cloneEgress:
      // Session numbers have 15 bits.
      let sessions = bank.lane(op.a)
      request(.clone, list: op.b, bank, running) { UInt32(sessions[$0] & 0x7fff) }
    case .resubmit: request(.resubmit, list: op.b, bank, running) { _ in 0 }
    case .recirculate: request(.recirculate, list: op.b, bank, running) { _ in 0 }
    case .truncate:
      let lengths = bank.lane(op.a)
      request(.truncate, list: Instruction.none, bank, running) {
        UInt32(clamping: lengths[$0])
      }
    case .log: each(running) { note(op.a, bank, $0) }
    case .assert:
      let failed = running & ~bank.mask(op.a)
      if failed != 0 {
        request(.failedAssertion, list: Instruction.none, bank, failed) { _ in 0 }
      }
    default: break
    }
  }

  @inline(__always)
  private mutating func request(
    _ kind: RequestKind, list: UInt32, _ bank: Bank, _ running: UInt64,
    _ value: (Int) -> UInt32
  ) {
    let list = Int32(bitPattern: list)
    each(running) { bank.requests.set(kind, $0, value: value($0), list: list) }
    bank.requests.add(kind, running)
  }

  private mutating func readWideRegister(_ op: Instruction, _ bank: Bank, _ running: UInt64) {
    let indices = bank.lane(op.a)
    let words = externs.registerWords(Int(op.b))
    each(running) { packet in
      if let element = unsafe externs.registerElement(Int(op.b), indices[packet]) {
        unsafe bank.wideSlot(packet, op.d).load(element, count: words)
      }
    }
  }

  private mutating func writeWideRegister(_ op: Instruction, _ bank: Bank, _ running: UInt64) {
    let indices = bank.lane(op.a)
    let words = externs.registerWords(Int(op.b))
    each(running) { packet in
      if let element = unsafe externs.registerElement(Int(op.b), indices[packet]) {
        let slot = bank.wideSlot(packet, op.c)
        var index = 0
        while index < words {
          unsafe element[index] = slot[index] & lowBits(max(0, Int(op.e) &- index &* 64))
          index &+= 1
        }
      }
    }
  }

  /// Keeps a `log_msg` for whoever reads the log; the oldest give way.
  private mutating func note(_ log: UInt32, _ bank: Bank, _ packet: Int) {
    var record = LogRecord(log: Int(log), arguments: InlineArray(repeating: 0))
    let arguments = unsafe image.logs.base[Int(log)]
    var index = 0
    while index < min(8, Int(arguments.count)) {
      let lane = unsafe image.numbers.base[Int(arguments.first) &+ index]
      record.arguments[index] = bank.lane(lane)[packet]
      index &+= 1
    }
    logRing[Int(truncatingIfNeeded: logEnd % UInt64(Self.logCapacity))] = record
    logEnd &+= 1
  }
}
