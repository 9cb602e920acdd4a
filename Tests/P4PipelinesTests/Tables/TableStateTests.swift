import DPUCore
import Testing

@testable import P4Pipelines

/// What tables keep for their entries: counters, meters, times; and value sets.
struct TableStateTests {
  private func program() -> P4Program {
    var program = Tables.program(.exact, [(.exact, 8)], capacity: 10) {
      $0.directCounter = 0
      $0.directMeter = 0
      $0.supportsTimeout = true
    }
    program.counters = [P4Program.CounterArray(name: "c", size: 0, directTable: 0)]
    program.meters = [P4Program.MeterArray(name: "m", size: 0, countsBytes: true)]
    return program
  }

  private func key(_ value: Int) -> [P4Program.KeyMatch] { [.exact(WideInteger(value))] }

  @Test func directCountersCountHits() throws {
    var tables = Tables.set(program())
    let handle = try tables.add(0, key(5))
    var keys: [UInt8] = []
    for packet in 0..<8 { keys += [packet < 3 ? 5 : 6, 0, 0, 0, 0, 0, 0, 0] }
    var entries = [UInt64](repeating: 0, count: 64)
    var records = [UInt64](repeating: 0, count: 64)
    let lengths = (0..<64).map { 100 + UInt64($0) }
    let hits = tables.lookup(
      0, keys: keys, keyStride: 8, mask: 0xfe, entries: &entries, records: &records)
    #expect(hits == 0b110)
    tables.countDirect(0, hits: hits, entries: entries, lengths: lengths)
    var counter = try tables.directCounter(0, handle)
    #expect(counter == CounterValue(packets: 2, bytes: 203))
    try tables.setDirectCounter(0, handle, to: CounterValue(packets: 9, bytes: 8))
    counter = try tables.directCounter(0, handle)
    #expect(counter == CounterValue(packets: 9, bytes: 8))
    try tables.resetDirectCounters(0)
    counter = try tables.directCounter(0, handle)
    #expect(counter == CounterValue())
    // A new entry in the same place starts anew.
    try tables.setDirectCounter(0, handle, to: CounterValue(packets: 9, bytes: 8))
    try tables.remove(0, handle)
    counter = try tables.directCounter(0, tables.add(0, key(7)))
    #expect(counter == CounterValue())
  }

  @Test func directMetersColour() throws {
    var tables = Tables.set(program())
    let handle = try tables.add(0, key(5))
    func colour(_ length: UInt64, at microseconds: UInt64) -> UInt64 {
      var colours = [UInt64](repeating: 9, count: 64)
      tables.meterDirect(
        0, hits: 1, entries: [0], lengths: [length], microseconds: microseconds, colours: &colours)
      return colours[0]
    }
    var colours = [colour(1000, at: 1)]
    try tables.setDirectMeter(
      0, handle,
      to: MeterRates(committedRate: 1, committedBurst: 100, peakRate: 2, peakBurst: 150))
    colours += [colour(80, at: 10), colour(60, at: 10), colour(60, at: 10), colour(60, at: 100)]
    // 150 and 100 tokens; after 80 green: 70 and 20; 60 is yellow: 10 and 20; 60 is red; 90 us
    // later there are 150 and 100 again.
    #expect(colours == [0, 0, 1, 2, 0])
    let rates = try tables.directMeter(0, handle)
    #expect(rates?.peakBurst == 150)
    var error: TableError?
    do {
      try tables.setDirectMeter(
        0, handle,
        to: MeterRates(committedRate: 3, committedBurst: 1, peakRate: 2, peakBurst: 1))
    } catch let refusal { error = refusal }
    #expect(error == .badMeterRates)
    try tables.setDirectMeter(0, handle, to: nil)
    let none = try tables.directMeter(0, handle)
    #expect(none == nil)
  }

  @Test func idleEntriesAreToldOnce() throws {
    var tables = Tables.set(program())
    func at(_ milliseconds: UInt64) {
      tables.begin(now: Instant(nanoseconds: milliseconds * 1_000_000))
    }
    func idle() -> [Int] {
      var all: [Int] = []
      while let handle = tables.popIdle(0) { all.append(handle.index) }
      return all
    }
    at(1000)
    for value in 0..<3 { _ = try tables.add(0, key(value)) }
    var told = [idle()]
    for value in 0..<2 {
      try tables.setTimeout(0, tables.taken(value), milliseconds: 100 * (value + 1))
    }
    at(1099)
    told.append(idle())
    at(1100)
    told += [idle(), idle()]
    // Only entry 1 is hit now, so that it lives longer; entry 0 has been told.
    at(1150)
    _ = tables.look(0, [[WideInteger(1)]])
    at(1340)
    told.append(idle())
    at(1350)
    told += [idle(), idle()]
    // A hit and another silence: told again.
    _ = tables.look(0, [[WideInteger.zero]])
    told.append(idle())
    at(1450)
    told.append(idle())
    #expect(told == [[], [], [0], [], [], [1], [], [], [0]])
    let milliseconds = try tables.idleMilliseconds(0, tables.taken(1))
    #expect(milliseconds == 300)
  }

  @Test func valueSetsHoldPaddedKeys() throws {
    var program = Tables.program(.exact, [(.exact, 8)], capacity: 1)
    program.valueSets = [P4Program.ValueSet(name: "v", width: 20, capacity: 3)]
    var state = P4Program.ParserState(name: "s", operations: [], key: [], transitions: [])
    state.key = [
      P4Program.KeyPart(value: .parameter(0), width: 12),
      P4Program.KeyPart(value: .parameter(1), width: 8),
    ]
    state.transitions = [P4Program.Transition(match: .valueSet(0), next: .accept)]
    program.states = [state]
    var tables = Tables.set(program)
    try tables.insert(WideInteger(0x1_2345), intoValueSet: 0)
    try tables.insert(WideInteger(0xf_ff00), intoValueSet: 0)
    // 12 bits in two bytes, then 8 bits.
    let keys: [UInt8] = [
      0x01, 0x23, 0x45, 0, 0, 0, 0, 0, 0x0f, 0xff, 0x00, 0, 0, 0, 0, 0, 0x01, 0x23, 0x44, 0, 0, 0,
      0, 0,
    ]
    var found = tables.valueSetContains(0, keys: keys, keyStride: 8, mask: 0b111)
    #expect(found == 0b011)
    found = tables.valueSetContains(0, keys: keys, keyStride: 8, mask: 0b110)
    #expect(found == 0b010)
    var errors: [TableError] = []
    for value in [0x1_2345, 1 << 20] {
      do { try tables.insert(WideInteger(value), intoValueSet: 0) } catch { errors.append(error) }
    }
    #expect(errors == [.duplicate, .badKey(field: 0, .tooWide)])
    var values = tables.values(ofValueSet: 0)
    #expect(values == [WideInteger(0x1_2345), WideInteger(0xf_ff00)])
    try tables.remove(WideInteger(0x1_2345), fromValueSet: 0)
    found = tables.valueSetContains(0, keys: keys, keyStride: 8, mask: 0b111)
    #expect(found == 0b010)
    try tables.removeAll(fromValueSet: 0)
    values = tables.values(ofValueSet: 0)
    #expect(values.isEmpty)
  }
}
