import DPUCore

/// A verified filter on one core, in software: its memory, its maps, and both engines.
///
/// Made on the control thread; nothing is allocated for a packet. The filter's view: r1 is the
/// address of 2,048 bytes, the packet from byte 0 and the state from byte 1,536 on, r2 is the
/// packet's length.
package struct FilterMachine: ~Copyable {
  package enum Engine: Sendable { case interpreter, compiled }

  /// What became of one packet.
  package struct Answer: Equatable, BitwiseCopyable, Sendable {
    package var verdict: Verdict
    /// For `redirect`: what `bpf_redirect` noted.
    package var port: UInt32?
    /// Then `verdict` is `aborted`.
    package var fault: RuntimeFault?
    package var r0: UInt64
  }

  /// The machine's own settings.
  package struct Options: Sendable {
    /// For `bpf_get_smp_processor_id`.
    package var worker = 0
    package var seed: UInt64 = 1
    /// For the hashes of maps.
    package var keys: (UInt64, UInt64) = (0, 0)
    /// Checks every access of interpreted programs, though it was proved: for tests of the proof.
    package var checksAccesses = false

    package init() {}
  }

  private var data: FixedArray<UInt8>
  private let stack: FixedArray<UInt8>
  private var helpers: FilterHelpers
  private var interpreter: Interpreter
  private let software: SoftwareProgram
  private var native: NativeProgram?
  private var context: NativeContext
  private var memory: GuestMemory
  /// The program with its addresses in place, for a compiler.
  package let linked: [Instruction]
  package let writesPacket: Bool
  private let checksAccesses: Bool
  /// Bytes of the packet memory that may not be zero.
  private var dirtyBytes = 0

  /// Refuses what the verifier or `MapStore` refuses.
  package init(
    _ program: [Instruction], maps: [MapDeclaration], _ options: Options
  ) throws(ProgramFault) {
    let report = try Verifier.check(program, maps: maps, for: .software)
    if let reason = MapStore.fault(maps) { throw ProgramFault(at: 0, reason) }
    let data = FixedArray<UInt8>(repeating: 0, count: HBPFLimits.dataBytes)
    let stack = FixedArray<UInt8>(
      repeating: 0, count: HBPFLimits.stackBytes * HBPFLimits.callDepth)
    let store = MapStore(maps, data: data.hostAddress, keys: options.keys)
    var memory = GuestMemory()
    memory.add(
      MemoryRegion(
        start: UInt64(data.hostAddress), count: data.count, host: data.hostAddress,
        isWritable: true))
    memory.add(store.region)
    var context = NativeContext()
    context.stackStart = UInt64(stack.hostAddress)
    context.stackBytes = UInt64(stack.count)
    context.stackTop = context.stackStart + context.stackBytes
    context.dataStart = UInt64(data.hostAddress)
    context.dataBytes = UInt64(data.count)
    context.helper = NativeContext.filterHelper()
    let linked = ProgramLinker.link(program, to: store)
    software = try SoftwareProgram(linked.span, isProved: !options.checksAccesses)
    self.data = data
    self.stack = stack
    helpers = FilterHelpers(store, worker: options.worker, seed: options.seed)
    interpreter = Interpreter()
    native = nil
    self.context = context
    self.memory = memory
    self.linked = linked
    writesPacket = report.writesPacket
    checksAccesses = options.checksAccesses
  }

  /// `code`: what `NativeProgram.compile` made of `linked` in the mode `proved`, where it can run.
  package mutating func use(_ code: NativeProgram) { native = code }

  package var engine: Engine { native == nil ? .interpreter : .compiled }

  // MARK: Packets

  /// The first bytes of the packet memory; to be filled before `run`.
  @_lifetime(&self)
  package mutating func packet(_ count: Int) -> MutableRawSpan {
    if dirtyBytes > count { data.zero(count..<dirtyBytes) }
    dirtyBytes = writesPacket ? HBPFLimits.stateOffset : count
    return data.mutableBytes(0..<count)
  }

  /// Fills the packet memory with `bytes`.
  @inline(__always)
  package mutating func load(_ bytes: RawSpan) {
    var memory = packet(bytes.byteCount)
    memory.copy(bytes, at: 0)
  }

  /// Copies the first `count` bytes of what `run` left to the start of `target`.
  @inline(__always)
  package borrowing func store(_ count: Int, into target: inout MutableRawSpan) {
    target.copy(packetBytes(count), at: 0)
  }

  /// What `run` left of the packet.
  @_lifetime(borrow self)
  package borrowing func packetBytes(_ count: Int) -> RawSpan { data.bytes(0..<count) }

  /// The state, which stays from packet to packet.
  package var state: RawSpan {
    @_lifetime(borrow self)
    borrowing get { data.bytes(HBPFLimits.stateOffset..<HBPFLimits.dataBytes) }
  }

  /// For the control plane, between packets.
  package mutating func setState(_ offset: Int, _ byte: UInt8) {
    data[HBPFLimits.stateOffset + offset] = byte
  }

  /// Runs the filter over the `length` bytes that `packet` was filled with.
  package mutating func run(length: Int, now: UInt64) -> Answer {
    helpers.now = now
    helpers.redirectPort = nil
    let outcome =
      if let native { runNative(native, length: length) } else { interpret(length: length) }
    switch outcome {
    case .exit(let r0):
      return Answer(verdict: Verdict(r0: r0), port: helpers.redirectPort, fault: nil, r0: r0)
    case .fault(let fault):
      return Answer(verdict: .aborted, port: nil, fault: fault, r0: 0)
    }
  }

  private mutating func interpret(length: Int) -> Outcome {
    guard checksAccesses else {
      return interpreter.runProved(
        software, r1: context.dataStart, r2: UInt64(length), helpers: &helpers)
    }
    return interpreter.run(
      software, r1: context.dataStart, r2: UInt64(length), memory: memory, helpers: &helpers,
      jumpsMax: Verifier.stepsMax)
  }

  private mutating func runNative(_ native: NativeProgram, length: Int) -> Outcome {
    context.arguments[0] = context.dataStart
    context.arguments[1] = UInt64(length)
    context.callsLeft = Int64(HBPFLimits.callDepth - 1)
    return unsafe withUnsafeMutablePointer(to: &helpers) { helpers in
      context.helpers = UInt64(UInt(bitPattern: helpers))
      return native.run(&context)
    }
  }

  // MARK: Maps

  package var mapStore: MapStore {
    @inline(__always)
    _read { yield helpers.maps }
    @inline(__always)
    _modify { yield &helpers.maps }
  }
}

extension FilterMachine {
  /// Looks a key up, as a program does. Nil when there is none, or `key` is of the wrong size.
  package func value(of map: Int, key: [UInt8]) -> [UInt8]? {
    guard key.count == mapStore.keyBytes(map) else { return nil }
    var number: Int? = 0
    while let start = number, let entry = mapStore.next(map, from: start) {
      if entry.key == key { return entry.value }
      number = entry.number + 1
    }
    return nil
  }
}

extension FilterMachine {
  /// Where entry `number` of a map lies in the state; nil for maps elsewhere.
  package func stateOffset(of map: Int, _ number: Int) -> Int? {
    let address = mapStore.address(of: map)
    let start = data.hostAddress + UInt(HBPFLimits.stateOffset)
    guard address >= start, address < start + UInt(HBPFLimits.stateBytes) else { return nil }
    return Int(address - start) + mapStore.entryStride(of: map) * number
  }
}
