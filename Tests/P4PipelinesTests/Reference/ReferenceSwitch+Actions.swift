import P4Pipelines

extension ReferenceSwitch {
  func run(
    _ primitives: [P4Program.Primitive], _ parameters: [WideInteger],
    _ packet: inout ReferencePacket
  ) throws(Unspecified) {
    var place = 0
    var steps = 0
    while place < primitives.count {
      steps += 1
      if steps > 10_000 { throw Unspecified() }
      switch primitives[place] {
      case .jump(let target): place = target
      case .jumpIfZero(let condition, let target):
        let value = try number(condition, packet, parameters)
        place = value == .zero ? target : place + 1
      case let primitive:
        try perform(primitive, parameters, &packet)
        place += 1
      }
    }
  }

  private func perform(
    _ primitive: P4Program.Primitive, _ parameters: [WideInteger],
    _ packet: inout ReferencePacket
  ) throws(Unspecified) {
    func value(_ expression: P4Program.Expression) throws(Unspecified) -> WideInteger {
      try number(expression, packet, parameters)
    }
    /// nil: outside of the array, which has no effect.
    func index(_ expression: P4Program.Expression, _ count: Int) throws(Unspecified) -> Int? {
      guard let place = try number(expression, packet, parameters).exactInt, place >= 0,
        place < count
      else { return nil }
      return place
    }
    switch primitive {
    case .assign(let destination, let expression):
      packet[try field(destination, packet, parameters)] = try value(expression)
    case .assignVariable(let destination, let source):
      let from = try field(source, packet, parameters)
      let to = try field(destination, packet, parameters)
      packet.variableBits[to.header] = packet.variableBits[from.header]
      packet[to] = packet[from]
    case .assignHeader(let target, let source):
      packet.assign(
        try resolve(target, packet, parameters), from: try resolve(source, packet, parameters))
    case .assignStack(let target, let source):
      packet.nextOfStack[target] = packet.nextOfStack[source]
      for (to, from) in zip(program.stacks[target].elements, program.stacks[source].elements) {
        packet.assign(to, from: from)
      }
    case .assignUnion(let target, let source): assignUnion(target, source, &packet)
    case .assignUnionStack(let target, let source):
      packet.nextOfUnionStack[target] = packet.nextOfUnionStack[source]
      for (to, from) in zip(
        program.unionStacks[target].elements, program.unionStacks[source].elements)
      {
        assignUnion(to, from, &packet)
      }
    case .setValid(let reference):
      let header = try resolve(reference, packet, parameters)
      guard !packet.isValid[header] else { return }
      packet.fields[header] = packet.fields[header].map { _ in .zero }
      packet.setValid(header)
      packet.length += packet.byteCount(header)
    case .setInvalid(let reference):
      let header = try resolve(reference, packet, parameters)
      guard packet.isValid[header] else { return }
      packet.length -= packet.byteCount(header)
      packet.setInvalid(header)
    case .pushFront(let stack, let count):
      shift(stack, by: count, &packet)
    case .popFront(let stack, let count):
      shift(stack, by: -count, &packet)
    case .pushFrontUnions, .popFrontUnions: throw Unspecified()
    case .hash(let destination, let base, let calculation, let max):
      let size = try value(max).low64
      let hash = try hash(program.calculations[calculation], packet)
      let result = try value(base).low64 &+ hash % (size == 0 ? 1 : size)
      packet[try field(destination, packet, parameters)] = WideInteger(result)
    case .count(let counter, let expression):
      guard let place = try index(expression, counters[counter].count) else { return }
      counters[counter][place].packets += 1
      counters[counter][place].bytes += UInt64(packet.arrivedLength)
    case .executeMeter(let meter, let expression, let destination):
      guard try index(expression, program.meters[meter].size) != nil else { return }
      packet[try field(destination, packet, parameters)] = .zero
    case .registerRead(let destination, let register, let expression):
      guard let place = try index(expression, registers[register].count) else { return }
      packet[try field(destination, packet, parameters)] = registers[register][place]
    case .registerWrite(let register, let expression, let source):
      guard let place = try index(expression, registers[register].count) else { return }
      registers[register][place] = try value(source).truncated(
        to: program.registers[register].width)
    case .markToDrop:
      packet.setStandard("egress_spec", 511)
      packet.setStandard("mcast_grp", 0)
    case .cloneIngress(let session, let list), .cloneEgress(let session, let list):
      packet.cloneSession = Int(truncatingIfNeeded: try value(session).low64 & 0x7fff | 0x8000)
      packet.cloneList = list
    case .resubmit(let list):
      packet.resubmits = true
      packet.resubmitList = list
    case .recirculate(let list):
      packet.recirculates = true
      packet.recirculateList = list
    case .exit: packet.isExiting = true
    case .assert(let expression), .assume(let expression):
      if try value(expression) == .zero { throw Unspecified() }
    case .digest, .log, .nothing: break
    case .random, .truncate: throw Unspecified()
    case .jump, .jumpIfZero: break
    }
  }

  private func assignUnion(_ target: Int, _ source: Int, _ packet: inout ReferencePacket) {
    for (to, from) in zip(program.unions[target].members, program.unions[source].members) {
      packet.assign(to, from: from)
    }
  }

  /// push_front and pop_front as BMv2 has them for P4-16: elements change places, and those that
  /// come in are invalid.
  private func shift(_ stack: Int, by count: Int, _ packet: inout ReferencePacket) {
    let elements = program.stacks[stack].elements
    let size = elements.count
    let amount = abs(count)
    guard amount > 0 else { return }
    let next = packet.nextOfStack[stack]
    if count > 0 {
      packet.nextOfStack[stack] = min(size, next + amount)
      for index in stride(from: size - 1, to: amount - 1, by: -1) {
        packet.swap(elements[index], elements[index - amount])
      }
      for index in 0..<min(size, amount) { packet.setInvalid(elements[index]) }
    } else {
      packet.nextOfStack[stack] = next - min(next, amount)
      for index in 0..<max(0, size - amount) {
        packet.swap(elements[index], elements[index + amount])
      }
      for index in max(0, size - amount)..<size { packet.setInvalid(elements[index]) }
    }
  }
}
