import DPUCore
import HBPFBridge
import ModelFPGA
import Testing

@Suite struct NativeDriverTests {
  typealias Driver = NativeDriver<ModelWindow, Patience>

  private func driver(_ device: ModelDevice) throws -> Driver {
    var driver = Driver(ModelWindow(device), patience: Patience())
    try driver.open()
    return driver
  }

  /// Submits a packet for which there must be room.
  private func send(
    _ packet: [UInt8], to driver: inout Driver, tag: UInt64 = 0, now: UInt64 = 0
  ) {
    let isTaken = driver.submit(packet.span.bytes, tag: tag, now: now)
    #expect(isTaken)
  }

  /// The completion that must be there.
  private func next(_ driver: inout Driver) throws -> Driver.Completion {
    let completion = driver.poll()
    return try #require(completion)
  }

  /// What becomes of one packet.
  private func verdict(_ driver: inout Driver) throws -> Verdict? {
    send([0], to: &driver)
    driver.ring()
    let completion = try next(&driver)
    driver.release(completion)
    return completion.verdict
  }

  private func expectQuiet(_ driver: inout Driver) {
    let completion = driver.poll()
    #expect(completion == nil)
  }

  /// `r0 = number; exit`
  private func program(_ number: Int32) -> [Instruction] {
    [Instruction(opcode: 0xb7, immediate: number), Instruction(opcode: 0x95)]
  }

  @Test func saysWhatItIs() throws {
    let driver = try driver(ModelDevice(cores: 4))
    let capabilities = driver.capabilities
    #expect(capabilities.cores == 4)
    #expect(capabilities.slotsPerCore == 2)
    #expect(capabilities.target.hasAtomics)
    #expect(capabilities.target.instructionsMax == 4096)
  }

  /// What stands at the device's place, and why it is refused.
  @Test(arguments: [
    (0x000, 0x1122, DeviceFault.unknownDevice(0x1122)),
    (0x008, 0x2_0001, DeviceFault.unknownVersion(major: 2, minor: 1)),
    (0x010, 0x0800_0400_0000, DeviceFault.badCapabilities(0x0800_0400_0000)),
  ])
  func refusesStrangers(_ offset: Int, _ value: UInt64, _ fault: DeviceFault) {
    let device = ModelDevice()
    device.set(offset, value)
    #expect(throws: fault) { _ = try driver(device) }
  }

  /// All vectors in batches as large as the slots allow: verdict, packet and state.
  @Test(arguments: ["v2", "v3"])
  func filtersAnswerAsTheirSource(_ version: String) throws {
    // One core, because the state of each vector belongs to it.
    var driver = try driver(ModelDevice(cores: 1))
    var loaded = ""
    for row in Vectors.filters {
      if row.filter != loaded {
        let code = try Vectors.filter("\(row.filter).\(version)")
        try driver.load(code.span)
        loaded = row.filter
      }
      let state = Vectors.words(row.state)
      try driver.writeState(0, state.span)
      send(Vectors.bytes(row.packet), to: &driver, tag: UInt64(row.n), now: 5)
      driver.ring()
      let completion = try next(&driver)
      #expect(completion.tag == UInt64(row.n))
      #expect(completion.verdict == Verdict(r0: row.r0), "\(row.filter) \(row.n)")
      #expect(completion.cycles == 33)
      var packet = [UInt8](repeating: 0, count: completion.byteCount)
      do {
        var span = packet.mutableSpan
        var bytes = span.mutableBytes
        driver.read(completion, into: &bytes)
      }
      #expect(packet == Vectors.bytes(row.packet_after))
      driver.release(completion)
      driver.acknowledge()
      var after = [UInt64](repeating: 0, count: 64)
      do {
        var span = after.mutableSpan
        try driver.readState(0, into: &span)
      }
      #expect(after == Vectors.words(row.state_after))
      expectQuiet(&driver)
      let inFlight = driver.inFlight
      #expect(inFlight == 0)
    }
  }

  /// 3,000 packets in batches: the rings go round eleven times, one doorbell for a batch, and no
  /// register is read on the way.
  @Test func ringsGoRound() throws {
    let device = ModelDevice(cores: 2)
    var driver = try driver(device)
    // r0 = *(u8 *)(r1 + 0); exit
    try driver.load(Vectors.program("71100000000000009500000000000000").span)
    device.isLogging = true
    let before = device.doorbells
    var sent: UInt64 = 0
    var seen: UInt64 = 0
    while sent < 3_000 {
      while driver.submit([UInt8(sent % 5), 9].span.bytes, tag: sent, now: sent) { sent += 1 }
      let room = driver.room
      #expect(room == 0)
      driver.ring()
      while let completion = driver.poll() {
        #expect(completion.tag == seen)
        #expect(completion.verdict == Verdict(rawValue: UInt32(seen % 5)))
        driver.release(completion)
        seen += 1
      }
      driver.acknowledge()
    }
    #expect(seen == sent)
    #expect(device.doorbells - before == Int(sent) / 4)
    #expect(!device.log.contains { !$0.isWrite && $0.offset < 0x1000 })
  }

  /// What an earlier packet left in a slot is not there for the next.
  @Test func slotsAreWiped() throws {
    var driver = try driver(ModelDevice(cores: 1))
    // r0 = *(u8 *)(r1 + 100); exit
    try driver.load(Vectors.program("71106400000000009500000000000000").span)
    for (count, verdict) in [(200, Verdict.transmit), (60, .aborted), (101, .transmit)] {
      for _ in 0..<2 {
        send([UInt8](repeating: 3, count: count), to: &driver)
      }
      driver.ring()
      while let completion = driver.poll() {
        #expect(completion.verdict == verdict)
        driver.release(completion)
      }
    }
  }

  /// Programs take turns in the two halves; a long one takes all rows, and so does its successor.
  @Test func programsAreSwapped() throws {
    let device = ModelDevice(cores: 1)
    var driver = try driver(device)
    for (number, expected) in [(1, Verdict.drop), (2, .pass), (3, .transmit)] {
      try driver.load(program(Int32(number)).span)
      #expect(try verdict(&driver) == expected)
    }
    var long = program(2)
    long += [Instruction](repeating: Instruction(opcode: 0x95), count: 3_000)
    try driver.load(long.span)
    #expect(try verdict(&driver) == .pass)
    try driver.load(program(1).span)
    #expect(try verdict(&driver) == .drop)
    #expect(device.activations.map(\.row) == [0, 2048, 0, 0, 0])
    #expect(throws: DeviceFault.programTooLong(4097)) {
      try driver.load([Instruction](repeating: Instruction(opcode: 0x95), count: 4097).span)
    }
  }

  /// A program that arrives damaged is refused, and the old one stays.
  @Test func aDamagedProgramIsRefused() throws {
    let device = ModelDevice(cores: 1)
    var driver = try driver(device)
    try driver.load(program(1).span)
    device.corruption = 0x10
    #expect(throws: DeviceFault.programRefused(2)) { try driver.load(program(2).span) }
    device.corruption = 0
    send([0], to: &driver, tag: 0, now: 0)
    driver.ring()
    #expect(try next(&driver).verdict == .drop)
    #expect(device.activations.count == 1)
  }

  @Test func faultsAreTold() throws {
    var driver = try driver(ModelDevice(cores: 1))
    // r0 = 0; r0 = *(u8 *)(r1 + 2048); exit
    try driver.load(
      Vectors.program("b700000000000000" + "7110000800000000" + "9500000000000000").span)
    send([0], to: &driver, tag: 8, now: 0)
    driver.ring()
    let completion = try next(&driver)
    #expect(completion.fault == 1 && completion.row == 1 && completion.verdict == nil)
  }

  /// A device that hangs: overdue after the limit, reset, loaded again; what it left in the rings
  /// before counts no more.
  @Test func aHungDeviceIsReset() throws {
    let device = ModelDevice(cores: 1)
    var driver = try driver(device)
    try driver.load(program(1).span)
    for tag in 0..<3 {
      send([0], to: &driver, tag: UInt64(tag), now: 100)
      driver.ring()
      let completion = try next(&driver)
      driver.release(completion)
    }
    device.isStuck = true
    send([0], to: &driver, tag: 3, now: 100)
    driver.ring()
    expectQuiet(&driver)
    let overdue = (0...1).map { driver.isOverdue(now: 1_100 + UInt64($0), limit: 1_000) }
    #expect(overdue == [false, true])
    device.isStuck = false
    try driver.reset()
    let rest = (driver.inFlight, driver.canRun)
    #expect(rest == (0, false))
    // Three completions of the first lap still stand in the ring.
    expectQuiet(&driver)
    try driver.load(program(2).span)
    send([0], to: &driver, tag: 4, now: 2_000)
    expectQuiet(&driver)
    driver.ring()
    let completion = try next(&driver)
    #expect(completion.tag == 4 && completion.verdict == .pass)
  }

  @Test func aDeadDeviceDoesNotHoldAnybodyUp() throws {
    let device = ModelDevice(cores: 1)
    var driver = try driver(device)
    device.isDead = true
    #expect(throws: DeviceFault.notAnswering) { try driver.load(program(1).span) }
    #expect(throws: DeviceFault.notAnswering) { try driver.reset() }
    #expect(throws: DeviceFault.unknownDevice(0)) { _ = try self.driver(device) }
  }
}
