import DPUCore
import Glibc
import HBPFBridge

/// Packets through an FPGA that is nobody else's, counted on both sides of the bus.
enum FPGABench {
  /// What is run.
  struct Program {
    var name: String
    var instructions: [Instruction]
    var maps: [MapDeclaration]

    /// r0 = 2; exit
    static let passing = Program(
      name: "pass",
      instructions: [Instruction(opcode: 0xb7, immediate: 2), Instruction(opcode: 0x95)], maps: [])
  }

  struct Load {
    var program: Program
    var packets: Int
    var bytes: Int
    var batches: [Int]
  }

  /// What one batch size has given.
  struct Row {
    var batch: Int
    var packets: Int
    var seconds: Double
    /// By the device's counters.
    var faults: Int
    var busyCycles: Int
    var clockCycles: Int
    var instructions: Int
    /// By the driver's accesses.
    var wordsWritten: Int
    var wordsRead: Int
    var emptyPolls: Int

    func perPacket(_ number: Int) -> Double { Double(number) / Double(packets) }
  }

  struct Report {
    var capabilities: NativeCapabilities
    var rows: [Row] = []
    /// Why the program cannot run there; then nothing was measured.
    var refusal: String?
  }

  private typealias Driver<Window: RegisterWindow & ~Copyable> = NativeDriver<
    CountingWindow<Window>, WallClock
  >

  /// Leaves the device reset, without a program.
  static func run<Window: RegisterWindow & ~Copyable>(
    _ load: Load, on window: consuming Window, timeout: Int
  ) throws(DeviceFault) -> Report {
    let words = BusWords()
    var driver = Driver(
      CountingWindow(window, words), patience: WallClock(milliseconds: timeout))
    try driver.open()
    var report = Report(capabilities: driver.capabilities)
    do throws(ProgramFault) {
      try Self.load(load.program, into: &driver)
    } catch {
      report.refusal = error.text.string
      return report
    }
    for batch in load.batches {
      report.rows.append(
        try measure(load, batch: batch, &driver, words, timeoutMilliseconds: timeout))
    }
    try driver.reset()
    return report
  }

  /// Refuses what the verifier does not accept for this device, as the firmware would.
  private static func load<Window: RegisterWindow & ~Copyable>(
    _ program: Program, into driver: inout Driver<Window>
  ) throws(ProgramFault) {
    let target = driver.capabilities.target
    let report = try Verifier.check(program.instructions, maps: program.maps, for: target)
    let linked = try ProgramLinker.linkForCore(
      program.instructions, maps: program.maps, report, for: target)
    do throws(DeviceFault) {
      try driver.setInstructionLimit(UInt32(Verifier.stepsMax))
      try driver.load(linked.span)
    } catch {
      throw ProgramFault(at: 0, error.text)
    }
  }

  private static func measure<Window: RegisterWindow & ~Copyable>(
    _ load: Load, batch: Int, _ driver: inout Driver<Window>, _ words: BusWords,
    timeoutMilliseconds: Int
  ) throws(DeviceFault) -> Row {
    let packet = testPacket(load.bytes)
    let before = try totals(&driver)
    let clockBefore = try driver.clock()
    words.clear()
    let limit = UInt64(timeoutMilliseconds) * 1_000_000
    let start = WallClock.now
    var emptyPolls = 0
    var sent = 0
    var done = 0
    while done < load.packets {
      let now = WallClock.now
      while sent < load.packets, sent - done < batch,
        driver.submit(packet.span.bytes, tag: UInt64(sent), now: now)
      { sent += 1 }
      driver.ring()
      // One batch is collected before the next goes out.
      while done < sent {
        guard let completion = driver.poll() else {
          emptyPolls += 1
          words.forgetPoll()
          if driver.isOverdue(now: WallClock.now, limit: limit) { throw .notAnswering }
          sched_yield()
          continue
        }
        var bytes = packet
        var span = bytes.mutableSpan
        var raw = span.mutableBytes
        driver.read(completion, into: &raw)
        driver.release(completion)
        done += 1
      }
      driver.acknowledge()
    }
    let seconds = Double(max(1, WallClock.now - start)) / 1e9
    let (written, read) = (words.written, words.read)
    let after = try totals(&driver)
    return Row(
      batch: batch, packets: done, seconds: seconds, faults: Int(after.faults - before.faults),
      busyCycles: Int(after.busyCycles &- before.busyCycles),
      clockCycles: Int(try driver.clock() &- clockBefore),
      instructions: Int(after.instructions &- before.instructions), wordsWritten: written,
      wordsRead: read, emptyPolls: emptyPolls)
  }

  private static func totals<Window: RegisterWindow & ~Copyable>(
    _ driver: inout Driver<Window>
  ) throws(DeviceFault) -> (instructions: UInt64, busyCycles: UInt64, faults: UInt64) {
    var sum: (instructions: UInt64, busyCycles: UInt64, faults: UInt64) = (0, 0, 0)
    for core in 0..<driver.capabilities.cores {
      let counters = try driver.counters(core)
      sum.instructions += counters.instructions
      sum.busyCycles += counters.busyCycles
      sum.faults += counters.faults
    }
    return sum
  }

  /// UDP over IPv4 as far as it fits.
  private static func testPacket(_ count: Int) -> [UInt8] {
    let head: [UInt8] = [
      2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0, 0x45, 0, 0, UInt8(truncatingIfNeeded: count - 14),
      0, 0, 0, 0, 64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2, 0, 9, 0, 53, 0, 8, 0, 0,
    ]
    return (0..<count).map { $0 < head.count ? head[$0] : 0 }
  }
}

/// Words that a driver moved over the bus.
final class BusWords {
  private(set) var written = 0
  private(set) var read = 0

  func clear() { (written, read) = (0, 0) }
  func noteWritten(_ count: Int) { written += count }
  func noteRead(_ count: Int) { read += count }
  /// A poll that found nothing is counted elsewhere.
  func forgetPoll() { read -= 1 }
}

/// A window that counts what goes through it.
struct CountingWindow<Window: RegisterWindow & ~Copyable>: RegisterWindow, ~Copyable {
  private var window: Window
  private let words: BusWords

  init(_ window: consuming Window, _ words: BusWords) {
    self.window = window
    self.words = words
  }

  var byteCount: Int { window.byteCount }

  mutating func readRegisters(
    _ offset: Int, width: Int, into values: inout MutableSpan<UInt64>
  ) throws(DeviceFault) {
    words.noteRead(values.count)
    try window.readRegisters(offset, width: width, into: &values)
  }

  mutating func writeRegisters(
    _ offset: Int, width: Int, _ values: Span<UInt64>
  ) throws(DeviceFault) {
    words.noteWritten(values.count)
    try window.writeRegisters(offset, width: width, values)
  }

  func load(_ offset: Int) -> UInt64 {
    words.noteRead(1)
    return window.load(offset)
  }

  func store(_ value: UInt64, at offset: Int) {
    words.noteWritten(1)
    window.store(value, at: offset)
  }

  func fence() { window.fence() }
}
