import Testing

@testable import P4Pipelines

private let limbs = 4

private func number(_ words: [UInt64]) -> WideInteger { WideInteger(twosComplement: words) }

private func words(_ value: WideInteger) -> [UInt64] { (0..<limbs).map { value.word($0) } }

/// Runs one wide instruction against WideInteger.
private func check(_ op: Instruction, seed: UInt64 = 1, _ model: (inout PacketState) -> Void)
  -> Bool
{
  for round in 0..<3 as Range<UInt64> {
    if !P4PipelinesTests.check(op, lanes: 4, limbs: limbs, slots: 3, seed: seed + round, model) {
      return false
    }
  }
  return true
}

@Suite("Machine: wide numbers")
struct WideTests {
  @Test("Arithmetic as unlimited integers, cut to the limbs")
  func arithmetic() {
    let operations: [(Opcode, (WideInteger, WideInteger) -> WideInteger)] = [
      (.wideAdd, { $0 + $1 }), (.wideSubtract, { $0 - $1 }), (.wideMultiply, { $0 * $1 }),
      (.wideAnd, { $0 & $1 }), (.wideOr, { $0 | $1 }), (.wideXor, { $0 ^ $1 }),
      (.wideDivide, { $0.divided(by: $1)?.quotient ?? .zero }),
      (.wideModulo, { $0.divided(by: $1)?.remainder ?? .zero }),
    ]
    for (opcode, operation) in operations {
      for (target, left, right) in [(2, 0, 1), (0, 0, 1), (1, 0, 1), (0, 1, 1)] {
        if opcode == .wideDivide || opcode == .wideModulo, target != 2 { continue }
        #expect(
          check(Instruction(opcode, d: target, a: left, b: right)) {
            $0.wide[target] = words(operation(number($0.wide[left]), number($0.wide[right])))
          }, "\(opcode) \(target)")
      }
    }
  }

  @Test("Shifts")
  func shifts() {
    for distance in [0, 1, 63, 64, 65, 130, 255, 256, 1000] {
      for target in [0, 2] {
        #expect(
          check(Instruction(.wideShiftLeftImmediate, d: target, a: 0, b: distance)) {
            $0.wide[target] = words(number($0.wide[0]) << distance)
          })
        #expect(
          check(Instruction(.wideShiftRightImmediate, d: target, a: 0, b: distance)) {
            $0.wide[target] = words(number($0.wide[0]) >> distance)
          })
      }
    }
    func distance(_ words: [UInt64]) -> Int {
      let value = number(words)
      return value.isNegative ? 0 : min(value.exactInt ?? 9999, 9999)
    }
    for target in 0..<3 {
      #expect(
        check(Instruction(.wideShiftLeft, d: target, a: 0, b: 1)) {
          $0.wide[target] = words(number($0.wide[0]) << distance($0.wide[1]))
        })
      #expect(
        check(Instruction(.wideShiftRight, d: target, a: 0, b: 1)) {
          $0.wide[target] = words(number($0.wide[0]) >> distance($0.wide[1]))
        })
    }
  }

  @Test("Casts", arguments: [1, 8, 63, 64, 65, 100, 128, 200, 255, 256])
  func casts(width: Int) {
    let smallest = -WideInteger.powerOfTwo(width - 1)
    let largest = WideInteger.powerOfTwo(width - 1) - WideInteger(1)
    func clamp(_ value: WideInteger, _ low: WideInteger, _ high: WideInteger) -> WideInteger {
      value < low ? low : high < value ? high : value
    }
    #expect(
      check(Instruction(.wideExtend, d: 2, a: 0, b: width)) {
        $0.wide[2] = words(number($0.wide[0]).truncated(to: width))
      })
    #expect(
      check(Instruction(.wideExtend, d: 2, a: 0, b: width, size: 1)) {
        $0.wide[2] = words(number($0.wide[0]).truncated(to: width).signExtended(from: width))
      })
    #expect(
      check(Instruction(.wideSaturate, d: 2, a: 0, b: width)) {
        $0.wide[2] = words(clamp(number($0.wide[0]), .zero, .ones(width)))
      })
    #expect(
      check(Instruction(.wideSaturate, d: 2, a: 0, b: width, size: 1)) {
        $0.wide[2] = words(clamp(number($0.wide[0]), smallest, largest))
      })
  }

  @Test("Moves between lanes, slots and header bytes")
  func moves() {
    #expect(
      check(Instruction(.wideFromLane, d: 2, a: 1)) { $0.wide[2] = [$0.lanes[1], 0, 0, 0] })
    #expect(
      check(Instruction(.wideFromLane, d: 2, a: 1, size: 1)) {
        $0.wide[2] = words(number([$0.lanes[1]]))
      })
    #expect(
      check(Instruction(.laneFromWide, d: 0, a: 2, mask: 0xfff)) {
        $0.lanes[0] = $0.wide[2][0] & 0xfff
      })
    #expect(check(Instruction(.wideMove, d: 2, a: 1)) { $0.wide[2] = $0.wide[1] })
    #expect(
      check(Instruction(.wideChoose, d: 2, a: 0, b: 1, c: 3)) {
        $0.wide[2] = $0.masks[3] ? $0.wide[0] : $0.wide[1]
      })
    for (width, end) in [(1, 1), (65, 70), (128, 128), (128, 333), (200, 207), (256, 300), (7, 9)] {
      #expect(
        check(Instruction(.wideLoad, d: 1, a: end, b: width)) {
          var value = WideInteger.zero
          for bit in end - width..<end {
            let isSet = $0.bytes[bit / 8] >> UInt8(7 - bit % 8) & 1
            value = (value << 1) + WideInteger(UInt64(isSet))
          }
          $0.wide[1] = words(value)
        }, "\(width) \(end)")
      #expect(
        check(Instruction(.wideStore, d: 1, a: end, b: width)) {
          let value = number($0.wide[1])
          for place in 0..<width {
            let bit = end - 1 - place
            let mask = UInt8(1) << UInt8(7 - bit % 8)
            let isSet = (value >> place).low64 & 1 == 1
            $0.bytes[bit / 8] = $0.bytes[bit / 8] & ~mask | (isSet ? mask : 0)
          }
        }, "\(width) \(end)")
    }
  }

  @Test("Comparisons")
  func comparisons() {
    for turned in 0..<2 {
      #expect(
        check(Instruction(.wideEqual, d: 3, a: 0, b: 1, size: turned)) {
          $0.masks[3] = ($0.wide[0] == $0.wide[1]) != (turned == 1)
        })
      #expect(
        check(Instruction(.wideLess, d: 3, a: 0, b: 1, size: turned)) {
          $0.masks[3] = (number($0.wide[0]) < number($0.wide[1])) != (turned == 1)
        })
    }
    #expect(check(Instruction(.wideEqual, d: 3, a: 0, b: 0)) { $0.masks[3] = true })
  }

  @Test("Constants")
  func constants() {
    var small = SmallProgram(limbs: 2, slots: 1)
    small.code.wideConstants = [1, 2, 3]
    small.block([Instruction(.wideConstant, d: 0, a: 1), Instruction(.finish)])
    small.section(\.ingress)
    var machine = small.machine()
    machine.ingress(bank: 1, 1 << 9)
    #expect(machine.wide(0, bank: 1, packet: 9) == [2, 3])
    #expect(machine.wide(0, bank: 1, packet: 8) == [0, 0])
  }
}
