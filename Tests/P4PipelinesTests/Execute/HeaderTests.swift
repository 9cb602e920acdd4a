import DPUCore
import Testing

@testable import P4Pipelines

/// Bits of a packet's header bytes as a number.
private func bits(_ bytes: [UInt8], _ range: Range<Int>) -> WideInteger {
  var value = WideInteger.zero
  for bit in range {
    value = (value << 1) + WideInteger(UInt64(bytes[bit / 8] >> UInt8(7 - bit % 8) & 1))
  }
  return value
}

private func setBits(_ bytes: inout [UInt8], _ range: Range<Int>, _ value: WideInteger) {
  for (place, bit) in range.reversed().enumerated() {
    let isSet = (value >> place).low64 & 1
    let mask = UInt8(1) << UInt8(7 - bit % 8)
    bytes[bit / 8] = bytes[bit / 8] & ~mask | (isSet == 1 ? mask : 0)
  }
}

@Suite("Machine: header bytes")
struct HeaderTests {
  @Test("Fields of any width and place")
  func fields() {
    var dice = SplitMix64(seed: 3)
    for _ in 0..<12 {
      let width = Int(dice.next() % 57) + 1
      let start = 8 * 20 + Int(dice.next() % 8)
      if start % 8 + width > 64 { continue }
      let shift = 64 - start % 8 - width
      let mask = lowBits(width)
      #expect(
        check(Instruction(.loadField, d: 2, a: 20, shift: shift, mask: mask)) {
          $0.lanes[2] = bits($0.bytes, start..<start + width).low64
        })
      #expect(
        check(Instruction(.storeField, d: 20, a: 1, shift: shift, mask: mask)) {
          setBits(&$0.bytes, start..<start + width, WideInteger($0.lanes[1] & mask))
        })
      #expect(
        check(
          Instruction(.storeFieldImmediate, d: 20, shift: shift, immediate: 1, mask: mask)
        ) { setBits(&$0.bytes, start..<start + width, WideInteger(1)) })
      #expect(
        check(Instruction(.addField, d: 20, shift: shift, immediate: ~0, mask: mask)) {
          let old = bits($0.bytes, start..<start + width).low64
          setBits(&$0.bytes, start..<start + width, WideInteger((old &- 1) & mask))
        })
    }
  }

  @Test("Fields over nine bytes")
  func nineBytes() {
    for (size, low) in [(57, 3), (60, 7), (64, 1), (64, 7), (58, 5)] {
      let end = 8 * 29 - low
      #expect(
        check(Instruction(.loadField9, d: 2, a: 20, shift: low, size: size)) {
          $0.lanes[2] = bits($0.bytes, end - size..<end).low64
        })
      #expect(
        check(Instruction(.storeField9, d: 20, a: 1, shift: low, size: size)) {
          setBits(&$0.bytes, end - size..<end, WideInteger($0.lanes[1]))
        })
    }
  }

  @Test("Whole bytes")
  func whole() {
    let loads: [(Opcode, Opcode, Int)] = [
      (.load8, .store8, 8), (.load16, .store16, 16), (.load32, .store32, 32),
      (.load64, .store64, 64),
    ]
    for (load, store, width) in loads {
      #expect(
        check(Instruction(load, d: 2, a: 13)) {
          $0.lanes[2] = bits($0.bytes, 104..<104 + width).low64
        })
      #expect(
        check(Instruction(store, d: 13, a: 2)) {
          setBits(&$0.bytes, 104..<104 + width, WideInteger($0.lanes[2]))
        })
    }
    #expect(
      check(Instruction(.copyBytes, d: 20, a: 17, b: 19)) {
        $0.bytes.replaceSubrange(20..<39, with: Array($0.bytes[17..<36]))
      })
    #expect(
      check(Instruction(.zeroBytes, d: 20, b: 7)) {
        $0.bytes.replaceSubrange(20..<27, with: [UInt8](repeating: 0, count: 7))
      })
  }

  @Test("Fields of stack elements by index")
  func indexed() {
    #expect(
      check(
        Instruction(.loadFieldAtIndex, d: 2, a: 8, b: 1, c: 4, e: 6, shift: 48, mask: 0xffff)
      ) {
        let index = $0.lanes[1]
        let start = index < 4 ? 64 + Int(index) * 48 : 0
        $0.lanes[2] = index < 4 ? bits($0.bytes, start..<start + 16).low64 : 0
      })
    #expect(
      check(
        Instruction(.storeFieldAtIndex, d: 8, a: 2, b: 1, c: 4, e: 6, shift: 48, mask: 0xffff)
      ) {
        if $0.lanes[1] >= 4 { return }
        let start = 64 + Int($0.lanes[1]) * 48
        setBits(&$0.bytes, start..<start + 16, WideInteger($0.lanes[2]))
      })
  }

  @Test("Checksums")
  func checksums() {
    func sum(_ bytes: ArraySlice<UInt8>) -> UInt64 {
      var sum = 0
      for index in stride(from: bytes.startIndex, to: bytes.endIndex, by: 2) {
        sum += Int(bytes[index]) << 8 + Int(bytes[index + 1])
      }
      while sum > 0xffff { sum = sum & 0xffff + sum >> 16 }
      return UInt64(~sum & 0xffff)
    }
    for (start, count) in [(8, 20), (9, 2), (5, 40), (3, 14)] {
      #expect(
        check(Instruction(.checksumBytes, d: 2, a: start, b: count, e: Int(Instruction.none))) {
          $0.lanes[2] = sum($0.bytes[start..<start + count])
        })
      for skipped in stride(from: start, to: start + count, by: 2) where skipped % 3 != 1 {
        #expect(
          check(Instruction(.updateChecksumBytes, d: skipped, a: start, b: count, e: skipped)) {
            $0.bytes[skipped] = 0
            $0.bytes[skipped + 1] = 0
            let result = sum($0.bytes[start..<start + count])
            $0.bytes[skipped] = UInt8(result >> 8)
            $0.bytes[skipped + 1] = UInt8(result & 0xff)
          })
      }
    }
  }

  @Test("The checksum of zeros is all ones, whatever the field held")
  func zeros() {
    let small = SmallProgram.line([
      Instruction(.zeroBytes, d: 0, b: 20),
      Instruction(.storeFieldImmediate, d: 10, shift: 48, immediate: 0x1234, mask: 0xffff),
      Instruction(.checksumBytes, d: 0, a: 0, b: 20, e: 10),
    ])
    var machine = small.machine()
    machine.ingress(bank: 0, 1)
    #expect(machine.observedLane(0, bank: 0, packet: 0) == 0xffff)
  }

  @Test("Bits are copied, not touched beside")
  func bitCopies() {
    var dice = SplitMix64(seed: 9)
    for _ in 0..<200 {
      let width = Int(dice.next() % 64) + 1
      let end = 80 + Int(dice.next() % 100) + width
      let value = dice.next()
      var bytes = (0..<64).map { _ in UInt8(truncatingIfNeeded: dice.next()) }
      var expected = bytes
      setBits(&expected, end - width..<end, WideInteger(value & lowBits(width)))
      bytes.withUnsafeMutableBufferPointer {
        unsafe storeBits(value, $0.baseAddress!, endingAt: end, width: width)
      }
      #expect(bytes == expected)
      bytes.withUnsafeMutableBufferPointer {
        #expect(
          unsafe loadBits(UnsafePointer($0.baseAddress!), endingAt: end, width: width)
            == value & lowBits(width))
      }
    }
  }

  @Test("Short copies of every length")
  func shortCopies() {
    for count in 0...70 {
      let source = (0..<90).map { UInt8($0) }
      var target = [UInt8](repeating: 0xee, count: 90)
      source.withUnsafeBufferPointer { from in
        target.withUnsafeMutableBufferPointer { to in
          unsafe copyShort(from.baseAddress! + 3, to.baseAddress! + 5, count)
        }
      }
      let expected =
        [UInt8](repeating: 0xee, count: 5) + source[3..<3 + count]
        + [UInt8](repeating: 0xee, count: 85 - count)
      #expect(target == expected, "\(count)")
    }
  }
}

// MARK: Whole headers

@Suite("Machine: headers and stacks")
struct WholeHeaderTests {
  /// Headers 0 and 1 of 6 bytes, 2 and 3 of 7 with a varbit of up to 4 bytes after the first; lanes
  /// 8 and 9 hold its length, lane 10 the packet's.
  private func machine(_ op: Instruction, _ dice: inout SplitMix64) -> Machine {
    var small = SmallProgram()
    small.header(6)
    small.header(6)
    small.header(7, variableBit: 8, variableBits: 32, lengthLane: 8)
    small.header(7, variableBit: 8, variableBits: 32, lengthLane: 9)
    small.block([op, Instruction(.finish)])
    small.section(\.ingress)
    var machine = small.machine()
    machine.scramble(&dice)
    for packet in 0..<64 {
      for lane in 8..<10 as Range<UInt32> {
        machine.setLane(lane, bank: 0, packet: packet, to: 8 * (dice.next() % 5))
      }
    }
    return machine
  }

  private func check(_ op: Instruction, _ model: (inout PacketState) -> Void) -> Bool {
    var dice = SplitMix64(seed: 17)
    for mask in someMasks {
      var machine = machine(op, &dice)
      var expected: [PacketState] = []
      for packet in 0..<64 {
        var state = PacketState(machine, bank: 0, packet: packet)
        if mask >> UInt64(packet) & 1 == 1 { model(&state) }
        expected.append(state)
      }
      machine.ingress(bank: 0, mask)
      for packet in 0..<64 {
        let got = PacketState(machine, bank: 0, packet: packet)
        if got != expected[packet] {
          print("got \(got)\nnot \(expected[packet])")
          return false
        }
      }
    }
    return true
  }

  @Test("setValid zeroes invalid headers only, and the packet grows")
  func setValid() {
    #expect(
      check(Instruction(.setValid, a: 0, c: 10)) {
        if $0.masks[0] { return }
        $0.masks[0] = true
        $0.bytes.replaceSubrange(0..<6, with: [0, 0, 0, 0, 0, 0])
        $0.lanes[10] &+= 6
      })
    #expect(
      check(Instruction(.setValid, a: 2, c: 10)) {
        if $0.masks[2] { return }
        $0.masks[2] = true
        $0.bytes.replaceSubrange(12..<19, with: [UInt8](repeating: 0, count: 7))
        $0.lanes[8] = 0
        $0.lanes[10] &+= 3
      })
    #expect(
      check(Instruction(.setValid, a: 1, c: Int(Instruction.none))) {
        if $0.masks[1] { return }
        $0.masks[1] = true
        $0.bytes.replaceSubrange(6..<12, with: [0, 0, 0, 0, 0, 0])
      })
  }

  @Test("setInvalid shrinks the packet by what the header has on the wire")
  func setInvalid() {
    #expect(
      check(Instruction(.setInvalid, a: 2, c: 10)) {
        if !$0.masks[2] { return }
        $0.masks[2] = false
        $0.lanes[10] &-= 3 + $0.lanes[8] / 8
      })
  }

  @Test("A copy of a header: validity, bytes, varbit")
  func copy() {
    #expect(
      check(Instruction(.copyHeader, d: 3, a: 2)) {
        $0.masks[3] = $0.masks[2]
        if !$0.masks[2] { return }
        $0.bytes.replaceSubrange(19..<26, with: Array($0.bytes[12..<19]))
        $0.lanes[9] = $0.lanes[8]
      })
    #expect(
      check(Instruction(.copyVariable, d: 3, a: 2)) {
        let count = Int($0.lanes[8] / 8)
        $0.bytes.replaceSubrange(20..<20 + count, with: Array($0.bytes[13..<13 + count]))
        $0.lanes[9] = $0.lanes[8]
      })
    #expect(
      check(Instruction(.headerLength, d: 1, a: 2)) { $0.lanes[1] = 3 + $0.lanes[8] / 8 })
  }

  @Test("Headers compared")
  func equality() {
    var small = SmallProgram()
    small.header(7, variableBit: 8, variableBits: 32, lengthLane: 8)
    small.header(7, variableBit: 8, variableBits: 32, lengthLane: 9)
    small.block([
      Instruction(.headersEqual, d: 8, a: 0, b: 1),
      Instruction(.headersEqual, d: 9, a: 0, b: 1, size: 1), Instruction(.finish),
    ])
    small.section(\.ingress)
    var machine = small.machine()
    let bank = machine.memory.bank(0)
    // Packet 0: equal; 1: differs beyond what the varbit holds; 2: within it; 3: lengths differ;
    // 4: after it; 5: one invalid; 6: both invalid.
    for packet in 0..<7 {
      for header in 0..<2 as Range<UInt32> {
        for byte in 0..<7 as Range<UInt32> {
          unsafe bank.headerBytes(packet, header * 7 + byte).pointee = UInt8(byte)
        }
        bank.lane(8 + header)[packet] = 16
        bank.setMask(header, 1 << UInt64(packet), to: ~0)
      }
    }
    unsafe bank.headerBytes(1, 4).pointee = 99
    unsafe bank.headerBytes(2, 2).pointee = 99
    bank.lane(8)[3] = 8
    unsafe bank.headerBytes(4, 6).pointee = 99
    bank.setMask(0, 0b1100000, to: 0)
    bank.setMask(1, 0b1000000, to: 0)
    machine.ingress(bank: 0, 0x7f)
    #expect(machine.observedMask(8, bank: 0) & 0x7f == 0b0000011)
    #expect(machine.observedMask(9, bank: 0) & 0x7f == 0b1111100)
  }

  @Test("Stacks are pushed and popped", arguments: [1, 2, 3, 4])
  func stacks(by count: Int) {
    for opcode in [Opcode.pushStack, .popStack] {
      var small = SmallProgram()
      for _ in 0..<4 { small.header(3) }
      var stack = PipelineCode.StackCode()
      stack.count = 4
      stack.headers = [0, 1, 2, 3]
      stack.nextLane = 5
      small.code.stacks = [stack]
      small.block([Instruction(opcode, a: 0, b: count), Instruction(.finish)])
      small.section(\.ingress)
      var machine = small.machine()
      var dice = SplitMix64(seed: 5)
      machine.scramble(&dice)
      for packet in 0..<64 { machine.setLane(5, bank: 0, packet: packet, to: dice.next() % 5) }
      let before = (0..<64).map { machine.lanes(bank: 0, packet: $0) }
      let beforeMasks = (0..<64).map { machine.masks(bank: 0, packet: $0) }
      let beforeBytes = (0..<64).map { machine.bytes(bank: 0, packet: $0) }
      machine.ingress(bank: 0, 0xf0f)
      for packet in 0..<64 {
        let lanes = machine.lanes(bank: 0, packet: packet)
        let masks = machine.masks(bank: 0, packet: packet)
        let bytes = machine.bytes(bank: 0, packet: packet)
        if 0xf0f >> packet & 1 == 0 {
          #expect(lanes == before[packet] && masks == beforeMasks[packet])
          continue
        }
        let next = Int(before[packet][5])
        #expect(
          Int(lanes[5]) == (opcode == .pushStack ? min(4, next + count) : max(0, next - count)))
        for element in 0..<4 {
          let source = opcode == .pushStack ? element - count : element + count
          let isInside = source >= 0 && source < 4
          #expect(masks[element] == (isInside && beforeMasks[packet][source]))
          if isInside {
            #expect(
              bytes[element * 3..<element * 3 + 3]
                == beforeBytes[packet][source * 3..<source * 3 + 3])
          }
        }
      }
    }
  }
}
