import P4Pipelines

extension ReferenceSwitch {
  /// `parameters` are those of the running action; `cursor` where the parser stands.
  func number(
    _ expression: P4Program.Expression, _ packet: ReferencePacket,
    _ parameters: [WideInteger] = [], cursor: Int = 0
  ) throws(Unspecified) -> WideInteger {
    func value(_ inner: P4Program.Expression) throws(Unspecified) -> WideInteger {
      try number(inner, packet, parameters, cursor: cursor)
    }
    switch expression {
    case .constant(let constant): return constant
    case .field(let field): return packet[field]
    case .indirectField(let header, let field):
      return packet.fields[try resolve(header, packet, parameters)][field]
    case .parameter(let index): return parameters[index]
    case .lastStackIndex(let stack):
      // An unsigned 64-bit subtraction in BMv2.
      return WideInteger(UInt64(bitPattern: Int64(packet.nextOfStack[stack] - 1)))
    case .stackSize(let stack): return WideInteger(packet.nextOfStack[stack])
    case .lastUnionStackIndex(let stack):
      return WideInteger(UInt64(bitPattern: Int64(packet.nextOfUnionStack[stack] - 1)))
    case .unionStackSize(let stack): return WideInteger(packet.nextOfUnionStack[stack])
    case .unary(.complement, let inner): return ~(try value(inner))
    case .unary(.negate, let inner): return -(try value(inner))
    case .unary(.boolToData, let inner):
      return WideInteger(try truth(inner, packet, parameters, cursor: cursor) ? 1 : 0)
    case .binary(let operation, let left, let right):
      return try compute(operation, try value(left), try value(right))
    case .conditional(let condition, let then, let otherwise):
      let holds = try truth(condition, packet, parameters, cursor: cursor)
      return try value(holds ? then : otherwise)
    case .lookahead(let offset, let width):
      guard packet.data.count - cursor >= (offset + width + 7) / 8 else { throw Unspecified() }
      return ReferencePacket.number(packet.data[cursor...], bit: offset, width: width)
    case .register(let register, let index):
      guard let place = try value(index).exactInt, registers[register].indices.contains(place)
      else { throw Unspecified() }
      return registers[register][place]
    default: return WideInteger(try truth(expression, packet, parameters, cursor: cursor) ? 1 : 0)
    }
  }

  private func compute(
    _ operation: P4Program.BinaryOperator, _ left: WideInteger, _ right: WideInteger
  ) throws(Unspecified) -> WideInteger {
    switch operation {
    case .add: return left + right
    case .subtract: return left - right
    case .multiply: return left * right
    case .divide, .modulo:
      guard !left.isNegative, !right.isNegative, let result = left.divided(by: right) else {
        throw Unspecified()
      }
      return operation == .divide ? result.quotient : result.remainder
    case .shiftLeft, .shiftRight:
      guard let count = right.exactInt, count >= 0, count < 1 << 16 else { throw Unspecified() }
      return operation == .shiftLeft ? left << count : left >> count
    case .bitAnd: return left & right
    case .bitOr: return left | right
    case .bitXor: return left ^ right
    case .saturatingCast:
      let width = right.exactInt!
      let largest = WideInteger.ones(width - 1)
      let smallest = -WideInteger.powerOfTwo(width - 1)
      return largest < left ? largest : left < smallest ? smallest : left
    case .unsignedSaturatingCast:
      let largest = WideInteger.ones(right.exactInt!)
      return largest < left ? largest : left.isNegative ? .zero : left
    case .twosComplement:
      let width = right.exactInt!
      return left.truncated(to: width).signExtended(from: width)
    default: throw Unspecified()
    }
  }

  func truth(
    _ expression: P4Program.Expression, _ packet: ReferencePacket,
    _ parameters: [WideInteger] = [], cursor: Int = 0
  ) throws(Unspecified) -> Bool {
    func holds(_ inner: P4Program.Expression) throws(Unspecified) -> Bool {
      try truth(inner, packet, parameters, cursor: cursor)
    }
    func value(_ inner: P4Program.Expression) throws(Unspecified) -> WideInteger {
      try number(inner, packet, parameters, cursor: cursor)
    }
    switch expression {
    case .boolean(let value): return value
    case .isValid(let header): return packet.isValid[try resolve(header, packet, parameters)]
    case .isUnionValid(let union): return packet.validMember[union] != nil
    case .isUnionElementValid(let stack, let index):
      let elements = program.unionStacks[stack].elements
      guard let place = try value(index).exactInt, elements.indices.contains(place) else {
        throw Unspecified()
      }
      return packet.validMember[elements[place]] != nil
    case .unary(.not, let inner): return try !holds(inner)
    case .unary(.dataToBool, let inner): return try value(inner) != .zero
    case .binary(let operation, let left, let right):
      switch operation {
      // Both sides are evaluated always.
      case .logicalAnd:
        let (first, second) = (try holds(left), try holds(right))
        return first && second
      case .logicalOr:
        let (first, second) = (try holds(left), try holds(right))
        return first || second
      case .equal: return try value(left) == value(right)
      case .notEqual: return try value(left) != value(right)
      case .less: return try value(left) < value(right)
      case .lessOrEqual: return try value(left) <= value(right)
      case .greater: return try value(right) < value(left)
      case .greaterOrEqual: return try value(right) <= value(left)
      default: return try value(expression) != .zero
      }
    case .conditional(let condition, let then, let otherwise):
      return try holds(condition) ? holds(then) : holds(otherwise)
    case .headersEqual(let left, let right):
      return packet.areEqual(
        try resolve(left, packet, parameters), try resolve(right, packet, parameters))
    case .unionsEqual(let left, let right):
      guard let first = packet.validMember[left], first == packet.validMember[right] else {
        return false
      }
      return packet.areEqual(
        program.unions[left].members[first], program.unions[right].members[first])
    case .stacksEqual: throw Unspecified()
    default: return try value(expression) != .zero
    }
  }

  /// The header that is meant.
  func resolve(
    _ reference: P4Program.HeaderReference, _ packet: ReferencePacket,
    _ parameters: [WideInteger] = []
  ) throws(Unspecified) -> Int {
    func element(_ elements: [Int], _ index: Int?) throws(Unspecified) -> Int {
      guard let index, elements.indices.contains(index) else { throw Unspecified() }
      return elements[index]
    }
    switch reference {
    case .header(let header): return header
    case .stackNext(let stack):
      return try element(program.stacks[stack].elements, packet.nextOfStack[stack])
    case .stackLast(let stack):
      return try element(program.stacks[stack].elements, packet.nextOfStack[stack] - 1)
    case .stackElement(let stack, let index):
      return try element(
        program.stacks[stack].elements, try number(index, packet, parameters).exactInt)
    case .unionStackNext(let stack, let member):
      let union = try element(
        program.unionStacks[stack].elements, packet.nextOfUnionStack[stack])
      return program.unions[union].members[member]
    case .unionStackLast(let stack, let member):
      let union = try element(
        program.unionStacks[stack].elements, packet.nextOfUnionStack[stack] - 1)
      return program.unions[union].members[member]
    case .unionStackElement(let stack, let index, let member):
      let union = try element(
        program.unionStacks[stack].elements, try number(index, packet, parameters).exactInt)
      return program.unions[union].members[member]
    }
  }

  func field(
    _ destination: P4Program.Destination, _ packet: ReferencePacket,
    _ parameters: [WideInteger] = []
  ) throws(Unspecified) -> P4Program.FieldReference {
    switch destination {
    case .field(let field): return field
    case .indirect(let header, let field):
      return P4Program.FieldReference(
        header: try resolve(header, packet, parameters), field: field)
    }
  }

  // MARK: Hashes

  func hash(
    _ calculation: P4Program.Calculation, _ packet: ReferencePacket
  ) throws(Unspecified) -> UInt64 {
    var bits: [Bool] = []
    var payload: [UInt8] = []
    for input in calculation.inputs {
      switch input {
      case .field(let field):
        guard packet.isValid[field.header] else { continue }
        bits += ReferencePacket.bits(of: packet.bits(field), width: packet.width(field))
      case .indirectField(let reference, let index):
        let header = try resolve(reference, packet)
        guard packet.isValid[header] else { continue }
        let field = P4Program.FieldReference(header: header, field: index)
        bits += ReferencePacket.bits(of: packet.bits(field), width: packet.width(field))
      case .header(let header):
        guard packet.isValid[header] else { continue }
        for byte in packet.bytes(of: header) {
          bits += ReferencePacket.bits(of: WideInteger(UInt64(byte)), width: 8)
        }
      case .constant(let value, let width):
        bits += ReferencePacket.bits(of: value, width: width)
      case .payload: payload = packet.data
      }
    }
    let bytes = ReferencePacket.bytes(of: bits) + payload
    switch calculation.algorithm {
    case .csum16:
      var sum: UInt64 = 0
      for (index, byte) in bytes.enumerated() { sum += UInt64(byte) << (index % 2 == 0 ? 8 : 0) }
      while sum > 0xffff { sum = (sum & 0xffff) + (sum >> 16) }
      return ~sum & 0xffff
    case .crc16, .crc16Custom: return Self.reflectedCRC(bytes, 0xa001, start: 0, end: 0)
    case .crc32, .crc32Custom:
      return Self.reflectedCRC(bytes, 0xedb8_8320, start: 0xffff_ffff, end: 0xffff_ffff)
    case .identity: return bytes.prefix(8).reduce(0) { $0 << 8 | UInt64($1) }
    case .xor16:
      var value: UInt64 = 0
      for (index, byte) in bytes.enumerated() { value ^= UInt64(byte) << (index % 2 == 0 ? 8 : 0) }
      return value
    default: throw Unspecified()
    }
  }

  private static func reflectedCRC(
    _ bytes: [UInt8], _ polynomial: UInt64, start: UInt64, end: UInt64
  ) -> UInt64 {
    var register = start
    for byte in bytes {
      register ^= UInt64(byte)
      for _ in 0..<8 { register = register & 1 == 1 ? register >> 1 ^ polynomial : register >> 1 }
    }
    return register ^ end
  }
}
