/// What an operand of an instruction names, so that passes can walk over the registers that an
/// instruction reads and writes without knowing each opcode.
enum OperandRole {
  /// Unused, a number, a byte, an index of a descriptor.
  case none
  case laneRead, laneWrite
  /// Also keeps what it held, for some packets.
  case laneUpdate
  case maskRead, maskWrite
  case wideRead, wideWrite, wideUpdate
  case block
}

struct OperandRoles {
  var d = OperandRole.none
  var a = OperandRole.none
  var b = OperandRole.none
  var c = OperandRole.none
  var e = OperandRole.none
  init(
    d: OperandRole = .none, a: OperandRole = .none, b: OperandRole = .none,
    c: OperandRole = .none, e: OperandRole = .none
  ) {
    self.d = d
    self.a = a
    self.b = b
    self.c = c
    self.e = e
  }
}

extension Opcode {
  var roles: OperandRoles {
    switch self {
    case .jump: OperandRoles(d: .block)
    case .branch: OperandRoles(a: .maskRead, b: .block, c: .block)
    case .select: OperandRoles(d: .block, a: .laneRead)
    case .selectField: OperandRoles(d: .block)
    case .apply, .finish: OperandRoles()

    case .loadImmediate: OperandRoles(d: .laneWrite)
    case .move, .addImmediate, .multiplyImmediate, .andImmediate, .orImmediate, .xorImmediate,
      .reverseSubtractImmediate, .shiftLeftImmediate, .shiftRightImmediate,
      .shiftRightSignedImmediate, .divideImmediate, .moduloImmediate, .signExtend, .clampSigned,
      .minimumUnsigned:
      OperandRoles(d: .laneWrite, a: .laneRead)
    case .add, .subtract, .multiply, .and, .or, .xor, .shiftLeft, .shiftRight, .shiftRightSigned,
      .divide, .modulo, .divideSigned, .moduloSigned, .shiftLeftOr:
      OperandRoles(d: .laneWrite, a: .laneRead, b: .laneRead)
    case .choose: OperandRoles(d: .laneWrite, a: .laneRead, b: .laneRead, c: .maskRead)
    case .chooseImmediate: OperandRoles(d: .laneWrite, a: .maskRead)

    case .equal, .less, .lessSigned: OperandRoles(d: .maskWrite, a: .laneRead, b: .laneRead)
    case .equalImmediate, .lessImmediate, .lessSignedImmediate:
      OperandRoles(d: .maskWrite, a: .laneRead)
    case .equalField, .lessField, .setMask: OperandRoles(d: .maskWrite)
    case .moveMask: OperandRoles(d: .maskWrite, a: .maskRead)
    case .andMask, .orMask, .xorMask, .andNotMask:
      OperandRoles(d: .maskWrite, a: .maskRead, b: .maskRead)
    case .maskAtIndex: OperandRoles(d: .maskWrite, a: .laneRead)

    case .loadField, .load8, .load16, .load32, .load64, .loadField9: OperandRoles(d: .laneWrite)
    case .storeField, .store8, .store16, .store32, .store64, .storeField9:
      OperandRoles(a: .laneRead)
    case .storeFieldImmediate, .addField, .copyBytes, .zeroBytes: OperandRoles()
    case .storeParameter: OperandRoles(a: .laneRead)
    case .loadFieldAtIndex: OperandRoles(d: .laneWrite, b: .laneRead)
    case .storeFieldAtIndex: OperandRoles(a: .laneRead, b: .laneRead)

    case .loadParameter: OperandRoles(d: .laneWrite, a: .laneRead)
    case .loadParameterWide: OperandRoles(d: .wideWrite, a: .laneRead)

    case .wideConstant, .wideLoad: OperandRoles(d: .wideWrite)
    case .wideMove, .wideShiftLeftImmediate, .wideShiftRightImmediate, .wideExtend, .wideSaturate:
      OperandRoles(d: .wideWrite, a: .wideRead)
    case .wideFromLane: OperandRoles(d: .wideWrite, a: .laneRead)
    case .laneFromWide: OperandRoles(d: .laneWrite, a: .wideRead)
    case .wideStore: OperandRoles(d: .wideRead)
    case .wideAdd, .wideSubtract, .wideMultiply, .wideAnd, .wideOr, .wideXor, .wideShiftLeft,
      .wideShiftRight, .wideDivide, .wideModulo:
      OperandRoles(d: .wideWrite, a: .wideRead, b: .wideRead)
    case .wideChoose: OperandRoles(d: .wideWrite, a: .wideRead, b: .wideRead, c: .maskRead)
    case .wideEqual, .wideLess: OperandRoles(d: .maskWrite, a: .wideRead, b: .wideRead)

    case .setValid, .setInvalid: OperandRoles(c: .laneUpdate)
    case .copyHeader, .pushStack, .popStack, .copyVariable: OperandRoles()
    case .headersEqual, .variableEqual: OperandRoles(d: .maskWrite)

    case .extract, .extractRun, .extractNext, .require: OperandRoles(c: .laneRead)
    case .extractVariable: OperandRoles(b: .laneRead, c: .laneRead)
    case .failUnless: OperandRoles(a: .maskRead, c: .laneRead)
    case .failUnlessLane: OperandRoles(a: .maskRead, b: .laneRead, c: .laneRead)
    case .advance: OperandRoles(a: .laneRead, c: .laneRead)
    case .lookahead: OperandRoles(d: .laneWrite, c: .laneRead)
    case .lookaheadWide: OperandRoles(d: .wideWrite, c: .laneRead)
    case .headerLength: OperandRoles(d: .laneWrite)
    case .matchValueSet: OperandRoles(d: .maskWrite)

    case .count: OperandRoles(a: .laneRead)
    case .countImmediate, .digest, .resubmit, .recirculate, .log: OperandRoles()
    case .registerRead, .meter: OperandRoles(d: .laneUpdate, a: .laneRead)
    case .registerWrite: OperandRoles(a: .laneRead, c: .laneRead)
    case .registerWriteImmediate: OperandRoles(a: .laneRead)
    case .registerReadWide: OperandRoles(d: .wideUpdate, a: .laneRead)
    case .registerWriteWide: OperandRoles(a: .laneRead, c: .wideRead)
    case .hash, .checksumBytes: OperandRoles(d: .laneWrite)
    case .updateChecksumBytes: OperandRoles()
    case .random: OperandRoles(d: .laneWrite, a: .laneRead, b: .laneRead)
    case .cloneIngress, .cloneEgress, .truncate: OperandRoles(a: .laneRead)
    case .assert: OperandRoles(a: .maskRead)
    }
  }

  /// Ends a block.
  var isControl: Bool { rawValue <= Opcode.finish.rawValue }

  /// May end the parsing of a packet.
  var canFail: Bool {
    switch self {
    case .extract, .extractRun, .extractVariable, .extractNext, .failUnless, .failUnlessLane,
      .require, .advance, .lookahead, .lookaheadWide:
      true
    default: false
    }
  }

  /// Does nothing but write its registers, so that it may go when nobody reads them.
  var isPure: Bool {
    if isControl || canFail { return false }
    switch self {
    case .storeField, .store8, .store16, .store32, .store64, .storeField9, .storeFieldImmediate,
      .addField, .storeParameter, .copyBytes, .zeroBytes, .storeFieldAtIndex, .wideStore,
      .setValid, .setInvalid, .copyHeader, .pushStack, .popStack, .copyVariable, .count,
      .countImmediate, .registerWrite, .registerWriteImmediate, .registerWriteWide, .meter,
      .updateChecksumBytes, .random,
      .digest, .cloneIngress, .cloneEgress, .resubmit, .recirculate, .truncate, .log, .assert:
      return false
    default: return true
    }
  }

  /// Its `mask` cuts the lane that it writes, so that a further cut may be merged into it.
  var cutsResult: Bool {
    switch self {
    case .move, .add, .subtract, .multiply, .and, .or, .xor, .shiftLeft, .shiftRight,
      .shiftRightSigned, .divide, .modulo, .divideSigned, .moduloSigned, .addImmediate,
      .multiplyImmediate, .andImmediate, .orImmediate, .xorImmediate, .reverseSubtractImmediate,
      .shiftLeftImmediate, .shiftRightImmediate, .shiftRightSignedImmediate, .divideImmediate,
      .moduloImmediate, .shiftLeftOr, .signExtend, .loadField, .loadParameter, .laneFromWide,
      .hash:
      true
    default: false
    }
  }
}
