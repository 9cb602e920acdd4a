import DPUCore

/// Drives our own gateware: a program for all cores, packets through two rings.
///
/// On the way of a packet no register is read: packets and descriptors are stored, one store rings
/// for a batch, completions are polled in memory. Time is handed in; nothing waits but `open`,
/// `load` and `reset`, which are for the control thread or a device that hangs.
package struct NativeDriver<
  Window: RegisterWindow & ~Copyable, Patience: DevicePatience & ~Copyable
>: ~Copyable {
  /// A packet that the device has finished.
  package struct Completion: Equatable, BitwiseCopyable, Sendable {
    package var slot: Int
    /// As it was given to `submit`.
    package var tag: UInt64
    /// Nil after a fault of the program or a refusal of the device.
    package var verdict: Verdict?
    /// The device's code; 0 for none.
    package var fault: Int
    /// The instruction that faulted.
    package var row: Int
    package var byteCount: Int
    package var cycles: Int
  }

  /// What is known of a packet slot.
  struct Slot: BitwiseCopyable {
    var isBusy = false
    /// The device has it, or it waits to be read and released.
    var isCompleted = false
    var cookie: UInt32 = 0
    var tag: UInt64 = 0
    var since: UInt64 = 0
    var byteCount = 0
    /// Bytes that may not be zero.
    var dirtyBytes = 0
  }

  package var window: Window
  var patience: Patience
  package private(set) var capabilities: NativeCapabilities
  var slots: FixedArray<Slot>
  /// Descriptors written, and how many of them the device was told of.
  var tail: UInt16 = 0
  var rung: UInt16 = 0
  /// Completions consumed.
  var head: UInt16 = 0
  var nextSlot = 0
  var freeSlots = 0
  var sequence: UInt32 = 0
  var generation: UInt32 = 0
  /// The row at which the active program begins.
  var activeRow = 0
  var isLoaded = false

  /// To be followed by `open`.
  package init(_ window: consuming Window, patience: consuming Patience) {
    self.window = window
    self.patience = patience
    capabilities = NativeCapabilities()
    slots = FixedArray(repeating: Slot(), count: NativePage.slotsMax)
  }

  /// Finds the device and resets it, whoever had it before. Keeps packets in order.
  package mutating func open() throws(DeviceFault) {
    guard window.byteCount >= NativePage.byteCount else { throw .badMap }
    let magic = try window.read(NativePage.Register.magic)
    guard magic == NativePage.magicWord else { throw .unknownDevice(magic) }
    let version = try window.read(NativePage.Register.version)
    let word = try window.read(NativePage.Register.capabilities)
    capabilities = try NativeCapabilities(version: version, word: word)
    try reset()
  }

  package var slotCount: Int { capabilities.cores * capabilities.slotsPerCore }
  /// Packets that can be submitted now.
  package var room: Int { freeSlots }
  package var inFlight: Int { slotCount - freeSlots }

  // MARK: Start and end

  /// Stops everything and begins anew without a program. Packets in flight are forgotten.
  package mutating func reset() throws(DeviceFault) {
    // Where a process stands between, it must not take an old doorbell for a new one. A device that
    // runs ignores a tail that goes back.
    window.store(0, at: NativePage.Register.submitTail)
    window.store(0, at: NativePage.Register.completionHead)
    window.fence()
    try window.write(NativePage.Control.reset, at: NativePage.Register.control)
    try window.write(0, at: NativePage.Register.control)
    try waitForIdle()
    for index in 0..<slots.count {
      slots[index].isBusy = false
      slots[index].isCompleted = false
      // What a slot held may have come from somebody else.
      slots[index].dirtyBytes = HBPFLimits.stateOffset
    }
    freeSlots = slotCount
    nextSlot = 0
    tail = 0
    rung = 0
    head = 0
    isLoaded = false
    try window.write(
      NativePage.Control.run | NativePage.Control.inOrder, at: NativePage.Register.control)
  }

  private mutating func waitForIdle() throws(DeviceFault) {
    patience.begin()
    while try window.read(NativePage.Register.status) & NativePage.Status.idle == 0 {
      guard !patience.isOver() else { throw .notAnswering }
    }
  }

  // MARK: Programs

  /// Makes `program` the one that every packet runs which starts from now on; packets that run end
  /// with the old one. Two programs of up to 2,048 rows take turns in the memory; a longer one must
  /// wait until no packet is on its way, so then nothing may be in flight.
  package mutating func load(_ program: Span<Instruction>) throws(DeviceFault) {
    guard program.count > 0, program.count <= capabilities.programRows else {
      throw .programTooLong(program.count)
    }
    let isLong = program.count > NativePage.halfRows
    let wasLong = isLoaded && activeRow < 0
    let mustStop = isLong || wasLong
    if mustStop {
      try window.write(NativePage.Control.inOrder, at: NativePage.Register.control)
      try waitForIdle()
    }
    let row = !isLong && isLoaded && activeRow == 0 ? NativePage.halfRows : 0
    try write(program, at: row)
    generation &+= 1
    if generation == 0 { generation = 1 }
    try window.write(UInt64(generation), at: NativePage.Register.programGeneration)
    patience.begin()
    while true {
      let status = try window.read(NativePage.Register.status)
      let state = NativePage.Status.program(status)
      if state == NativePage.Status.refused {
        throw .programRefused(NativePage.Status.refusal(status))
      }
      if state == NativePage.Status.active,
        try window.read(NativePage.Register.activeGeneration) == UInt64(generation)
      {
        break
      }
      guard !patience.isOver() else { throw .notAnswering }
    }
    // A program that reaches into the second half leaves no room beside it.
    activeRow = isLong ? -1 : row
    isLoaded = true
    if mustStop {
      try window.write(
        NativePage.Control.run | NativePage.Control.inOrder, at: NativePage.Register.control)
    }
  }

  private mutating func write(
    _ program: Span<Instruction>, at row: Int
  ) throws(DeviceFault) {
    var checksum = CRC32()
    var rows = FixedArray<UInt64>(repeating: 0, count: program.count)
    for index in program.indices {
      rows[index] = program[index].row
      checksum.add(rows[index])
    }
    try window.writeRegisters(
      NativePage.programMemory + row * Instruction.byteCount, width: 8, rows.span)
    try window.write(
      UInt64(program.count) | (row == 0 ? 0 : 1 << 16), at: NativePage.Register.programLength)
    try window.write(UInt64(checksum.value), at: NativePage.Register.programChecksum)
  }

  /// How many instructions one packet may take.
  package mutating func setInstructionLimit(_ limit: UInt32) throws(DeviceFault) {
    try window.write(UInt64(limit), at: NativePage.Register.instructionLimit)
  }

  // MARK: State

  private func stateOffset(_ core: Int) -> Int {
    NativePage.slots + core * capabilities.slotsPerCore * NativePage.slotBytes
      + HBPFLimits.stateOffset
  }

  /// The 512 bytes of a core's state, as words. While packets run it is no snapshot.
  package mutating func readState(
    _ core: Int, into words: inout MutableSpan<UInt64>
  ) throws(DeviceFault) {
    try window.readRegisters(stateOffset(core), width: 8, into: &words)
  }

  package mutating func writeState(
    _ core: Int, _ words: Span<UInt64>
  ) throws(DeviceFault) {
    try window.writeRegisters(stateOffset(core), width: 8, words)
  }

  // MARK: Counters

  /// What the device counts of one core.
  package struct CoreCounters: Equatable, BitwiseCopyable, Sendable {
    package var packets: UInt64
    package var instructions: UInt64
    package var busyCycles: UInt64
    package var faults: UInt64
    package var lastFault: UInt64
  }

  package mutating func counters(_ core: Int) throws(DeviceFault) -> CoreCounters {
    var words = InlineArray<5, UInt64>(repeating: 0)
    var span = words.mutableSpan
    try window.readRegisters(
      NativePage.Register.core + core * NativePage.Register.coreBytes, width: 8, into: &span)
    return CoreCounters(
      packets: words[0], instructions: words[1], busyCycles: words[2], faults: words[3],
      lastFault: words[4])
  }

  /// The device's own clock: cycles since its power came on.
  package mutating func clock() throws(DeviceFault) -> UInt64 {
    try window.read(NativePage.Register.clock)
  }

  /// Descriptors that the device refused, and doorbells that it ignored.
  package mutating func refusals() throws(DeviceFault) -> (descriptors: Int, doorbells: Int) {
    let word = try window.read(NativePage.Register.refused)
    return (Int(word & 0xffff_ffff), Int(word >> 32))
  }
}
