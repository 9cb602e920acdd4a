import DPUCore

/// Runs a compiled program over up to 64 packets at a time, in each of two banks.
///
/// What happens to a packet, in the order in which the switch calls: `begin`, `parse`,
/// `verifyChecksums`, `ingress`, `beginEgress`, `egress`, `updateChecksums`, then `headerLength`
/// and `writeHeaders`. Packets are named by their number in the bank; a `mask` has bit i for packet
/// i. The packets' bytes belong to the caller, must stay where they are from `begin` until the
/// last call, and are never written by the machine.
///
/// Execution goes instruction by instruction, each over all packets: a switch over the opcode costs
/// once per batch, and the memory accesses of different packets overlap. Packets that took different
/// ways through the program are parts of the batch, told apart by masks.
@safe
package struct Machine: ~Copyable {
  package static let width = 64
  /// Bytes of a packet that a hash or checksum over the payload takes in: any IP packet.
  package static let payloadBytesMax = 65_536
  /// Calls of `log_msg` that are kept.
  static let logCapacity = 64

  package let code: PipelineCode
  package var tables: TableSet
  package var externs: ExternSet

  let image: CodeImage
  let memory: MachineMemory
  let scratch: Scratch
  /// For packets that `layOut` has gone through, until the machine runs again.
  let layouts: HeaderLayouts
  /// By `PipelineSection.rawValue`.
  let sections: InlineArray<5, SectionImage>
  /// Parts of the code that copies of packets look at, without the arrays beside them.
  let packetLanes: UInt32
  let packetMasks: UInt32
  let headerBytesUsed: Int
  let metadataMasks: Range<Int>
  /// Egress reads back state that packets share, so packets must pass it in order.
  package let egressKeepsOrder: Bool
  /// Where `begin` writes; a spare lane for what the program lacks.
  private let ingressPortLane: UInt32
  private let instanceTypeLane: UInt32
  private let packetLengthLane: UInt32
  private let ingressTimestampLane: UInt32
  private let lengthLane: UInt32

  var microseconds: UInt64 = 0
  /// Packets that have begun but whose metadata is still to be zeroed; per bank.
  private var opening = InlineArray<2, UInt64>(repeating: 0)
  var logRing: FixedArray<LogRecord>
  var logEnd: UInt64 = 0
  private var logStart: UInt64 = 0
  private var logsCounted: UInt64 = 0
  private var logsLost = 0

  /// Allocates everything. `secret` keys the hashes of tables, `seed` starts the random generator.
  /// Throws when a constant entry does not fit its table.
  package init(
    _ code: PipelineCode, program: P4Program, secret: UInt64, seed: UInt64
  ) throws(TableError) {
    invariant(code.firstFlaw(program) == nil, "compiled program is unsound")
    let plan = try TablePlan(program)
    self.code = code
    tables = TableSet(plan, secret: secret)
    externs = ExternSet(program, seed: seed)
    let image = CodeImage(code, program)
    externs.setTails(words: image.tailWords)
    let memory = MachineMemory(code, image)
    scratch = memory.scratch
    layouts = HeaderLayouts(memory)
    sections = [
      SectionImage(code.parser, of: code), SectionImage(code.verify, of: code),
      SectionImage(code.ingress, of: code), SectionImage(code.egress, of: code),
      SectionImage(code.update, of: code),
    ]
    packetLanes = UInt32(code.packetLanes)
    packetMasks = UInt32(code.packetMasks)
    headerBytesUsed = code.usedHeaderBytes
    metadataMasks = code.metadataMasks
    let egress = code.egress.blocks
    egressKeepsOrder = code.serialRegions.contains { $0.blocks.overlaps(egress) }
    let spare = UInt32(code.laneCount)
    let standard = image.standard
    func lane(_ field: StandardField) -> UInt32 {
      let place = standard[field.rawValue]
      return place.kind == .lane ? place.index : spare
    }
    ingressPortLane = lane(.ingressPort)
    instanceTypeLane = lane(.instanceType)
    packetLengthLane = lane(.packetLength)
    ingressTimestampLane = lane(.ingressTimestamp)
    lengthLane = code.lengthLane == Instruction.none ? spare : code.lengthLane
    logRing = FixedArray(
      repeating: LogRecord(log: 0, arguments: InlineArray(repeating: 0)), count: Self.logCapacity)
    self.image = image
    self.memory = memory
  }
}

// MARK: Running

extension Machine {
  /// The time of the burst, in microseconds since the switch started: for meters.
  package mutating func begin(microseconds: UInt64) { self.microseconds = microseconds }

  /// A packet that arrives: `count` bytes at `address`. All metadata becomes zero, all headers
  /// invalid, all requests void; the given standard metadata is written. `packetLength` is what
  /// counters and meters count from now on.
  ///
  /// Cheapest when all packets of a burst begin before anything else is asked of one of them.
  @inline(__always)
  package mutating func begin(
    bank number: Int, packet: Int, bytes address: UInt, count: Int, ingressPort: Int,
    instanceType: Int, packetLength: Int, ingressTimestamp: UInt64
  ) {
    let bank = memory.bank(number)
    let packet = checked(packet)
    unsafe bank.addresses[packet] = address
    unsafe bank.counts[packet] = count
    let length = UInt64(truncatingIfNeeded: packetLength)
    bank.arrivals[packet] = length
    bank.lane(ingressPortLane)[packet] = UInt64(truncatingIfNeeded: ingressPort) & 0x1ff
    bank.lane(instanceTypeLane)[packet] = UInt64(truncatingIfNeeded: instanceType) & 0xffff_ffff
    bank.lane(packetLengthLane)[packet] = length & 0xffff_ffff
    bank.lane(lengthLane)[packet] = length
    bank.lane(ingressTimestampLane)[packet] = ingressTimestamp & 0xffff_ffff_ffff
    opening[number] |= 1 &<< UInt64(truncatingIfNeeded: packet)
  }

  /// Begins packets of bank 1 as copies of packets of bank 0, as these came in: `sources` names one
  /// for each. Without metadata; the caller writes the ingress port.
  mutating func beginClones(_ mask: UInt64, of sources: UnsafePointer<UInt8>) {
    let source = memory.first, target = memory.second
    let ports = target.lane(ingressPortLane), types = target.lane(instanceTypeLane)
    let packetLengths = target.lane(packetLengthLane), lengths = target.lane(lengthLane)
    let times = target.lane(ingressTimestampLane)
    P4Pipelines.each(mask) { packet in
      let from = unsafe Int(sources[packet])
      let count = unsafe source.counts[from]
      unsafe target.addresses[packet] = source.addresses[from]
      unsafe target.counts[packet] = count
      let length = UInt64(truncatingIfNeeded: count)
      target.arrivals[packet] = length
      ports[packet] = 0
      types[packet] = 0
      packetLengths[packet] = length & 0xffff_ffff
      lengths[packet] = length
      times[packet] = 0
    }
    opening[1] |= mask
  }

  package mutating func parse(bank: Int, _ mask: UInt64) {
    var observer = NoObserver()
    parse(bank: bank, mask, &observer)
  }

  package mutating func verifyChecksums(bank: Int, _ mask: UInt64) { run(.verify, bank, mask) }

  package mutating func ingress(bank: Int, _ mask: UInt64) { run(.ingress, bank, mask) }

  /// What every packet finds at the start of egress: `egress_spec` 0, `packet_length` from the
  /// length register, the time. Port, instance type and replica are set packet by packet.
  package mutating func beginEgress(bank number: Int, _ mask: UInt64, timestamp: UInt64) {
    open(number)
    let bank = memory.bank(number)
    let spec = image.standard[StandardField.egressSpec.rawValue]
    if spec.kind == .lane {
      let lane = bank.lane(spec.index)
      P4Pipelines.each(mask) { lane[$0] = 0 }
    }
    let from = bank.lane(lengthLane), to = bank.lane(packetLengthLane)
    P4Pipelines.each(mask) { to[$0] = from[$0] & 0xffff_ffff }
    let time = image.standard[StandardField.egressTimestamp.rawValue]
    if time.kind == .lane {
      let lane = bank.lane(time.index)
      P4Pipelines.each(mask) { lane[$0] = timestamp & 0xffff_ffff_ffff }
    }
  }

  package mutating func egress(bank: Int, _ mask: UInt64) { run(.egress, bank, mask) }

  package mutating func updateChecksums(bank: Int, _ mask: UInt64) { run(.update, bank, mask) }

  @inline(__always)
  private mutating func run(_ section: PipelineSection, _ bank: Int, _ mask: UInt64) {
    var observer = NoObserver()
    run(section, bank: bank, mask, &observer)
  }

  /// The parser, watched.
  package mutating func parse<Observer: PipelineObserver & ~Copyable>(
    bank number: Int, _ mask: UInt64, _ observer: inout Observer
  ) {
    open(number)
    unsafe memory.bank(number).failures.pointee &= ~mask
    run(.parser, bank: number, mask, &observer)
    zeroMissingHeaders(memory.bank(number), mask)
  }

  /// Any other section, watched.
  package mutating func observe<Observer: PipelineObserver & ~Copyable>(
    _ section: PipelineSection, bank: Int, _ mask: UInt64, _ observer: inout Observer
  ) {
    run(section, bank: bank, mask, &observer)
  }
}

// MARK: Beginning

extension Machine {
  /// Zeroes the metadata of packets that have begun. Lane by lane for all of them, which is why
  /// `begin` leaves it to the first call that needs it.
  @inline(__always)
  mutating func open(_ number: Int) {
    if opening[number] != 0 { openAll(number) }
  }

  @inline(never)
  private mutating func openAll(_ number: Int) {
    let packets = opening[number]
    opening[number] = 0
    let bank = memory.bank(number)
    zero(image.zeroedLanes, image.zeroedBytes, bank, packets)
    var mask: UInt32 = 0
    while mask < packetMasks {
      bank.setMask(mask, packets, to: 0)
      mask &+= 1
    }
    bank.requests.removeAll(packets)
  }

  /// Zeroes headers that the parser has not found and the program may look at all the same, so that
  /// a packet's fate does not depend on which packet had its place before. Costs something for
  /// packets without those headers only.
  private mutating func zeroMissingHeaders(_ bank: Bank, _ mask: UInt64) {
    var index = Int(image.zeroedHeaders.first)
    let end = index &+ Int(image.zeroedHeaders.count)
    while index < end {
      let number = unsafe image.numbers.base[index]
      index &+= 1
      let missing = mask & ~bank.mask(number)
      if missing == 0 { continue }
      let header = bank.header(number)
      P4Pipelines.each(missing) {
        unsafe zeroBytes(bank.headerBytes($0, header.offset), Int(header.bytes))
      }
    }
  }

  mutating func zero(_ lanes: Slice, _ ranges: Slice, _ bank: Bank, _ packets: UInt64) {
    var index = Int(lanes.first)
    let end = index &+ Int(lanes.count)
    while index < end {
      let lane = bank.lane(unsafe image.numbers.base[index])
      P4Pipelines.each(packets) { lane[$0] = 0 }
      index &+= 1
    }
    for index in 0..<Int(ranges.count) {
      let range = unsafe image.ranges.base[Int(ranges.first) &+ index]
      P4Pipelines.each(packets) {
        unsafe zeroBytes(bank.headerBytes($0, range.offset), Int(range.count))
      }
    }
  }
}

// MARK: What programs ask for

extension Machine {
  /// The packets that have a request of this kind.
  @inline(__always)
  package mutating func requested(_ kind: RequestKind, bank: Int) -> UInt64 {
    open(bank)
    return memory.bank(bank).requests.mask(kind)
  }

  /// Session, bytes to keep: see `RequestKind`.
  package func requestValue(_ kind: RequestKind, bank: Int, packet: Int) -> Int {
    Int(memory.bank(bank).requests.value(kind, checked(packet)))
  }

  /// Index in `P4Program.fieldLists` of a list with fields; -1: there are none to carry over.
  @inline(__always)
  func fieldList(_ kind: RequestKind, bank: Int, packet: Int) -> Int {
    let list = Int(memory.bank(bank).requests.list(kind, checked(packet)))
    if list < 0 || list >= image.fieldLists.count { return -1 }
    return unsafe image.fieldLists.base[list].places.count == 0 ? -1 : list
  }

  /// Index in `P4Program.fieldLists` or `learnLists`; nil: the request names none.
  package func requestList(_ kind: RequestKind, bank: Int, packet: Int) -> Int? {
    let list = memory.bank(bank).requests.list(kind, checked(packet))
    return list < 0 ? nil : Int(list)
  }

  package mutating func clearRequests(_ kinds: RequestKinds, bank number: Int, _ mask: UInt64) {
    open(number)
    let bank = memory.bank(number)
    for kind in 0..<RequestKind.count where kinds.rawValue &>> UInt8(kind) & 1 != 0 {
      unsafe bank.requests.masks[kind] &= ~mask
    }
  }

  /// What `log_msg` has printed, oldest first. The oldest are lost when nobody takes them.
  package mutating func takeLog() -> LogRecord? {
    dropOldLogs()
    if logStart == logEnd { return nil }
    let record = logRing[Int(logStart % UInt64(Self.logCapacity))]
    logStart += 1
    return record
  }

  /// Calls of `log_msg` since this was last asked, and records that nobody took in time.
  mutating func countLogs() -> (made: Int, lost: Int) {
    if logsCounted == logEnd { return (0, 0) }
    dropOldLogs()
    let counts = (made: Int(logEnd &- logsCounted), lost: logsLost)
    logsCounted = logEnd
    logsLost = 0
    return counts
  }

  private mutating func dropOldLogs() {
    let waiting = logEnd &- logStart
    if waiting <= UInt64(Self.logCapacity) { return }
    logsLost += Int(waiting) - Self.logCapacity
    logStart = logEnd &- UInt64(Self.logCapacity)
  }
}

/// One call of `log_msg`.
package struct LogRecord: BitwiseCopyable, Sendable {
  /// Index in `PipelineCode.logs`.
  package var log: Int
  /// Values of the first arguments.
  package var arguments: InlineArray<8, UInt64>
}
