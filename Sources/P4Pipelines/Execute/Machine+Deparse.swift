// Writes headers back. The caller gives the address and has room for `headerLength` bytes.
//
// Most packets of a batch have the same headers. `layOut` finds out once for all that have the same
// how many bytes those take and which of them follow each other in the header bytes, and what is
// left for a packet is a few copies (`HeaderLayouts`). What has a varbit goes header by header.

extension Machine {
  /// Bytes of the headers that the deparser emits.
  package mutating func headerLength(bank number: Int, packet: Int) -> Int {
    let bank = memory.bank(number)
    let packet = checked(packet)
    var length = 0
    each(emittedBy: bank, packet) { header in
      length &+= Self.emittedBytes(header, bank, packet)
    }
    return length
  }

  /// Where the bytes that no header holds start.
  package func payloadOffset(bank: Int, packet: Int) -> Int {
    Self.payloadOffset(memory.bank(bank), checked(packet))
  }

  /// Never beyond the packet's end, whatever the cursor says.
  @inline(__always)
  static func payloadOffset(_ bank: Bank, _ packet: Int) -> Int {
    let count = unsafe bank.counts[packet]
    let cursor = bank.lane(bank.cursorLane)[packet]
    return Int(truncatingIfNeeded: min(cursor, UInt64(truncatingIfNeeded: count)))
  }

  /// Writes the headers that the deparser emits, `headerLength` bytes.
  package mutating func writeHeaders(bank number: Int, packet: Int, to address: UInt) {
    let bank = memory.bank(number)
    let packet = checked(packet)
    var target = unsafe UnsafeMutablePointer<UInt8>(bitPattern: address)!
    each(emittedBy: bank, packet) { header in
      let source = unsafe bank.headerBytes(packet, header.offset)
      if header.variableBits == 0 {
        unsafe copyShort(source, target, Int(header.bytes))
        unsafe target += Int(header.bytes)
        return
      }
      let before = Int(header.variableBit &>> 3)
      let length = Int(truncatingIfNeeded: bank.variableBits(header, packet) &>> 3)
      let most = Int(header.variableBits &>> 3)
      let after = Int(header.bytes) &- before &- most
      unsafe copyShort(source, target, before &+ length)
      unsafe copyShort(source + (before &+ most), target + (before &+ length), after)
      unsafe target += before &+ length &+ after
    }
  }

  @inline(__always)
  private mutating func each(
    emittedBy bank: Bank, _ packet: Int, _ body: (PipelineCode.HeaderCode) -> Void
  ) {
    for index in 0..<Int(image.deparserOrder.count) {
      let number = unsafe image.numbers.base[Int(image.deparserOrder.first) &+ index]
      if bank.mask(number) &>> UInt64(truncatingIfNeeded: packet) & 1 == 0 { continue }
      body(bank.header(number))
    }
  }

  @inline(__always)
  private static func emittedBytes(
    _ header: PipelineCode.HeaderCode, _ bank: Bank, _ packet: Int
  ) -> Int {
    Int(header.fixedBytes)
      &+ Int(truncatingIfNeeded: bank.variableBits(header, packet) &>> 3)
  }
}

// MARK: Batches

/// The headers that a packet leaves with.
struct HeaderLayout: BitwiseCopyable {
  /// Different ones per bank; packets with further ones go header by header.
  static let perBank = 8

  /// Bytes of all of them.
  var length: UInt32 = 0
  /// Part of `MachineMemory.runs`; none: this is no layout.
  var runs = Slice()
}

/// How the packets of both banks are written back, after `Machine.layOut`: place 64 * bank + packet.
@safe
struct HeaderLayouts: BitwiseCopyable {
  fileprivate let numbers: UnsafePointer<UInt8>
  fileprivate let layouts: UnsafePointer<HeaderLayout>
  fileprivate let runs: UnsafePointer<PipelineCode.ByteRange>
  fileprivate let bytes: UnsafePointer<UInt8>
  fileprivate let byteStride: Int
  fileprivate let counts: UnsafePointer<Int>
  fileprivate let cursors: UnsafePointer<UInt64>

  /// nil: ask the machine, header by header.
  @inline(__always)
  subscript(place: Int) -> HeaderLayout? {
    let number = unsafe numbers[place]
    return number == Self.none ? nil : unsafe layouts[Int(number)]
  }

  /// Where the bytes that no header holds start.
  @inline(__always)
  func payloadOffset(_ place: Int) -> Int {
    let count = unsafe counts[place]
    let cursor = unsafe cursors[place]
    return Int(truncatingIfNeeded: min(cursor, UInt64(truncatingIfNeeded: count)))
  }

  /// Writes the packet's headers, as many bytes as the layout says.
  @inline(__always)
  func write(_ layout: HeaderLayout, _ place: Int, to address: UInt) {
    var target = unsafe UnsafeMutablePointer<UInt8>(bitPattern: address).unsafelyUnwrapped
    let source = unsafe bytes + place &* byteStride
    var run = unsafe runs + Int(layout.runs.first)
    let end = unsafe run + Int(layout.runs.count)
    while unsafe run < end {
      let count = unsafe Int(run.pointee.count)
      unsafe copyShort(source + Int(run.pointee.offset), target, count)
      unsafe target += count
      unsafe run += 1
    }
  }

  fileprivate static let none = UInt8.max

  init(_ memory: borrowing MachineMemory) {
    let first = memory.first
    unsafe numbers = UnsafePointer(memory.layoutNumbers)
    unsafe layouts = UnsafePointer(memory.layouts)
    unsafe runs = UnsafePointer(memory.runs)
    unsafe bytes = UnsafePointer(first.bytes)
    byteStride = first.byteStride
    unsafe counts = UnsafePointer(first.counts)
    unsafe cursors = UnsafePointer(first.lane(first.cursorLane).base)
  }
}

extension Machine {
  /// Finds the layouts of packets whose headers change no more.
  mutating func layOut(bank number: Int, _ mask: UInt64) {
    let bank = memory.bank(number)
    let numbers = unsafe memory.layoutNumbers + number &* Self.width
    let order = unsafe image.numbers.base + Int(image.deparserOrder.first)
    let headers = Int(image.deparserOrder.count)
    var index = number &* HeaderLayout.perBank
    let end = index &+ HeaderLayout.perBank
    var rest = mask
    while rest != 0 {
      if index == end {
        P4Pipelines.each(rest) { unsafe numbers[$0] = HeaderLayouts.none }
        return
      }
      // All that have the headers of the first one.
      let first = rest & (0 &- rest)
      var same = rest
      var hasVariable = false
      var layout = HeaderLayout()
      layout.runs.first = UInt32(index &* headers)
      let runs = unsafe memory.runs + index &* headers
      var place = 0
      while place < headers {
        let number = unsafe order[place]
        place &+= 1
        let valid = bank.mask(number)
        if valid & first == 0 {
          same &= ~valid
          continue
        }
        same &= valid
        let header = bank.header(number)
        if header.variableBits != 0 { hasVariable = true }
        let count = Int(layout.runs.count)
        if count > 0, unsafe runs[count &- 1].offset &+ runs[count &- 1].count == header.offset {
          unsafe runs[count &- 1].count &+= header.bytes
        } else {
          unsafe runs[count] = PipelineCode.ByteRange(
            offset: Int(header.offset), count: Int(header.bytes))
          layout.runs.count &+= 1
        }
        layout.length &+= header.bytes
      }
      let chosen = hasVariable ? HeaderLayouts.none : UInt8(truncatingIfNeeded: index)
      P4Pipelines.each(same) { unsafe numbers[$0] = chosen }
      if !hasVariable {
        unsafe memory.layouts[index] = layout
        index &+= 1
      }
      rest &= ~same
    }
  }
}
