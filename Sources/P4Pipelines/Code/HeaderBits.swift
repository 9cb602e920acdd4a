// Which bits of the header bytes an instruction reads or writes, for passes that move loads.

extension Compilation {
  /// The bits of `field(byte)`.
  private func field(_ byte: UInt32, _ instruction: Instruction) -> Range<Int> {
    let end = Int(byte) * 8 + 64 - Int(instruction.shift)
    return end - (64 - instruction.mask.leadingZeroBitCount)..<end
  }

  private func field9(_ byte: UInt32, _ instruction: Instruction) -> Range<Int> {
    let end = Int(byte) * 8 + 72 - Int(instruction.shift)
    return end - Int(instruction.size)..<end
  }

  private func bits(of header: Int) -> Range<Int> {
    let layout = code.headers[header]
    return Int(layout.offset) * 8..<Int(layout.offset + layout.bytes) * 8
  }

  private func bits(ofStack stack: Int) -> Range<Int> {
    let headers = code.stacks[stack].headers
    guard let first = headers.first, let last = headers.last else { return 0..<0 }
    return bits(of: Int(first)).lowerBound..<bits(of: Int(last)).upperBound
  }

  func writtenBits(_ instruction: Instruction) -> Range<Int>? {
    let d = Int(instruction.d)
    switch instruction.opcode {
    case .storeField, .storeFieldImmediate, .addField, .storeParameter:
      return field(instruction.d, instruction)
    case .storeField9: return field9(instruction.d, instruction)
    case .store8: return d * 8..<d * 8 + 8
    case .store16, .updateChecksumBytes: return d * 8..<d * 8 + 16
    case .store32: return d * 8..<d * 8 + 32
    case .store64: return d * 8..<d * 8 + 64
    case .copyBytes, .zeroBytes: return d * 8..<(d + Int(instruction.b)) * 8
    case .storeFieldAtIndex:
      let one = field(instruction.d, instruction)
      return one.lowerBound..<one.upperBound + Int(instruction.c) * Int(instruction.e) * 8
    case .wideStore: return Int(instruction.a) - Int(instruction.b)..<Int(instruction.a)
    case .setValid, .extract, .extractVariable: return bits(of: Int(instruction.a))
    case .copyHeader, .copyVariable: return bits(of: d)
    case .extractNext, .pushStack, .popStack: return bits(ofStack: Int(instruction.a))
    case .extractRun: return d * 8..<(d + Int(instruction.immediate)) * 8
    default: return nil
    }
  }

  /// Of the instructions that passes look for: loads and comparisons of fields.
  func readBits(_ instruction: Instruction) -> Range<Int>? {
    let a = Int(instruction.a)
    switch instruction.opcode {
    case .loadField, .equalField, .lessField, .selectField:
      return field(instruction.a, instruction)
    case .loadField9: return field9(instruction.a, instruction)
    case .load8: return a * 8..<a * 8 + 8
    case .load16: return a * 8..<a * 8 + 16
    case .load32: return a * 8..<a * 8 + 32
    case .load64: return a * 8..<a * 8 + 64
    case .loadFieldAtIndex:
      let one = field(instruction.a, instruction)
      return one.lowerBound..<one.upperBound + Int(instruction.c) * Int(instruction.e) * 8
    case .wideLoad: return a - Int(instruction.b)..<a
    case .headersEqual, .variableEqual:
      let left = bits(of: a)
      let right = bits(of: Int(instruction.b))
      return min(left.lowerBound, right.lowerBound)..<max(left.upperBound, right.upperBound)
    case .checksumBytes: return a * 8..<(a + Int(instruction.b)) * 8
    // Their plans say which.
    case .hash, .matchValueSet: return 0..<code.headerBytes * 8
    default: return nil
    }
  }
}
