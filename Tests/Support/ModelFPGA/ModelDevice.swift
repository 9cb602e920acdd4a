import DPUCore
package import HBPFBridge

/// Our gateware as docs/ebpf-registers.md describes it, in this process: native page and hBPF's
/// pages, cores that are the interpreter. Every number stands here once more, so that a slip in the
/// driver's does not go unseen.
package final class ModelDevice {
  package struct Access: Equatable, CustomStringConvertible {
    package var isWrite: Bool
    package var offset: Int
    package var value: UInt64
    package var description: String {
      "\(isWrite ? "w" : "r") \(String(offset, radix: 16)) \(String(value, radix: 16))"
    }
  }

  package var memory = [UInt8](repeating: 0, count: 0x40000)
  package let cores: Int
  package let slotsPerCore = 2
  package private(set) var log: [Access] = []
  package var isLogging = false

  // What tests do to it.
  package var isDead = false
  /// The device takes descriptors and never finishes them.
  package var isStuck = false
  /// Bits that the bus turns over in program memory.
  package var corruption: UInt8 = 0

  private var program: [Instruction] = []
  private var submitHead: UInt16 = 0
  private(set) var completionTail: UInt16 = 0
  private var state: [[UInt8]]
  private var pages: [HBPFModel]
  package private(set) var activations: [(row: Int, count: Int)] = []
  package private(set) var doorbells = 0

  package init(cores: Int = 2) {
    self.cores = cores
    state = Array(repeating: [UInt8](repeating: 0, count: 512), count: cores)
    pages = (0..<cores).map { _ in HBPFModel() }
    set(0x000, 0x3146_5042_4555_5044)
    set(0x008, 0x1_0000)
    set(
      0x010,
      UInt64(cores) | UInt64(slotsPerCore) << 8 | 4096 << 16 | 8 << 32 | 0xfff << 48)
    set(0x020, 1)
    set(0x070, 1 << 20)
  }

  package func get(_ offset: Int) -> UInt64 {
    (0..<8).reduce(0) { $0 | UInt64(memory[offset + $1]) << UInt64(8 * $1) }
  }

  package func set(_ offset: Int, _ value: UInt64) {
    for index in 0..<8 {
      memory[offset + index] = UInt8(truncatingIfNeeded: value >> UInt64(8 * index))
    }
  }

  private var takesSlots: Int { cores * slotsPerCore }

  // MARK: The bus

  package func read(_ offset: Int, width: Int) -> UInt64 {
    guard !isDead else { return 0 }
    var value: UInt64
    if offset >= 0x20000 {
      value = pages[(offset - 0x20000) / 0x2000].read((offset - 0x20000) % 0x2000)
    } else if offset >= 0x10000, offset & 0x7ff >= 0x600 {
      let core = (offset - 0x10000) / 0x800 / slotsPerCore
      let place = offset & 0x7ff - 0x600
      value = (0..<8).reduce(0) { $0 | UInt64(state[core][place + $1]) << UInt64(8 * $1) }
    } else {
      value = get(offset)
    }
    if isLogging { log.append(Access(isWrite: false, offset: offset, value: value)) }
    return value
  }

  package func write(_ offset: Int, _ value: UInt64, width: Int) {
    if isLogging { log.append(Access(isWrite: true, offset: offset, value: value)) }
    guard !isDead else { return }
    switch offset {
    case 0x20000...: pages[(offset - 0x20000) / 0x2000].write((offset - 0x20000) % 0x2000, value)
    case 0x10000..<0x20000 where offset & 0x7ff >= 0x600:
      let core = (offset - 0x10000) / 0x800 / slotsPerCore
      for index in 0..<8 {
        state[core][offset & 0x7ff - 0x600 + index] = UInt8(
          truncatingIfNeeded: value >> UInt64(8 * index))
      }
    case 0x018:
      set(offset, value)
      if value & 2 != 0 { reset() }
    case 0x040:
      set(offset, value)
      activate(UInt32(truncatingIfNeeded: value))
    case 0x050:
      set(offset, value)
      doorbells += 1
      // A tail that goes back, or too far, is ignored.
      if UInt16(truncatingIfNeeded: value) &- submitHead <= 256 { serve() }
    case 0x8000..<0x10000: set(offset, value ^ UInt64(corruption))
    default: set(offset, value)
    }
  }

  private func reset() {
    program = []
    submitHead = 0
    completionTail = 0
    set(0x020, 1)
    set(0x048, 0)
    set(0x050, 0)
    set(0x060, 0)
  }

  private func activate(_ generation: UInt32) {
    let length = Int(get(0x030) & 0x1fff)
    let row = get(0x030) >> 16 & 1 == 0 ? 0 : 2048
    let bytes = Array(memory[0x8000 + row * 8..<0x8000 + (row + length) * 8])
    var crc = UInt32.max
    for byte in bytes {
      crc ^= UInt32(byte)
      for _ in 0..<8 { crc = crc & 1 == 0 ? crc >> 1 : crc >> 1 ^ 0xedb8_8320 }
    }
    guard ~crc == UInt32(get(0x038)) else { return set(0x020, 1 | 3 << 2 | 2 << 8) }
    let span = bytes.span.bytes
    program = stride(from: 0, to: bytes.count, by: 8).map { Instruction(span, at: $0) }
    activations.append((row, length))
    set(0x020, 1 | 2 << 2)
    set(0x048, UInt64(generation))
  }

  // MARK: Packets

  private func serve() {
    let tail = UInt16(truncatingIfNeeded: get(0x050))
    guard !isStuck, get(0x018) & 1 != 0 else { return }
    while submitHead != tail {
      let place = 0x1000 + Int(submitHead & 255) * 16
      let cookie = UInt32(truncatingIfNeeded: get(place))
      let second = get(place + 8)
      submitHead &+= 1
      complete(cookie, slot: Int(second & 0xffff), length: Int(second >> 16 & 0xffff))
    }
  }

  private func complete(_ cookie: UInt32, slot: Int, length: Int) {
    var verdict: UInt64 = 0
    var fault: UInt64 = 0
    var row: UInt64 = 0
    if slot >= takesSlots || length > 1536 {
      fault = 17
    } else if program.isEmpty {
      fault = 19
    } else {
      let base = 0x10000 + slot * 0x800
      let core = slot / slotsPerCore
      var data = Array(memory[base..<base + 1536]) + state[core]
      switch HBPFModel.run(program, &data, [0, UInt64(length), 0, 0, 0]) {
      case .exit(let r0): verdict = r0 & 0xffff_ffff
      case .fault(let found):
        fault = UInt64(found.kind.rawValue)
        row = UInt64(found.instruction)
      }
      memory.replaceSubrange(base..<base + 1536, with: data[..<1536])
      state[core] = Array(data[1536...])
    }
    let place = 0x2000 + Int(completionTail & 255) * 16
    let phase = UInt64(~(completionTail >> 8) & 1)
    set(place, UInt64(cookie) | verdict << 32)
    set(place + 8, UInt64(length) | fault << 16 | row << 24 | 33 << 40 | phase << 63)
    completionTail &+= 1
  }
}

/// One core's hBPF page.
struct HBPFModel {
  private var words = [UInt64](repeating: 0, count: 0x2000 / 4)
  private var program = [UInt64](repeating: 0, count: 1024)
  private var data = [UInt8](repeating: 0, count: 2048)

  func read(_ offset: Int) -> UInt64 {
    switch offset {
    case 0x1000..<0x1800: program[Int(words[0x68 / 4]) * 512 + (offset - 0x1000) / 4]
    case 0x1800..<0x2000: UInt64(data[Int(words[0x6c / 4]) * 512 + (offset - 0x1800) / 4])
    default: words[offset / 4]
    }
  }

  mutating func write(_ offset: Int, _ value: UInt64) {
    switch offset {
    case 0x1000..<0x1800: program[Int(words[0x68 / 4]) * 512 + (offset - 0x1000) / 4] = value
    case 0x1800..<0x2000:
      data[Int(words[0x6c / 4]) * 512 + (offset - 0x1800) / 4] = UInt8(truncatingIfNeeded: value)
    case 0x64:
      let starts = words[offset / 4] & 1 == 0 && value & 1 == 1
      words[offset / 4] = value
      if value & 1 == 0 { words[0] = 0 } else if starts { start() }
    default: words[offset / 4] = value
    }
  }

  private mutating func start() {
    var bytes: [UInt8] = []
    for word in program {
      for shift in [24, 16, 8, 0] as [UInt64] {
        bytes.append(UInt8(truncatingIfNeeded: word >> shift))
      }
    }
    let span = bytes.span.bytes
    var code = stride(from: 0, to: bytes.count, by: 8).map { Instruction(span, at: $0) }
    // The rest of the memory is zeros, which are no instructions.
    while let last = code.last, last == Instruction(opcode: 0) { code.removeLast() }
    let arguments = (0..<5).map { words[3 + 2 * $0] << 32 | words[4 + 2 * $0] }
    let outcome = Self.run(code, &data, arguments)
    // The live registers show through.
    for index in 3..<13 { words[index] = 0xdead_beef }
    set(0x5c, 42)
    switch outcome {
    case .exit(let r0):
      set(0x04, r0)
      words[0] = 1 | 2
    case .fault(let fault):
      // A program that does not end.
      words[0] = fault.kind == .tooLong ? 1 : 1 | 2 | 4
    }
  }

  private mutating func set(_ offset: Int, _ value: UInt64) {
    words[offset / 4] = value >> 32
    words[offset / 4 + 1] = value & 0xffff_ffff
  }

  static func run(
    _ program: [Instruction], _ data: inout [UInt8], _ arguments: [UInt64]
  ) -> Outcome {
    guard let software = try? SoftwareProgram(program.span) else {
      return .fault(RuntimeFault(.unknownHelper, instruction: 0))
    }
    var interpreter = Interpreter()
    var helpers = NoHelpers()
    return data.withUnsafeMutableBytes { bytes in
      var guest = GuestMemory()
      guest.add(
        MemoryRegion(
          start: 0, count: 2048, host: UInt(bitPattern: bytes.baseAddress!), isWritable: true))
      return interpreter.run(
        software, r1: arguments[0], r2: arguments[1], r3: arguments[2], r4: arguments[3],
        r5: arguments[4], memory: guest, helpers: &helpers, jumpsMax: 10_000)
    }
  }
}

/// The model as drivers see it.
package struct ModelWindow: RegisterWindow, ~Copyable {
  package let device: ModelDevice
  package init(_ device: ModelDevice) { self.device = device }

  package var byteCount: Int { 0x40000 }

  package mutating func readRegisters(
    _ offset: Int, width: Int, into values: inout MutableSpan<UInt64>
  ) throws(DeviceFault) {
    for index in values.indices {
      values[index] = device.read(offset + index * width, width: width)
    }
  }

  package mutating func writeRegisters(
    _ offset: Int, width: Int, _ values: Span<UInt64>
  ) throws(DeviceFault) {
    for index in values.indices {
      device.write(offset + index * width, values[index], width: width)
    }
  }

  package func load(_ offset: Int) -> UInt64 { device.read(offset, width: 8) }
  package func store(_ value: UInt64, at offset: Int) { device.write(offset, value, width: 8) }
  package func fence() {}
}

/// Gives up after so many looks.
package struct Patience: DevicePatience, ~Copyable {
  package var looks = 100
  private var left = 0
  package init(looks: Int = 100) { self.looks = looks }
  package mutating func begin() { left = looks }
  package mutating func isOver() -> Bool {
    left -= 1
    return left < 0
  }
}
