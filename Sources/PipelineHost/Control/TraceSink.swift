import DPUCore
import P4Pipelines

/// One thing that happened to a traced packet.
enum TraceStep {
  /// What the switch decided.
  case event(SwitchEvent)
  /// Instructions of this part of the program run from here on.
  case place(PipelineCode.Mark)
  case table(Int, key: [UInt8], entry: Int?, action: Int?, isHit: Bool)
  /// A field has another value than before; the low 64 bits of it.
  case field(P4Program.FieldReference, UInt64)
}

/// Memory and ports of a switch that runs one packet, and writes down each step.
///
/// Fields are found to have changed by looking at all of them after each instruction: slow, and
/// right whatever the compiler made of the statements.
struct TraceSink: ~Copyable, PacketSink {
  private(set) var ports = VirtualPorts(buffers: 64, packetBytes: PipelineLimits.packetBytes)
  private(set) var steps: [TraceStep] = []
  /// More happened than was written down.
  private(set) var isCut = false
  /// What left, with its port, oldest first.
  private(set) var sent: [(port: Int, bytes: Text)] = []

  private let code: PipelineCode
  /// By place of the machine (64 * bank + packet): the fields' values, empty for a place not seen.
  private var values: [[UInt64]]
  private var marks: [PipelineCode.Mark?]
  private let fields: [P4Program.FieldReference]

  static var isObserving: Bool { true }

  init(_ program: P4Program, _ code: PipelineCode) {
    self.code = code
    var fields: [P4Program.FieldReference] = []
    for header in code.fieldPlaces.indices {
      for field in code.fieldPlaces[header].indices {
        fields.append(P4Program.FieldReference(header: header, field: field))
      }
    }
    self.fields = fields
    values = Array(repeating: [], count: 2 * Machine.width)
    marks = Array(repeating: nil, count: 2 * Machine.width)
  }

  private mutating func add(_ step: TraceStep) {
    if steps.count < PipelineLimits.traceSteps { steps.append(step) } else { isCut = true }
  }

  // MARK: Memory and ports

  mutating func allocate() -> PacketBuffer? { ports.allocate() }
  mutating func recycle(_ buffer: PacketBuffer) { ports.recycle(buffer) }
  mutating func send(_ buffer: PacketBuffer, to port: Int) {
    ports.send(buffer, to: port)
    let log = ports.logs[port]
    sent.append((port, Text(bytes: Array(log[log.count - 1]))))
  }
  mutating func buffer(holding bytes: [UInt8]) -> PacketBuffer? {
    ports.buffer(holding: bytes)
  }

  // MARK: Watching

  mutating func note(_ event: SwitchEvent, bank: Int, packet: Int) {
    add(.event(event))
    let place = 64 * bank + packet
    switch event {
    // Another packet, or the same from the start.
    case .ingress, .egress:
      values[place] = []
      marks[place] = nil
    default: break
    }
  }

  mutating func applied(
    _ table: Int, packets: UInt64, hits: UInt64, _ machine: borrowing Machine, bank: Int
  ) {
    var bits = packets
    while bits != 0 {
      let packet = bits.trailingZeroBitCount
      bits &= bits &- 1
      let isHit = hits >> UInt64(packet) & 1 == 1
      var key: [UInt8] = []
      for index in 0..<code.tables[table].keyBytes {
        key.append(machine.lookupKeyByte(index, packet: packet))
      }
      let found = machine.lookupResult(table, hit: isHit, bank: bank, packet: packet)
      add(.table(table, key: key, entry: found.entry, action: found.action, isHit: isHit))
    }
  }

  mutating func ran(
    _ instruction: Int, packets: UInt64, _ machine: borrowing Machine, bank: Int
  ) {
    var bits = packets
    while bits != 0 {
      let packet = bits.trailingZeroBitCount
      bits &= bits &- 1
      let place = 64 * bank + packet
      if code.marks.indices.contains(instruction) { enter(code.marks[instruction], at: place) }
      compare(machine, bank, packet, at: place)
    }
  }

  /// Tables tell themselves what they find (`applied`).
  private mutating func enter(_ mark: PipelineCode.Mark, at place: Int) {
    if let last = marks[place], last.place == mark.place, last.index == mark.index,
      last.isIngress == mark.isIngress, last.table == mark.table
    {
      return
    }
    marks[place] = mark
    if mark.place != .none, mark.place != .table { add(.place(mark)) }
  }

  private mutating func compare(
    _ machine: borrowing Machine, _ bank: Int, _ packet: Int, at place: Int
  ) {
    let isNew = values[place].isEmpty
    if isNew { values[place].reserveCapacity(fields.count) }
    for index in fields.indices {
      let field = fields[index]
      let value = machine.observedField(
        code.fieldPlaces[field.header][field.field], bank: bank, packet: packet)
      if isNew {
        values[place].append(value)
      } else if values[place][index] != value {
        values[place][index] = value
        add(.field(field, value))
      }
    }
  }
}
