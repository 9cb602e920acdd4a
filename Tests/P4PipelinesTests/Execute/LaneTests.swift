import Testing

@testable import P4Pipelines

@Suite("Machine: lanes and masks")
struct LaneTests {
  @Test("Operations on two lanes")
  func binary() {
    let operations: [(Opcode, (UInt64, UInt64) -> UInt64)] = [
      (.add, { $0 &+ $1 }), (.subtract, { $0 &- $1 }), (.multiply, { $0 &* $1 }),
      (.and, { $0 & $1 }), (.or, { $0 | $1 }), (.xor, { $0 ^ $1 }),
      (.shiftLeft, { $1 > 63 ? 0 : $0 << $1 }), (.shiftRight, { $1 > 63 ? 0 : $0 >> $1 }),
      (.shiftRightSigned, { UInt64(bitPattern: Int64(bitPattern: $0) >> Int64(min($1, 63))) }),
      (.divide, { $1 == 0 ? 0 : $0 / $1 }), (.modulo, { $1 == 0 ? 0 : $0 % $1 }),
      (.divideSigned, { signed($0, $1) { $0.divided(by: $1)?.quotient } }),
      (.moduloSigned, { signed($0, $1) { $0.divided(by: $1)?.remainder } }),
    ]
    for (opcode, operation) in operations {
      for (target, mask) in [(2, ~0), (0, 0xffff), (1, 1)] as [(Int, UInt64)] {
        #expect(
          check(Instruction(opcode, d: target, a: 0, b: 1, mask: mask)) {
            $0.lanes[target] = operation($0.lanes[0], $0.lanes[1]) & mask
          }, "\(opcode) to \(target)")
      }
    }
    #expect(
      check(Instruction(.shiftLeftOr, d: 3, a: 0, b: 1, shift: 12, mask: 0xff_ffff)) {
        $0.lanes[3] = ($0.lanes[0] << 12 | $0.lanes[1]) & 0xff_ffff
      })
  }

  @Test("Operations on a lane and a number")
  func immediate() {
    let number: UInt64 = 0x1234_5678_9abc_def1
    let operations: [(Opcode, (UInt64) -> UInt64)] = [
      (.addImmediate, { $0 &+ number }), (.multiplyImmediate, { $0 &* number }),
      (.andImmediate, { $0 & number }), (.orImmediate, { $0 | number }),
      (.xorImmediate, { $0 ^ number }), (.reverseSubtractImmediate, { number &- $0 }),
      (.divideImmediate, { $0 / number }), (.moduloImmediate, { $0 % number }), (.move, { $0 }),
      (.shiftLeftImmediate, { $0 << 13 }), (.shiftRightImmediate, { $0 >> 13 }),
      (.shiftRightSignedImmediate, { UInt64(bitPattern: Int64(bitPattern: $0) >> 13) }),
      (.signExtend, { UInt64(bitPattern: Int64(bitPattern: $0 << 43) >> 43) }),
    ]
    for (opcode, operation) in operations {
      for mask in [~0, 0xfff] as [UInt64] {
        #expect(
          check(
            Instruction(opcode, d: 2, a: 0, shift: 13, size: 21, immediate: number, mask: mask)
          ) { $0.lanes[2] = operation($0.lanes[0]) & mask }, "\(opcode)")
      }
    }
    #expect(
      check(Instruction(.loadImmediate, d: 2, immediate: number)) { $0.lanes[2] = number })
    let low = UInt64(bitPattern: -1000), high: UInt64 = 77
    #expect(
      check(Instruction(.clampSigned, d: 2, a: 0, immediate: low, mask: high)) {
        let value = Int64(bitPattern: $0.lanes[0])
        $0.lanes[2] = UInt64(bitPattern: min(max(value, -1000), 77))
      })
    #expect(
      check(Instruction(.minimumUnsigned, d: 2, a: 0, immediate: 100)) {
        $0.lanes[2] = min($0.lanes[0], 100)
      })
  }

  @Test("Choices")
  func choices() {
    #expect(
      check(Instruction(.choose, d: 2, a: 0, b: 1, c: 5)) {
        $0.lanes[2] = $0.masks[5] ? $0.lanes[0] : $0.lanes[1]
      })
    #expect(
      check(Instruction(.choose, d: 0, a: 0, b: 1, c: 5)) {
        $0.lanes[0] = $0.masks[5] ? $0.lanes[0] : $0.lanes[1]
      })
    #expect(
      check(Instruction(.chooseImmediate, d: 2, a: 5, immediate: 9, mask: 4)) {
        $0.lanes[2] = $0.masks[5] ? 9 : 4
      })
  }

  @Test("Comparisons", arguments: [0, 1])
  func comparisons(turned: Int) {
    let turns = turned == 1
    let two: [(Opcode, (UInt64, UInt64) -> Bool)] = [
      (.equal, { $0 == $1 }), (.less, { $0 < $1 }),
      (.lessSigned, { Int64(bitPattern: $0) < Int64(bitPattern: $1) }),
    ]
    for (opcode, operation) in two {
      #expect(
        check(Instruction(opcode, d: 3, a: 0, b: 1, size: turned)) {
          $0.masks[3] = operation($0.lanes[0], $0.lanes[1]) != turns
        }, "\(opcode)")
    }
    let limit = UInt64(bitPattern: -5)
    #expect(
      check(Instruction(.equalImmediate, d: 3, a: 0, size: turned, immediate: 1, mask: 3)) {
        $0.masks[3] = ($0.lanes[0] & 3 == 1) != turns
      })
    #expect(
      check(Instruction(.lessImmediate, d: 3, a: 0, size: turned, immediate: 50)) {
        $0.masks[3] = ($0.lanes[0] < 50) != turns
      })
    #expect(
      check(Instruction(.lessSignedImmediate, d: 3, a: 0, size: turned, immediate: limit)) {
        $0.masks[3] = (Int64(bitPattern: $0.lanes[0]) < -5) != turns
      })
    #expect(
      check(
        Instruction(.equalField, d: 3, a: 40, shift: 60, size: turned, immediate: 3, mask: 15)
      ) { $0.masks[3] = ($0.bytes[40] >> 4 == 3) != turns })
    #expect(
      check(
        Instruction(.lessField, d: 3, a: 40, shift: 48, size: turned, immediate: 900, mask: 0xffff)
      ) { $0.masks[3] = (Int($0.bytes[40]) << 8 + Int($0.bytes[41]) < 900) != turns })
  }

  @Test("Masks")
  func masks() {
    #expect(check(Instruction(.setMask, d: 3, immediate: 1)) { $0.masks[3] = true })
    #expect(check(Instruction(.setMask, d: 3, immediate: 0)) { $0.masks[3] = false })
    #expect(check(Instruction(.moveMask, d: 3, a: 4)) { $0.masks[3] = $0.masks[4] })
    #expect(check(Instruction(.moveMask, d: 3, a: 4, size: 1)) { $0.masks[3] = !$0.masks[4] })
    #expect(
      check(Instruction(.andMask, d: 3, a: 4, b: 5)) { $0.masks[3] = $0.masks[4] && $0.masks[5] })
    #expect(
      check(Instruction(.orMask, d: 3, a: 4, b: 5)) { $0.masks[3] = $0.masks[4] || $0.masks[5] })
    #expect(
      check(Instruction(.xorMask, d: 3, a: 4, b: 5)) { $0.masks[3] = $0.masks[4] != $0.masks[5] })
    #expect(
      check(Instruction(.andNotMask, d: 3, a: 4, b: 5)) {
        $0.masks[3] = $0.masks[4] && !$0.masks[5]
      })
    for turned in 0..<2 {
      #expect(
        check(Instruction(.maskAtIndex, d: 3, a: 0, b: 4, c: 2, e: 5, size: turned)) {
          let index = $0.lanes[0]
          let isSet = index < 5 && $0.masks[4 + Int(index) * 2]
          $0.masks[3] = isSet != (turned == 1)
        })
    }
  }

  private static func number(_ bits: UInt64) -> WideInteger { WideInteger(twosComplement: [bits]) }
}

/// A signed operation of wide integers on 64-bit patterns; 0 where it has no result.
private func signed(
  _ left: UInt64, _ right: UInt64, _ operation: (WideInteger, WideInteger) -> WideInteger?
) -> UInt64 {
  operation(WideInteger(twosComplement: [left]), WideInteger(twosComplement: [right]))?.low64 ?? 0
}
