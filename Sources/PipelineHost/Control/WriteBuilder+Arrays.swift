import ControlPlane
import DPUCore
import JSONText
import P4Pipelines

extension WriteBuilder {
  // MARK: Counters

  mutating func writeCounter(_ call: PipelineCall) throws(RPCError) {
    let counter = try call.named(.counter, "counter") { names.counter($0) }
    let direct = program.counters[counter].directTable
    let batch = batch
    if call.method == .counterReset {
      _ = try writing(at: call.path) { () throws(ControlError) in
        if let direct { return try batch.resetDirectCounters(table: direct) }
        return try batch.resetCounter(counter)
      }
      return
    }
    let packets = UInt64(try call.integer(.packets, in: 0...Int.max) ?? 0)
    let bytes = UInt64(try call.integer(.bytes, in: 0...Int.max) ?? 0)
    // Each core counts for itself; the first gets the value, so that the sum is right.
    if let direct {
      let entry = try cell(call, .entry, refusing: .index)
      let isFirst = isFirst
      _ = try writing(at: call.path) { () throws(ControlError) in
        try batch.writeDirectCounter(
          table: direct, handle: entry, packets: isFirst ? packets : 0, bytes: isFirst ? bytes : 0)
      }
    } else {
      let index = try cell(call, .index, refusing: .entry)
      let isFirst = isFirst
      _ = try writing(at: call.path(of: .index)) { () throws(ControlError) in
        try batch.writeCounter(
          counter, index: index, packets: isFirst ? packets : 0, bytes: isFirst ? bytes : 0)
      }
    }
  }

  /// Direct counters and meters have a cell for each entry, the others are arrays.
  func cell(
    _ call: PipelineCall, _ parameter: PipelineParameter, refusing other: PipelineParameter
  ) throws(RPCError) -> Int {
    if let field = call[other] {
      let text: Text =
        other == .index
        ? "its cells belong to entries of a table" : "its cells have indices"
      throw RPCError(.invalidParameters, text, path: field.path)
    }
    guard let cell = try call.integer(parameter, in: 0...Int(UInt32.max)) else {
      throw RPCError(call.missing(parameter))
    }
    return cell
  }

  // MARK: Meters

  mutating func writeMeter(_ call: PipelineCall) throws(RPCError) {
    let meter = try call.named(.meter, "meter") { names.meter($0) }
    let batch = batch
    let rates = call.method == .meterReset ? nil : try rates(call)
    if let direct = program.meters[meter].directTable {
      let entry = try cell(call, .entry, refusing: .index)
      _ = try writing(at: call.path) { () throws(ControlError) in
        try batch.setDirectMeter(table: direct, handle: entry, rates)
      }
    } else {
      let index =
        call[.index] == nil && call[.entry] == nil
        ? nil : try cell(call, .index, refusing: .entry)
      _ = try writing(at: call.path) { () throws(ControlError) in
        try batch.setMeter(meter, index: index, rates)
      }
    }
  }

  /// Per second in requests, per microsecond in the engine.
  private func rates(_ call: PipelineCall) throws(RPCError) -> MeterRates {
    let limit = 1 << 48
    let committed = try call.integer(.committedRate, in: 0...limit) ?? 0
    let committedBurst = try call.integer(.committedBurst, in: 0...limit) ?? 0
    let peak = try call.integer(.peakRate, in: 0...limit) ?? 0
    let peakBurst = try call.integer(.peakBurst, in: 0...limit) ?? 0
    return MeterRates(
      committedRate: Double(committed) / 1e6, committedBurst: UInt64(committedBurst),
      peakRate: Double(peak) / 1e6, peakBurst: UInt64(peakBurst))
  }

  // MARK: Registers

  mutating func writeRegister(_ call: PipelineCall) throws(RPCError) {
    let register = try call.named(.register, "register") { names.register($0) }
    if let core = try call.integer(.core, in: 0...Int(Int32.max)), core != self.core { return }
    let batch = batch
    if call.method == .registerReset {
      _ = try writing(at: call.path) { () throws(ControlError) in
        try batch.resetRegister(register)
      }
      return
    }
    let array = program.registers[register]
    guard array.size > 0, let first = try call.integer(.index, in: 0...array.size - 1) else {
      throw RPCError(call.missing(.index))
    }
    let count = try call.integer(.count, in: 1...array.size - first) ?? 1
    let field = try call.required(.value)
    let value = try reading { () throws(JSONField.Problem) in
      try ValueReader.value(field, width: array.width)
    }
    _ = try writing(at: call.path) { () throws(ControlError) in
      try batch.writeRegister(register, range: first..<first + count, value)
    }
  }

  // MARK: Hashes

  mutating func writeHash(_ call: PipelineCall) throws(RPCError) {
    let calculation = try call.named(.calculation, "calculation") { names.calculation($0) }
    let width = try call.integer(.width, in: 8...64) ?? 0
    func number(_ parameter: PipelineParameter) throws(RPCError) -> UInt64 {
      guard let field = call[parameter] else { return 0 }
      do throws(JSONField.Problem) {
        return try ValueReader.value(field, width: width).low64
      } catch {
        throw RPCError(error)
      }
    }
    let parameters = CRCParameters(
      width: width, polynomial: try number(.polynomial), initial: try number(.initial),
      final: try number(.final), reflectsInput: try call.boolean(.reflectInput) ?? false,
      reflectsOutput: try call.boolean(.reflectOutput) ?? false)
    let batch = batch
    _ = try writing(at: call.path) { () throws(ControlError) in
      try batch.setCRC(calculation: calculation, parameters)
    }
  }

  // MARK: Value sets

  mutating func writeValueSet(_ call: PipelineCall) throws(RPCError) {
    let set = try call.named(.valueSet, "value set") { names.valueSet($0) }
    let batch = batch
    if call.method == .valueSetClear {
      book.clear(set)
      _ = try writing(at: call.path) { () throws(ControlError) in try batch.clearValueSet(set) }
      return
    }
    let field = try call.required(.value)
    let width = program.valueSets[set].width
    let value = try reading { () throws(JSONField.Problem) in
      try ValueReader.value(field, width: width)
    }
    let isInsertion = call.method == .valueSetInsert
    if isInsertion { book.insert(value, into: set) } else { book.remove(value, from: set) }
    _ = try writing(at: field.path) { () throws(ControlError) in
      isInsertion
        ? try batch.addToValueSet(set, value) : try batch.removeFromValueSet(set, value)
    }
  }
}
