import DPUCore
import Testing

@testable import P4Pipelines

struct ExternStateTests {
  private func program() -> P4Program {
    var program = P4Program()
    program.counters = [
      P4Program.CounterArray(name: "a", size: 4), P4Program.CounterArray(name: "b", size: 2),
      P4Program.CounterArray(name: "direct", size: 99, directTable: 0),
    ]
    program.registers = [
      P4Program.RegisterArray(name: "narrow", size: 3, width: 9),
      P4Program.RegisterArray(name: "wide", size: 2, width: 100),
      P4Program.RegisterArray(name: "word", size: 2, width: 64),
    ]
    program.meters = [P4Program.MeterArray(name: "m", size: 2, countsBytes: false)]
    return program
  }

  @Test func countersCountPacketsAndBytes() throws {
    var externs = ExternSet(program(), seed: 1)
    externs.count(0, mask: 0b1111, indices: [1, 3, 1, 4], lengths: [60, 70, 80, 90])
    externs.count(1, mask: 0b11, indices: [1, .max], lengths: [5, 6])
    var values: [CounterValue] = []
    for index in 0..<4 { values.append(try externs.counter(0, index)) }
    values.append(try externs.counter(1, 1))
    #expect(
      values == [
        CounterValue(), CounterValue(packets: 2, bytes: 140), CounterValue(),
        CounterValue(packets: 1, bytes: 70), CounterValue(packets: 1, bytes: 5),
      ])
    var ignored = externs.ignoredIndices
    #expect(ignored == 2)
    try externs.setCounter(0, 3, to: CounterValue(packets: .max, bytes: 1))
    externs.count(0, mask: 1, indices: [3], lengths: [1])
    let wrapped = try externs.counter(0, 3)
    #expect(wrapped == CounterValue(packets: 0, bytes: 2))
    externs.resetCounters(0)
    let reset = try externs.counter(0, 1)
    let other = try externs.counter(1, 1)
    #expect(reset == CounterValue() && other.packets == 1)
    // Direct ones live in their table.
    externs.count(2, mask: 1, indices: [0], lengths: [1])
    ignored = externs.ignoredIndices
    #expect(ignored == 3)
  }

  @Test func indicesOutOfRangeAreRefused() {
    var externs = ExternSet(program(), seed: 1)
    var errors: [ExternError] = []
    do { _ = try externs.counter(0, 4) } catch { errors.append(error) }
    do { _ = try externs.counter(2, 0) } catch { errors.append(error) }
    do { _ = try externs.register(1, -1) } catch { errors.append(error) }
    do { _ = try externs.meter(0, 2) } catch { errors.append(error) }
    do { try externs.setRegister(0, 0, to: WideInteger(512)) } catch { errors.append(error) }
    do { try externs.setRegister(0, 0, to: WideInteger(-1)) } catch { errors.append(error) }
    #expect(
      errors == [
        .noSuchIndex, .noSuchIndex, .noSuchIndex, .noSuchIndex, .valueTooWide, .valueTooWide,
      ])
  }

  @Test func registersKeepWhatFits() throws {
    var externs = ExternSet(program(), seed: 1)
    externs.writeRegister(0, mask: 0b111, indices: [2, 5, 2], values: [7, 8, 0x3ff])
    var lane: [UInt64] = [1, 1, 1]
    externs.readRegister(0, mask: 0b111, indices: [2, 3, 0], into: &lane)
    // In packet order, cut to nine bits; out of range the target stays.
    #expect(lane == [0x1ff, 1, 0])
    let ignored = externs.ignoredIndices
    #expect(ignored == 2)

    let wide = WideInteger(magnitude: [0x1111_2222_3333_4444, 0xf_5555_6666])
    try externs.setRegister(1, 1, to: wide)
    let words = externs.registerWords(1)
    #expect(words == 2)
    let element = try #require(externs.registerElement(1, 1) as UnsafeMutablePointer?)
    #expect(element[0] == 0x1111_2222_3333_4444 && element[1] == 0xf_5555_6666)
    element[0] = 5
    let read = try externs.register(1, 1)
    #expect(read == WideInteger(magnitude: [5, 0xf_5555_6666]))
    let none = externs.registerElement(1, 2)
    #expect(none == nil)
    let before = try externs.register(1, 0)
    let after = try externs.register(2, 0)
    #expect(before.isZero && after.isZero)
    externs.resetRegisters(1)
    let reset = try externs.register(1, 1)
    #expect(reset.isZero)
  }

  @Test func randomNumbersStayInRange() {
    var externs = ExternSet(program(), seed: 42)
    var again = ExternSet(program(), seed: 42)
    var seen = Set<UInt64>()
    for _ in 0..<200 {
      var lane = [UInt64](repeating: 0, count: 4)
      var other = lane
      externs.random(
        mask: 0b1111, low: [10, 7, 0, 9], high: [13, 7, .max, 3], into: &lane)
      again.random(mask: 0b1111, low: [10, 7, 0, 9], high: [13, 7, .max, 3], into: &other)
      #expect(lane == other)
      #expect((10...13).contains(lane[0]) && lane[1] == 7 && lane[3] == 9)
      seen.insert(lane[0])
    }
    #expect(seen == [10, 11, 12, 13])
  }
}

struct MeterTests {
  private func externs(bytes: Bool, rates: Int = 2) -> ExternSet {
    var program = P4Program()
    var array = P4Program.MeterArray(name: "m", size: 3, countsBytes: bytes)
    array.rateCount = rates
    program.meters = [array]
    return ExternSet(program, seed: 1)
  }

  private func colour(
    _ externs: inout ExternSet, _ length: UInt64 = 1, at microseconds: UInt64, index: UInt64 = 1
  ) -> UInt64 {
    var colours: [UInt64] = [9]
    externs.executeMeter(
      0, mask: 1, indices: [index], lengths: [length], microseconds: microseconds, into: &colours)
    return colours[0]
  }

  @Test func greenUntilConfigured() throws {
    var externs = externs(bytes: false)
    var colours = (0..<3).map { colour(&externs, at: $0) }
    #expect(colours == [0, 0, 0])
    try externs.setMeter(
      0, 1, to: MeterRates(committedRate: 0, committedBurst: 0, peakRate: 0, peakBurst: 0))
    colours = [colour(&externs, at: 5), colour(&externs, at: 5, index: 0)]
    #expect(colours == [2, 0])
    try externs.setMeter(0, 1, to: nil)
    colours = [colour(&externs, at: 6)]
    #expect(colours == [0])
    // Out of range: the colour stays what it was.
    colours = [colour(&externs, at: 6, index: 3)]
    let ignored = externs.ignoredIndices
    #expect(colours == [9] && ignored == 1)
  }

  /// Packets at 10,000 a second, of which the committed rate lets through 1,000 and the peak rate
  /// 3,000: over a second a tenth is green, a fifth yellow.
  @Test func coloursFollowTheRates() throws {
    var externs = externs(bytes: false)
    try externs.setMeter(
      0, 1, to: MeterRates(committedRate: 0.001, committedBurst: 5, peakRate: 0.003, peakBurst: 5))
    var counts = [0, 0, 0]
    for step in 0..<10_000 { counts[Int(colour(&externs, at: UInt64(step) * 100))] += 1 }
    #expect(abs(counts[0] - 1000) <= 6)
    #expect(abs(counts[1] - 2000) <= 8)
    #expect(counts.reduce(0, +) == 10_000)
  }

  /// The peak bucket is asked first: a red packet takes nothing, a yellow one takes from the peak
  /// bucket only.
  @Test func peakThenCommitted() throws {
    var externs = externs(bytes: true)
    try externs.setMeter(
      0, 1, to: MeterRates(committedRate: 0.1, committedBurst: 300, peakRate: 0.2, peakBurst: 1000))
    var colours: [UInt64] = []
    colours.append(colour(&externs, 200, at: 0))  // 1000, 300 -> 800, 100
    colours.append(colour(&externs, 900, at: 0))  // red: 800 is too little
    colours.append(colour(&externs, 500, at: 0))  // yellow: 800 -> 300, 100 stays
    colours.append(colour(&externs, 100, at: 0))  // green: 200, 0
    colours.append(colour(&externs, 1, at: 9))  // 201, 0: no whole token yet, yellow: 200
    colours.append(colour(&externs, 1, at: 10))  // 201, 1: green
    #expect(colours == [0, 2, 1, 0, 1, 0])
    // Long silence fills the buckets to their bursts, no further.
    colours = [
      colour(&externs, 300, at: 1 << 47), colour(&externs, 300, at: 1 << 47),
      colour(&externs, 401, at: 1 << 47),
    ]
    #expect(colours == [0, 1, 2])
    // A clock that goes back brings nothing.
    colours = [colour(&externs, 401, at: 5)]
    #expect(colours == [2])
  }

  @Test func oneRateKnowsNoRed() throws {
    var externs = externs(bytes: false, rates: 1)
    try externs.setMeter(
      0, 1, to: MeterRates(committedRate: 0.5, committedBurst: 2, peakRate: 0, peakBurst: 0))
    let colours = (0..<5).map { _ in colour(&externs, at: 0) }
    #expect(colours == [0, 0, 1, 1, 1])
  }

  @Test func ratesThatMakeNoSense() throws {
    var externs = externs(bytes: false)
    for (committed, peak) in [(2.0, 1.0), (-1, 1), (.nan, 1), (1, .infinity), (1, .nan)] {
      var error: ExternError?
      do {
        try externs.setMeters(
          0,
          to: MeterRates(committedRate: committed, committedBurst: 1, peakRate: peak, peakBurst: 1))
      } catch let refusal { error = refusal }
      #expect(error == .badMeterRates)
    }
    // The largest ones do not overflow.
    try externs.setMeters(
      0,
      to: MeterRates(
        committedRate: 1e300, committedBurst: .max, peakRate: 1e300, peakBurst: .max))
    let colours = [colour(&externs, at: 1 << 48), colour(&externs, at: 1 << 48)]
    #expect(colours == [0, 0])
    let rates = try externs.meter(0, 1)
    #expect(rates?.committedRate == 1e300)
  }
}
