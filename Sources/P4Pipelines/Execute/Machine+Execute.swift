// The interpreter. One `switch` per instruction and batch, one loop over the packets inside; see
// Bank.swift for the invariants behind the pointers.

extension Machine {
  /// Runs the instructions `first..<end`, none of which is a control instruction, for the packets
  /// of `running`. Returns those that are still running: parser instructions may end a packet's
  /// parsing.
  @inline(never)
  mutating func execute(_ first: Int, _ end: Int, _ bank: Bank, _ running: UInt64) -> UInt64 {
    var running = running
    var index = first
    while index < end && running != 0 {
      let op = unsafe image.instructions.base[index]
      index &+= 1
      switch op.opcode {
      case .jump, .branch, .select, .selectField, .apply, .finish:
        // Never inside a block: `CodeCheck`.
        break

      // Lanes
      case .loadImmediate: bank.fill(op, running) { _ in op.immediate }
      case .move: bank.unary(op, running) { $0 }
      case .add: bank.binary(op, running) { $0 &+ $1 }
      case .subtract: bank.binary(op, running) { $0 &- $1 }
      case .multiply: bank.binary(op, running) { $0 &* $1 }
      case .and: bank.binary(op, running) { $0 & $1 }
      case .or: bank.binary(op, running) { $0 | $1 }
      case .xor: bank.binary(op, running) { $0 ^ $1 }
      case .shiftLeft: bank.binary(op, running, shiftedLeft)
      case .shiftRight: bank.binary(op, running, shiftedRight)
      case .shiftRightSigned: bank.binary(op, running, shiftedRightSigned)
      case .divide: bank.binary(op, running, divided)
      case .modulo: bank.binary(op, running, remainder)
      case .divideSigned: bank.binary(op, running, dividedSigned)
      case .moduloSigned: bank.binary(op, running, remainderSigned)
      case .addImmediate: bank.unary(op, running) { $0 &+ op.immediate }
      case .multiplyImmediate: bank.unary(op, running) { $0 &* op.immediate }
      case .andImmediate: bank.unary(op, running) { $0 & op.immediate }
      case .orImmediate: bank.unary(op, running) { $0 | op.immediate }
      case .xorImmediate: bank.unary(op, running) { $0 ^ op.immediate }
      case .reverseSubtractImmediate: bank.unary(op, running) { op.immediate &- $0 }
      case .shiftLeftImmediate: bank.unary(op, running) { $0 &<< UInt64(op.shift) }
      case .shiftRightImmediate: bank.unary(op, running) { $0 &>> UInt64(op.shift) }
      case .shiftRightSignedImmediate:
        bank.unary(op, running) { shiftedRightSigned($0, UInt64(op.shift)) }
      case .divideImmediate: bank.unary(op, running) { divided($0, op.immediate) }
      case .moduloImmediate: bank.unary(op, running) { remainder($0, op.immediate) }
      case .shiftLeftOr: bank.binary(op, running) { $0 &<< UInt64(op.shift) | $1 }
      case .signExtend: bank.unary(op, running) { signExtended($0, op.size) }
      case .clampSigned:
        let lane = bank.lane(op.a)
        bank.fill(op, running) { clampedSigned(lane[$0], from: op.immediate, to: op.mask) }
      case .minimumUnsigned:
        let lane = bank.lane(op.a)
        bank.fill(op, running) { min(lane[$0], op.immediate) }
      case .choose: bank.choose(op, running)
      case .chooseImmediate: bank.chooseImmediate(op, running)

      // Masks
      case .equal: bank.compare(op, running) { $0 == $1 }
      case .less: bank.compare(op, running) { $0 < $1 }
      case .lessSigned:
        bank.compare(op, running) { Int64(bitPattern: $0) < Int64(bitPattern: $1) }
      case .equalImmediate: bank.compare(op, running) { $0 & op.mask == op.immediate }
      case .lessImmediate: bank.compare(op, running) { $0 < op.immediate }
      case .lessSignedImmediate:
        bank.compare(op, running) { Int64(bitPattern: $0) < Int64(bitPattern: op.immediate) }
      case .equalField:
        let equal = bank.equalField(running, op.a, op.shift, op.mask, equal: op.immediate)
        bank.mark(op, running, equal)
      case .lessField:
        bank.test(op, running) { bank.field($0, op.a, op.shift, op.mask) < op.immediate }
      case .setMask: bank.setMask(op.d, running, to: 0 &- (op.immediate & 1))
      case .moveMask:
        bank.setMask(op.d, running, to: op.size == 0 ? bank.mask(op.a) : ~bank.mask(op.a))
      case .andMask: bank.setMask(op.d, running, to: bank.mask(op.a) & bank.mask(op.b))
      case .orMask: bank.setMask(op.d, running, to: bank.mask(op.a) | bank.mask(op.b))
      case .xorMask: bank.setMask(op.d, running, to: bank.mask(op.a) ^ bank.mask(op.b))
      case .andNotMask: bank.setMask(op.d, running, to: bank.mask(op.a) & ~bank.mask(op.b))
      case .maskAtIndex: bank.maskAtIndex(op, running)

      // Header bytes
      case .loadField: bank.fill(op, running) { bank.field($0, op.a, op.shift, op.mask) }
      case .load8: bank.fill(op, running) { bank.word($0, op.a) &>> 56 }
      case .load16: bank.fill(op, running) { bank.word($0, op.a) &>> 48 }
      case .load32: bank.fill(op, running) { bank.word($0, op.a) &>> 32 }
      case .load64: bank.fill(op, running) { bank.word($0, op.a) }
      case .loadField9:
        bank.fill(op, running) { packet in
          unsafe loadBits(
            bank.headerBytes(packet, op.a), endingAt: 72 &- Int(op.shift), width: Int(op.size))
        }
      case .storeField: bank.store(op, running)
      case .store8: bank.store(op, running, as: UInt8.self)
      case .store16: bank.store(op, running, as: UInt16.self)
      case .store32: bank.store(op, running, as: UInt32.self)
      case .store64: bank.store(op, running, as: UInt64.self)
      case .storeField9: bank.storeField9(op, running)
      case .storeFieldImmediate:
        each(running) { bank.setField($0, op.d, op.shift, op.mask, op.immediate) }
      case .addField:
        each(running) { packet in
          let value = bank.field(packet, op.d, op.shift, op.mask) &+ op.immediate
          bank.setField(packet, op.d, op.shift, op.mask, value)
        }
      case .storeParameter:
        let records = bank.lane(op.a)
        let words = unsafe tables.records + (Int(op.c) &+ 1)
        each(running) { packet in
          let value = unsafe words[Int(truncatingIfNeeded: records[packet])]
          bank.setField(packet, op.d, op.shift, op.mask, value)
        }
      case .copyBytes: bank.copyBytes(op, running)
      case .zeroBytes:
        each(running) { unsafe zeroBytes(bank.headerBytes($0, op.d), Int(op.b)) }
      case .loadFieldAtIndex: bank.loadFieldAtIndex(op, running)
      case .storeFieldAtIndex: bank.storeFieldAtIndex(op, running)

      // Action parameters
      case .loadParameter:
        let records = bank.lane(op.a)
        let words = unsafe tables.records + (Int(op.c) &+ 1)
        bank.fill(op, running) { packet in
          unsafe words[Int(truncatingIfNeeded: records[packet])] & op.mask
        }
      case .loadParameterWide:
        let records = bank.lane(op.a)
        let words = unsafe tables.records + (Int(op.c) &+ 1)
        each(running) { packet in
          let record = Int(truncatingIfNeeded: records[packet])
          unsafe bank.wideSlot(packet, op.d).load(words + record, count: Int(op.e))
        }

      // Wide
      case .wideConstant, .wideMove, .wideFromLane, .laneFromWide, .wideLoad, .wideStore, .wideAdd,
        .wideSubtract, .wideMultiply, .wideAnd, .wideOr, .wideXor, .wideShiftLeft,
        .wideShiftRight, .wideDivide, .wideModulo, .wideShiftLeftImmediate,
        .wideShiftRightImmediate, .wideExtend, .wideSaturate, .wideChoose, .wideEqual, .wideLess:
        unsafe bank.executeWide(op, running, image.wideConstants.base)

      // Headers
      case .setValid: bank.setValid(op, running)
      case .setInvalid: bank.setInvalid(op, running)
      case .copyHeader: bank.copyHeader(op, running)
      case .pushStack: unsafe bank.pushStack(op, running, stack(op.a), image.numbers.base)
      case .popStack: unsafe bank.popStack(op, running, stack(op.a), image.numbers.base)
      case .headersEqual: bank.headersEqual(op, running)
      case .variableEqual: bank.variableEqual(op, running)
      case .copyVariable: bank.copyVariable(op, running)

      // Parser
      case .extract: running = bank.extract(op, running)
      case .extractRun:
        running = unsafe bank.extractRun(
          op, running, image.numbers.base + (Int(image.runHeaders.first) &+ Int(op.a)))
      case .extractVariable: running = bank.extractVariable(op, running)
      case .extractNext:
        running = unsafe bank.extractNext(op, running, stack(op.a), image.numbers.base)
      case .failUnless: running = bank.failUnless(op, running)
      case .failUnlessLane: running = bank.failUnlessLane(op, running)
      case .require: running = bank.require(op, running)
      case .advance: running = bank.advance(op, running)
      case .lookahead: running = bank.lookahead(op, running)
      case .lookaheadWide: running = bank.lookaheadWide(op, running)
      case .headerLength: bank.headerLength(op, running)
      case .matchValueSet:
        bank.setMask(
          op.d, running, to: contains(valueSet: op.a, plan: op.b, bank, running))

      // Externs
      case .count, .countImmediate, .registerRead, .registerWrite, .registerWriteImmediate,
        .registerReadWide,
        .registerWriteWide, .meter, .hash, .random, .digest, .cloneIngress, .cloneEgress,
        .resubmit, .recirculate, .truncate, .log, .assert:
        executeExtern(op, bank, running)
      case .checksumBytes:
        bank.fill(op, running) { bank.checksum(op, $0) }
      case .updateChecksumBytes:
        each(running) { packet in
          let sum = UInt16(truncatingIfNeeded: bank.checksum(op, packet))
          unsafe store(sum, bank.headerBytes(packet, op.d))
        }
      }
    }
    return running
  }

  @inline(__always)
  private mutating func stack(_ number: UInt32) -> StackImage {
    unsafe image.stacks.base[Int(number)]
  }
}
