import Testing

@testable import P4Pipelines

/// Packets in memory, each of its own length with bytes that say where they are.
struct PacketBytes {
  let base: UnsafeMutablePointer<UInt8>
  static let stride = 256

  init() {
    unsafe base = UnsafeMutablePointer<UInt8>.allocate(capacity: 64 * Self.stride)
    for index in 0..<64 * Self.stride { unsafe base[index] = UInt8(index % 251) }
  }

  func address(_ packet: Int) -> UInt { unsafe UInt(bitPattern: base + packet * Self.stride) }

  subscript(packet: Int, byte: Int) -> UInt8 {
    get { unsafe base[packet * Self.stride + byte] }
    nonmutating set { unsafe base[packet * Self.stride + byte] = newValue }
  }

  func bytes(_ packet: Int, _ range: Range<Int>) -> [UInt8] { range.map { self[packet, $0] } }
}

extension Machine {
  /// Begins packets 0..<64 of a bank; packet i has `length(i)` bytes.
  mutating func begin(_ packets: PacketBytes, bank: Int = 0, length: (Int) -> Int = { _ in 100 }) {
    for packet in 0..<64 {
      begin(
        bank: bank, packet: packet, bytes: packets.address(packet), count: length(packet),
        ingressPort: packet, instanceType: 0, packetLength: length(packet), ingressTimestamp: 5)
    }
  }
}

private let none = Int(Instruction.none)

@Suite("Machine: parser")
struct ParserTests {
  private let packets = PacketBytes()

  @Test("A header is taken from its place, packets that are too short fail there")
  func extract() {
    var small = SmallProgram()
    small.header(14)
    small.header(20)
    small.block([
      Instruction(.extract, a: 0, c: none, e: 0), Instruction(.extract, a: 1, c: none, e: 14),
      Instruction(.loadImmediate, d: 15, immediate: 34),
      Instruction(.loadImmediate, d: 3, immediate: 1),
      Instruction(.finish),
    ])
    small.section(\.parser)
    var machine = small.machine()
    let mask: UInt64 = 0x00ff_ffff_ffff_fff0
    machine.begin(packets) { $0 }
    machine.parse(bank: 0, mask)
    for packet in 4..<56 {
      let bytes = machine.bytes(bank: 0, packet: packet)
      let error = machine.observedLane(small.errorLane, bank: 0, packet: packet)
      let isLong = packet >= 34
      #expect(
        machine.payloadOffset(bank: 0, packet: packet) == (isLong ? 34 : packet >= 14 ? 14 : 0))
      #expect(error == (isLong ? 0 : ParserError.packetTooShort))
      #expect(machine.masks(bank: 0, packet: packet)[0] == (packet >= 14))
      #expect(machine.masks(bank: 0, packet: packet)[1] == isLong)
      if packet >= 14 { #expect(Array(bytes[0..<14]) == packets.bytes(packet, 0..<14)) }
      if isLong { #expect(Array(bytes[14..<34]) == packets.bytes(packet, 14..<34)) }
      #expect(machine.observedLane(3, bank: 0, packet: packet) == (isLong ? 1 : 0))
    }
    #expect(machine.parserErrors(bank: 0, ~0) == mask & 0x3_ffff_ffff)
    // The next packets start anew.
    machine.begin(packets)
    machine.parse(bank: 0, ~0)
    #expect(machine.parserErrors(bank: 0, ~0) == 0)
  }

  @Test("A run of headers is the same as its headers one by one")
  func run() {
    var small = SmallProgram()
    for bytes in [3, 5, 9] { small.header(bytes) }
    small.code.runHeaders = [0, 1, 2]
    small.block([
      Instruction(.loadImmediate, d: 2, immediate: 7),
      Instruction(.extractRun, d: 0, a: 0, b: 3, c: 2, e: 1, immediate: 17),
      Instruction(.loadImmediate, d: 15, immediate: 25), Instruction(.finish),
    ])
    small.section(\.parser)
    var machine = small.machine()
    machine.begin(packets) { $0 }
    machine.parse(bank: 0, ~0)
    for packet in 0..<64 {
      let ends = [11, 16, 25].filter { $0 <= packet }
      let masks = machine.masks(bank: 0, packet: packet)
      #expect(
        masks[0] == (ends.count > 0) && masks[1] == (ends.count > 1) && masks[2] == (ends.count > 2)
      )
      #expect(machine.payloadOffset(bank: 0, packet: packet) == min(packet, ends.last ?? 8))
      #expect(
        machine.observedLane(small.errorLane, bank: 0, packet: packet) == (ends.count == 3 ? 0 : 1))
      if let last = ends.last {
        #expect(
          Array(machine.bytes(bank: 0, packet: packet)[0..<last - 8])
            == packets.bytes(packet, 8..<last))
      }
    }
  }

  @Test("A varbit: its errors in their order, its bytes in place")
  func variable() {
    var small = SmallProgram()
    small.header(10, variableBit: 16, variableBits: 48, lengthLane: 8)
    small.block([
      Instruction(.extractVariable, a: 0, b: 0, c: none, e: 3),
      Instruction(.loadImmediate, d: 15, immediate: 50), Instruction(.finish),
    ])
    small.section(\.parser)
    small.code.zeroedLanes = [8]
    small.code.deparserOrder = [0]
    var machine = small.machine()
    let lengths: [(bits: Int, count: Int, error: UInt64)] = [
      (0, 7, 0), (0, 6, 1), (16, 100, 0), (48, 100, 0), (48, 12, 1), (56, 100, 4), (56, 13, 1),
      (9, 100, 6), (9, 2, 6), (-8, 100, 4), (-8, 6, 1), (1 << 40, 100, 1),
    ]
    machine.begin(packets) { $0 < lengths.count ? lengths[$0].count : 100 }
    // The length is found by the program; here it is put into the lane after zeroing.
    machine.open(0)
    for (packet, length) in lengths.enumerated() {
      machine.setLane(0, bank: 0, packet: packet, to: UInt64(bitPattern: Int64(length.bits)))
    }
    machine.parse(bank: 0, (1 << UInt64(lengths.count)) - 1)
    for (packet, length) in lengths.enumerated() {
      #expect(
        machine.observedLane(small.errorLane, bank: 0, packet: packet) == length.error, "\(length)")
      #expect(machine.masks(bank: 0, packet: packet)[0] == (length.error == 0))
      if length.error != 0 { continue }
      let bytes = machine.bytes(bank: 0, packet: packet)
      let count = length.bits / 8
      #expect(Array(bytes[0..<2 + count]) == packets.bytes(packet, 3..<5 + count))
      #expect(Array(bytes[8..<10]) == packets.bytes(packet, 5 + count..<7 + count))
      #expect(machine.observedLane(8, bank: 0, packet: packet) == UInt64(length.bits))
      // And back, without the unused part.
      #expect(machine.headerLength(bank: 0, packet: packet) == 4 + count)
      var written = [UInt8](repeating: 0xee, count: 20)
      written.withUnsafeMutableBufferPointer {
        machine.writeHeaders(
          bank: 0, packet: packet, to: UInt(bitPattern: $0.baseAddress!))
      }
      #expect(Array(written[0..<4 + count]) == packets.bytes(packet, 3..<7 + count))
      #expect(written[4 + count] == 0xee)
    }
  }

  @Test("The next element of a stack, until there is none")
  func stack() {
    var small = SmallProgram()
    for _ in 0..<3 { small.header(4) }
    var stack = PipelineCode.StackCode()
    stack.count = 3
    stack.headers = [0, 1, 2]
    stack.nextLane = 5
    small.code.stacks = [stack]
    small.code.zeroedLanes = [5]
    small.block([
      Instruction(.extractNext, a: 0, c: 15),
      Instruction(.addImmediate, d: 15, a: 15, immediate: 4),
      Instruction(.jump, d: 0),
    ])
    small.section(\.parser)
    var machine = small.machine()
    machine.begin(packets) { $0 }
    machine.parse(bank: 0, 0xffff)
    for packet in 0..<16 {
      let count = min(3, packet / 4)
      #expect(machine.observedLane(5, bank: 0, packet: packet) == UInt64(count))
      #expect(machine.payloadOffset(bank: 0, packet: packet) == 4 * count)
      #expect(
        machine.observedLane(small.errorLane, bank: 0, packet: packet)
          == (packet >= 12 ? ParserError.stackOutOfBounds : ParserError.packetTooShort))
      #expect(
        Array(machine.bytes(bank: 0, packet: packet)[0..<4 * count])
          == packets.bytes(packet, 0..<4 * count))
    }
  }

  @Test("Skipping, looking ahead, verifying")
  func others() {
    var small = SmallProgram(limbs: 2, slots: 1)
    small.code.zeroedLanes = [2]
    small.block([
      Instruction(.lookahead, d: 0, c: none, e: 2, size: 11, immediate: 5),
      Instruction(.lookaheadWide, d: 0, b: 100, c: none, e: 1, immediate: 3),
      Instruction(.require, c: none, e: 10, immediate: 10),
      Instruction(.move, d: 1, a: 0, mask: 24),
      Instruction(.equalImmediate, d: 3, a: 0, immediate: 0, mask: 1),
      Instruction(.advance, a: 1, c: none, e: 4),
      Instruction(.failUnless, a: 3, c: 15, immediate: 9),
      Instruction(.loadImmediate, d: 4, immediate: 77),
      Instruction(.equalImmediate, d: 3, a: 0, immediate: 0, mask: 2),
      Instruction(.failUnlessLane, a: 3, b: 4, c: 15, e: 1), Instruction(.finish),
    ])
    small.section(\.parser)
    var machine = small.machine()
    machine.begin(packets) { $0 == 0 ? 3 : $0 == 1 ? 13 : $0 == 2 ? 19 : 100 }
    machine.parse(bank: 0, ~0)
    for packet in 0..<64 {
      let error = machine.observedLane(small.errorLane, bank: 0, packet: packet)
      let cursor = machine.payloadOffset(bank: 0, packet: packet)
      if packet < 3 {
        // 3 bytes: byte 4 is missing; 13: bits up to byte 14; 19: twenty bytes.
        #expect(error == ParserError.packetTooShort)
        #expect(cursor == [2, 1, 10][packet])
        continue
      }
      let two = Int(packets[packet, 2]) << 8 + Int(packets[packet, 3])
      #expect(machine.observedLane(0, bank: 0, packet: packet) == UInt64(two & 0x7ff))
      var wide = WideInteger.zero
      for bit in 11..<111 {
        wide = (wide << 1) + WideInteger(UInt64(packets[packet, bit / 8] >> UInt8(7 - bit % 8) & 1))
      }
      #expect(machine.wide(0, bank: 0, packet: packet) == [wide.word(0), wide.word(1)])
      let skipped = (two & 24) / 8
      if two & 1 != 0 {
        #expect(error == 9 && cursor == 4 + skipped)
      } else if two & 2 != 0 {
        #expect(error == 77 && cursor == 5 + skipped)
      } else {
        #expect(error == 0 && cursor == 4 + skipped)
      }
    }
  }

  @Test("A distance that is no multiple of eight bits, or beyond the end")
  func advance() {
    var small = SmallProgram()
    small.block([Instruction(.advance, a: 0, c: none, e: 4), Instruction(.finish)])
    small.section(\.parser)
    var machine = small.machine()
    machine.begin(packets) { _ in 20 }
    machine.open(0)
    for (packet, bits) in [0, 7, 128, 136, UInt64.max & ~7].enumerated() {
      machine.setLane(0, bank: 0, packet: packet, to: bits)
    }
    machine.parse(bank: 0, 0x1f)
    let errors = (0..<5).map { machine.observedLane(small.errorLane, bank: 0, packet: $0) }
    #expect(errors == [0, 6, 0, 1, 1])
    #expect((0..<5).map { machine.payloadOffset(bank: 0, packet: $0) } == [4, 4, 20, 4, 4])
  }

  @Test("A loop that never ends is left, by each packet after as many rounds")
  func endless() {
    var small = SmallProgram()
    small.block([Instruction(.addImmediate, d: 0, a: 0, immediate: 1), Instruction(.jump, d: 0)])
    small.section(\.parser)
    small.code.zeroedLanes = [0]
    var machine = small.machine()
    machine.begin(packets)
    machine.parse(bank: 0, 0b1011)
    #expect(machine.requested(.stepLimit, bank: 0) == 0b1011)
    for packet in [0, 1, 3] {
      #expect(
        machine.observedLane(0, bank: 0, packet: packet) == UInt64(CodeLimits.parserSteps + 1))
    }
    machine.begin(packets)
    #expect(machine.requested(.stepLimit, bank: 0) == 0)
  }
}
