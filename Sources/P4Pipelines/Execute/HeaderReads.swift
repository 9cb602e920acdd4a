// Which header bytes a program reads, found from its instructions when it is loaded.

extension PipelineCode {
  /// Headers whose bytes some instruction or key looks at, whether they are valid or not. Those
  /// into which the parser itself writes fields are left out: what it wrote must stay, even where
  /// the header is never found.
  var headersReadInvalid: [UInt32] {
    var isRead = [Bool](repeating: false, count: headerBytes + 8)
    var isWritten = isRead
    func note(_ bytes: Range<Int>, _ flags: inout [Bool]) {
      for byte in bytes.clamped(to: 0..<flags.count) { flags[byte] = true }
    }
    for op in instructions {
      if let bytes = bytesRead(by: op) { note(bytes, &isRead) }
    }
    for block in parser.blocks {
      let first = Int(blocks[block].first)
      for op in instructions[first..<first + Int(blocks[block].count)] {
        if let bytes = bytesWritten(by: op) { note(bytes, &isWritten) }
      }
    }
    var gathered = plans + learnLists.map { $0.plan } + calculations.map { $0.plan }
    for table in tables {
      gathered.append(table.key)
      if let selector = table.selector { gathered.append(selector.plan) }
    }
    for plan in gathered {
      for segment in plan.segments {
        let start = Int(segment.source), bits = Int(segment.bits)
        switch segment.kind {
        case .bytes: note(start..<start + bits / 8, &isRead)
        case .field: note(fieldBytes(start, segment.shift, segment.mask), &isRead)
        case .bits: note(start / 8..<(start + bits + 7) / 8, &isRead)
        default: break
        }
      }
    }
    var found: [UInt32] = []
    for index in headers.indices where !headers[index].isMetadata {
      let start = Int(headers[index].offset)
      let bytes = start..<start + Int(headers[index].bytes)
      let reads = bytes.contains { isRead[$0] }
      let writes = bytes.contains { isWritten[$0] }
      if reads && !writes { found.append(UInt32(index)) }
    }
    return found
  }

  /// The bytes that hold bits of a field.
  private func fieldBytes(_ offset: Int, _ shift: UInt8, _ mask: UInt64) -> Range<Int> {
    let bits = mask << UInt64(shift)
    if bits == 0 { return offset..<offset }
    let first = bits.leadingZeroBitCount / 8
    let last = 7 - bits.trailingZeroBitCount / 8
    return offset + first..<offset + last + 1
  }

  private func bytesRead(by op: Instruction) -> Range<Int>? {
    let a = Int(op.a), d = Int(op.d)
    switch op.opcode {
    case .loadField, .equalField, .lessField, .selectField:
      return fieldBytes(a, op.shift, op.mask)
    case .addField: return fieldBytes(d, op.shift, op.mask)
    case .load8: return a..<a + 1
    case .load16: return a..<a + 2
    case .load32: return a..<a + 4
    case .load64: return a..<a + 8
    case .loadField9: return a..<a + 9
    case .copyBytes, .checksumBytes, .updateChecksumBytes: return a..<a + Int(op.b)
    case .loadFieldAtIndex:
      return op.c == 0 ? nil : a..<a + (Int(op.c) - 1) * Int(op.e) + 8
    case .wideLoad: return (a - Int(op.b)) / 8..<(a + 7) / 8
    default: return nil
    }
  }

  private func bytesWritten(by op: Instruction) -> Range<Int>? {
    let d = Int(op.d)
    switch op.opcode {
    case .storeField, .storeFieldImmediate, .addField, .storeParameter:
      return fieldBytes(d, op.shift, op.mask)
    case .store8: return d..<d + 1
    case .store16: return d..<d + 2
    case .store32: return d..<d + 4
    case .store64: return d..<d + 8
    case .storeField9: return d..<d + 9
    case .copyBytes, .zeroBytes: return d..<d + Int(op.b)
    case .storeFieldAtIndex:
      return op.c == 0 ? nil : d..<d + (Int(op.c) - 1) * Int(op.e) + 8
    case .wideStore: return (Int(op.a) - Int(op.b)) / 8..<(Int(op.a) + 7) / 8
    case .updateChecksumBytes: return d..<d + 2
    default: return nil
    }
  }
}
