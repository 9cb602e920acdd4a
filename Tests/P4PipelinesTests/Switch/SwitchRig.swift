import DPUCore
import Testing

@testable import P4Pipelines

/// A switch with virtual ports, and words for what tests do to it.
struct SwitchRig: ~Copyable {
  var virtual: VirtualSwitch
  var names: P4Names { virtual.names }

  init(
    _ path: String, batch: Int = 64, options: SwitchOptions = SwitchOptions(),
    buffers: Int = 4096, packetBytes: Int = 2048
  ) throws {
    try self.init(
      Corpus.load(path), batch: batch, options: options, buffers: buffers,
      packetBytes: packetBytes)
  }

  init(
    _ program: P4Program, batch: Int = 64, options: SwitchOptions = SwitchOptions(),
    buffers: Int = 4096, packetBytes: Int = 2048
  ) throws {
    virtual = try VirtualSwitch(
      program, try Compiler.compile(program), options: options, batch: batch,
      ports: VirtualPorts(buffers: buffers, packetBytes: packetBytes))
  }

  /// Applies one batch of operations; fails the test when one of them is refused.
  @discardableResult
  mutating func control(
    sourceLocation: SourceLocation = #_sourceLocation,
    _ fill: (ControlBatch) throws -> Void
  ) throws -> ControlBatch {
    let batch = ControlBatch(names)
    try fill(batch)
    virtual.apply(batch)
    #expect(batch.failure == nil, sourceLocation: sourceLocation)
    return batch
  }

  mutating func send(
    _ bytes: [UInt8], port: Int = 1, sourceLocation: SourceLocation = #_sourceLocation
  ) {
    let isTaken = virtual.send(bytes, port: port)
    #expect(isTaken, sourceLocation: sourceLocation)
  }

  /// What has left a port so far.
  func sent(_ port: Int) -> [[UInt8]] {
    let log = virtual.ports.logs[port]
    return (0..<log.count).map { Array(log[$0]) }
  }

  func count(_ counter: SwitchCounter) -> UInt64 { virtual.switch.counters[counter] }
}

/// The program that shows what a packet carries along every path: p4/paths.json.
extension SwitchRig {
  static func paths(
    batch: Int = 64, options: SwitchOptions = SwitchOptions(),
    buffers: Int = 4096, packetBytes: Int = 2048
  ) throws -> SwitchRig {
    var rig = try SwitchRig(
      "p4/paths.json", batch: batch, options: options, buffers: buffers, packetBytes: packetBytes)
    try rig.control {
      try $0.setSession(5, CloneSession(port: 3))
      try $0.setSession(6, CloneSession(group: 1))
      try $0.createGroup(1)
      try $0.createNode(rid: 7, ports: [1, 3])
      try $0.createNode(rid: 8, ports: [2])
      try $0.associate(group: 1, node: 0)
      try $0.associate(group: 1, node: 1)
    }
    return rig
  }

  enum Mode: UInt8, CaseIterable {
    case forward, clone, cloneKeeping, resubmit, multicast, multicastThenDrop, dropThenMulticast
    case cloneAndDrop, cloneAndResubmit, cloneToGroup, cloneToUnknown, cloneEgress
    case cloneEgressAndDrop, recirculate, recirculateAndDrop, setSpecInEgress
    case cloneEgressAndRecirculate
  }

  /// A packet for that program, with `tail` after its header.
  static func packet(_ mode: Mode, tail: [UInt8] = [0xd0, 0xd1, 0xd2]) -> [UInt8] {
    [mode.rawValue, 0] + tail
  }
}

/// Memory of one buffer, with exactly so much room around the packet.
struct SingleBuffer: ~Copyable, PacketSink {
  private let bytes: UnsafeMutableRawPointer
  private let size: Int
  private let first: PacketBuffer
  private(set) var isHome = true
  private(set) var sent: [[UInt8]] = []

  init(_ packet: [UInt8], headroom: Int, tailroom: Int) {
    size = headroom + packet.count + tailroom
    bytes = .allocate(byteCount: size + 16, alignment: 64)
    bytes.initializeMemory(as: UInt8.self, repeating: 0xee, count: size + 16)
    (bytes + 8 + headroom).copyMemory(from: packet, byteCount: packet.count)
    first = PacketBuffer(
      token: 1, address: UInt(bitPattern: bytes) + UInt(8 + headroom),
      length: UInt32(packet.count), headroom: UInt16(headroom), tailroom: UInt16(tailroom))
  }

  deinit { bytes.deallocate() }

  mutating func allocate() -> PacketBuffer? {
    guard isHome else { return nil }
    isHome = false
    return first
  }

  mutating func recycle(_ buffer: PacketBuffer) {
    #expect(!isHome)
    isHome = true
    for index in 0..<8 {
      #expect(bytes.load(fromByteOffset: index, as: UInt8.self) == 0xee)
      #expect(bytes.load(fromByteOffset: size + 8 + index, as: UInt8.self) == 0xee)
    }
  }

  mutating func send(_ buffer: PacketBuffer, to port: Int) {
    sent.append(
      Array(
        UnsafeRawBufferPointer(
          start: UnsafeRawPointer(bitPattern: buffer.address), count: Int(buffer.length))))
    recycle(buffer)
  }
}

/// One record that the program has put before the packet.
struct PathRecord: Equatable {
  var at: Int, instance: Int, ingressPort: Int, egressPort: Int, egressSpec: Int, length: Int
  var kept: Int, lost: Int, rid: Int, timed: Int, group: Int

  /// The records of a packet, newest first.
  static func all(of packet: [UInt8]) -> [PathRecord] {
    (0..<Int(packet[1])).map { index in
      let bytes = Array(packet[(2 + 18 * index)..<(20 + 18 * index)])
      func number(_ at: Int, _ count: Int) -> Int {
        bytes[at..<at + count].reduce(0) { $0 << 8 | Int($1) }
      }
      return PathRecord(
        at: number(0, 1), instance: number(1, 1), ingressPort: number(2, 2),
        egressPort: number(4, 2), egressSpec: number(6, 2), length: number(8, 4),
        kept: number(12, 1), lost: number(13, 1), rid: number(14, 2), timed: number(16, 1),
        group: number(17, 1))
    }
  }
}
