import DPUCore
import JSONText

// Calculations, checksums, lists of fields, counters, meters and registers.

private enum AlgorithmName: ClosedWord {
  case crc8, crc16, crc32, crcCCITT, csum16, cksum16, identity, xor16, xor32, xxh64, toeplitz
  case random, crc8Custom, crc16Custom, crc32Custom, crc64Custom

  var word: StaticString {
    switch self {
    case .crc8: "crc8"
    case .crc16: "crc16"
    case .crc32: "crc32"
    case .crcCCITT: "crcCCITT"
    case .csum16: "csum16"
    case .cksum16: "cksum16"
    case .identity: "identity"
    case .xor16: "xor16"
    case .xor32: "xor32"
    case .xxh64: "xxh64"
    case .toeplitz: "toeplitz"
    case .random: "random"
    case .crc8Custom: "crc8_custom"
    case .crc16Custom: "crc16_custom"
    case .crc32Custom: "crc32_custom"
    case .crc64Custom: "crc64_custom"
    }
  }

  var algorithm: P4Program.HashAlgorithm {
    switch self {
    case .crc8: .crc8
    case .crc16: .crc16
    case .crc32: .crc32
    case .crcCCITT: .crcCCITT
    case .csum16, .cksum16: .csum16
    case .identity: .identity
    case .xor16: .xor16
    case .xor32: .xor32
    case .xxh64: .xxh64
    case .toeplitz: .toeplitz
    case .random: .random
    case .crc8Custom: .crc8Custom
    case .crc16Custom: .crc16Custom
    case .crc32Custom: .crc32Custom
    case .crc64Custom: .crc64Custom
    }
  }
}

private enum InputType: ClosedWord {
  case field, stackField, header, hexstr, payload

  var word: StaticString {
    switch self {
    case .field: "field"
    case .stackField: "stack_field"
    case .header: "header"
    case .hexstr: "hexstr"
    case .payload: "payload"
    }
  }
}

extension ProgramLoader {
  mutating func readCalculations(_ root: ProgramObject) throws(ProgramProblem) {
    for node in try root.list("calculations", 0...ProgramLimits.objects) {
      let object = try node.object()
      let name = try object.required("name")
      let calculation = try calculation(object, name: name.name())
      try claim(
        calculation.name, in: &calculationNames, program.calculations.count, name, "calculation")
      program.calculations.append(calculation)
    }
  }

  /// An object with `algo` and `input`.
  func calculation(
    _ object: ProgramObject, name: Text
  ) throws(ProgramProblem) -> P4Program.Calculation {
    let algorithm = try object.required("algo").word(AlgorithmName.self, "hash algorithm")
    let list = try object.required("input")
    var inputs: [P4Program.CalculationInput] = []
    var bits = 0
    for node in try list.elements(0...ProgramLimits.objects) {
      let part = try node.object()
      let type = try part.required("type").word(InputType.self, "type of input")
      switch type {
      case .payload: inputs.append(.payload)
      case .field:
        let field = try plainField(part.required("value"))
        bits += width(of: field)
        inputs.append(.field(field))
      case .stackField:
        let value = try part.required("value")
        guard case .field(let header, let field) = try stackPlace(value) else {
          throw value.problem("must be a field")
        }
        bits += program.headers[sample(of: header)].fields[field].width
        inputs.append(.indirectField(header, field: field))
      case .header:
        let header = try find(part.required("value"), in: headerNames, "header")
        bits += program.headers[header].width
        inputs.append(.header(header))
      case .hexstr:
        let width = try part.required("bitwidth").integer(1...ProgramLimits.fieldBits)
        bits += width
        inputs.append(.constant(try part.required("value").number(width: width), width: width))
      }
    }
    guard bits <= ProgramLimits.calculationBits else {
      throw list.problem("must have at most \(ProgramLimits.calculationBits) bits, has \(bits)")
    }
    return P4Program.Calculation(name: name, algorithm: algorithm.algorithm, inputs: inputs)
  }

  mutating func readChecksums(_ root: ProgramObject) throws(ProgramProblem) {
    for node in try root.list("checksums", 0...ProgramLimits.objects) {
      let object = try node.object()
      if let type = object.present("type"), !(try type.name().isWord("generic")) {
        throw type.problem("must be \"generic\", is \(quoted(try type.name()))")
      }
      var checksum = P4Program.Checksum(
        name: try object.required("name").name(), target: try plainField(object.required("target")),
        calculation: try find(
          object.required("calculation"), in: calculationNames, "calculation"),
        verify: try object.boolean("verify", default: true),
        update: try object.boolean("update", default: true), condition: nil)
      if let condition = object.present("if_cond") {
        checksum.condition = try boolean(condition, .control)
      }
      program.checksums.append(checksum)
    }
  }

  mutating func readFieldLists(_ root: ProgramObject) throws(ProgramProblem) {
    for node in try root.list("field_lists", 0...ProgramLimits.objects) {
      let object = try node.object()
      let id = try claim(
        id: object.required("id"), in: &fieldListIDs, program.fieldLists.count, "field list")
      var fields: [P4Program.FieldReference] = []
      for element in try object.required("elements").elements(0...ProgramLimits.objects) {
        let part = try element.object()
        // A constant has nothing to carry over.
        if try part.required("type").name().isWord("hexstr") { continue }
        try expect(part, type: "field")
        fields.append(try plainField(part.required("value")))
      }
      let name = try object.present("name")?.name() ?? Text()
      program.fieldLists.append(P4Program.FieldList(id: id, name: name, fields: fields))
    }
  }

  mutating func readLearnLists(_ root: ProgramObject) throws(ProgramProblem) {
    for node in try root.list("learn_lists", 0...ProgramLimits.objects) {
      let object = try node.object()
      let id = try claim(
        id: object.required("id"), in: &learnListIDs, program.learnLists.count, "learn list")
      let list = try object.required("elements")
      var elements: [P4Program.KeyPart] = []
      var bits = 0
      for element in try list.elements(0...ProgramLimits.objects) {
        let part = try element.object()
        let width: Int
        if try part.required("type").name().isWord("hexstr") {
          width = try part.required("bitwidth").integer(1...ProgramLimits.fieldBits)
        } else {
          try expect(part, type: "field")
          switch try fieldPlace(part.required("value")) {
          case .field(let field): width = self.width(of: field)
          case .validity: width = 1
          }
        }
        bits += width
        elements.append(P4Program.KeyPart(value: try data(element, .control), width: width))
      }
      guard bits <= ProgramLimits.calculationBits else {
        throw list.problem("must have at most \(ProgramLimits.calculationBits) bits, has \(bits)")
      }
      let name = try object.present("name")?.name() ?? Text()
      program.learnLists.append(P4Program.LearnList(id: id, name: name, elements: elements))
    }
  }

  private func expect(_ object: ProgramObject, type: StaticString) throws(ProgramProblem) {
    let node = try object.required("type")
    guard try node.name().isWord(type) else {
      throw node.problem("must be \"\(type)\", is \(quoted(try node.name()))")
    }
  }

  // MARK: Arrays

  mutating func readCounters(_ root: ProgramObject) throws(ProgramProblem) {
    var cells = 0
    for node in try root.list("counter_arrays", 0...ProgramLimits.objects) {
      let object = try node.object()
      let name = try object.required("name")
      let index = program.counters.count
      var counter = P4Program.CounterArray(name: try name.name(), size: 0)
      if try object.boolean("is_direct", default: false) {
        counterBindings.append((index, try object.required("binding")))
      } else {
        let size = try object.required("size")
        counter.size = try size.integer(0...ProgramLimits.counterCells)
        cells += counter.size
        guard cells <= ProgramLimits.counterCells else {
          throw size.problem(
            "all counters together may have \(ProgramLimits.counterCells) cells")
        }
      }
      try claim(counter.name, in: &counterNames, index, name, "counter")
      program.counters.append(counter)
    }
  }

  mutating func readMeters(_ root: ProgramObject) throws(ProgramProblem) {
    var cells = 0
    for node in try root.list("meter_arrays", 0...ProgramLimits.objects) {
      let object = try node.object()
      let name = try object.required("name")
      let type = try object.required("type")
      let unit = try type.name()
      let countsBytes = unit.isWord("bytes")
      guard countsBytes || unit.isWord("packets") else {
        throw type.problem("must be \"packets\" or \"bytes\", is \(quoted(unit))")
      }
      let index = program.meters.count
      var meter = P4Program.MeterArray(name: try name.name(), size: 0, countsBytes: countsBytes)
      if let rates = object.present("rate_count") { meter.rateCount = try rates.integer(1...2) }
      if try object.boolean("is_direct", default: false) {
        meterBindings.append((index, try object.required("binding")))
        meter.result = try plainField(object.required("result_target"))
      } else {
        let size = try object.required("size")
        meter.size = try size.integer(0...ProgramLimits.meterCells)
        cells += meter.size
        guard cells <= ProgramLimits.meterCells else {
          throw size.problem("all meters together may have \(ProgramLimits.meterCells) cells")
        }
      }
      try claim(meter.name, in: &meterNames, index, name, "meter")
      program.meters.append(meter)
    }
  }

  mutating func readRegisters(_ root: ProgramObject) throws(ProgramProblem) {
    var bytes = 0
    for node in try root.list("register_arrays", 0...ProgramLimits.objects) {
      let object = try node.object()
      let name = try object.required("name")
      let width = try object.required("bitwidth").integer(1...ProgramLimits.registerBits)
      let cellBytes = (width + 63) / 64 * 8
      let sizeNode = try object.required("size")
      let size = try sizeNode.integer(0...ProgramLimits.registerBytes / 8)
      bytes += size * cellBytes
      guard bytes <= ProgramLimits.registerBytes else {
        throw sizeNode.problem(
          "all registers together may have \(ProgramLimits.registerBytes) bytes")
      }
      let register = P4Program.RegisterArray(name: try name.name(), size: size, width: width)
      try claim(register.name, in: &registerNames, program.registers.count, name, "register")
      program.registers.append(register)
    }
  }

  /// Gives direct counters and meters to their tables, which take as many cells as entries.
  mutating func bindDirectExterns() throws(ProgramProblem) {
    for (counter, node) in counterBindings {
      let table = try find(node, in: tableNames, "table")
      guard program.tables[table].directCounter == nil else {
        throw node.problem("table \(quoted(program.tables[table].name)) has another counter")
      }
      program.tables[table].directCounter = counter
      program.counters[counter].directTable = table
      program.counters[counter].size = program.tables[table].capacity
    }
    for (meter, node) in meterBindings {
      let table = try find(node, in: tableNames, "table")
      guard program.tables[table].directMeter == nil || program.tables[table].directMeter == meter
      else {
        throw node.problem("table \(quoted(program.tables[table].name)) has another meter")
      }
      program.tables[table].directMeter = meter
      program.meters[meter].directTable = table
      program.meters[meter].size = program.tables[table].capacity
    }
  }
}
