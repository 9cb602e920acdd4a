import DPUCore
import Testing

@testable import P4Pipelines

@Suite("Machine: real programs")
struct CorpusMachineTests {
  /// Programs that the compiler takes.
  private static func compiled(_ path: String) throws -> (PipelineCode, P4Program)? {
    let program = try Corpus.load(path)
    guard let code = try? Compiler.compile(program) else { return nil }
    return (code, program)
  }

  @Test("Compiled programs are sound", arguments: Corpus.paths)
  func sound(path: String) throws {
    guard let (code, program) = try Self.compiled(path) else { return }
    #expect(code.firstFlaw(program) == nil)
  }

  /// Packets that get some way through a parser: Ethernet types and protocols that programs like.
  private static func packet(_ dice: inout SplitMix64) -> [UInt8] {
    var bytes = (0..<Int(dice.next() % 140)).map { _ in
      dice.next() % 3 == 0 ? 0 : UInt8(truncatingIfNeeded: dice.next())
    }
    let types: [[UInt8]] = [[8, 0], [0x81, 0], [0x86, 0xdd], [0x88, 0xb5], [0x88, 0x47]]
    if bytes.count > 35 {
      if dice.next() % 4 != 0 { bytes.replaceSubrange(12..<14, with: types[Int(dice.next() % 5)]) }
      if dice.next() % 4 != 0 { bytes[14] = 0x45 }
      if dice.next() % 2 == 0 { bytes[23] = [6, 17, 1][Int(dice.next() % 3)] }
      if dice.next() % 2 == 0 { bytes.replaceSubrange(20..<22, with: [0, 0]) }
    }
    return bytes
  }

  /// What a packet has become.
  private struct Fate: Equatable {
    var headers: [UInt8]
    var payload: Int
    var standard: [UInt64]
    var requests: [UInt64]
  }

  /// Runs all packets through the whole program, `batch` at a time.
  private static func fates(
    _ code: PipelineCode, _ program: P4Program, _ packets: [[UInt8]], batch: Int, bank: Int
  ) throws -> [Fate] {
    var machine = try Machine(code, program: program, secret: 1, seed: 2)
    var fates: [Fate] = []
    var index = 0
    while index < packets.count {
      let count = min(batch, packets.count - index)
      let memory = packets[index..<index + count].map { bytes in
        let copy = UnsafeMutablePointer<UInt8>.allocate(capacity: max(1, bytes.count))
        for place in bytes.indices { unsafe copy[place] = bytes[place] }
        return unsafe copy
      }
      for packet in 0..<count {
        machine.begin(
          bank: bank, packet: packet, bytes: UInt(bitPattern: memory[packet]),
          count: packets[index + packet].count, ingressPort: (index + packet) % 9,
          instanceType: 0, packetLength: packets[index + packet].count,
          ingressTimestamp: UInt64(index + packet))
      }
      let mask = lowBits(count)
      machine.parse(bank: bank, mask)
      machine.verifyChecksums(bank: bank, mask)
      machine.ingress(bank: bank, mask)
      var requests = (0..<count).map { packet in
        RequestKind.allCases.map { kind -> UInt64 in
          machine.requested(kind, bank: bank) >> UInt64(packet) & 1 == 0
            ? 0 : 1 + UInt64(machine.requestValue(kind, bank: bank, packet: packet))
        }
      }
      machine.beginEgress(bank: bank, mask, timestamp: 99)
      machine.egress(bank: bank, mask)
      machine.updateChecksums(bank: bank, mask)
      machine.layOut(bank: bank, mask)
      for packet in 0..<count {
        let length = machine.headerLength(bank: bank, packet: packet)
        var headers = [UInt8](repeating: 0, count: length + 1)
        headers.withUnsafeMutableBufferPointer {
          machine.writeHeaders(
            bank: bank, packet: packet, to: UInt(bitPattern: $0.baseAddress!))
        }
        #expect(headers.last == 0, "nothing is written behind the headers")
        let payload = machine.payloadOffset(bank: bank, packet: packet)
        let place = bank * Machine.width + packet
        #expect(machine.layouts.payloadOffset(place) == payload)
        if let layout = machine.layouts[place] {
          #expect(Int(layout.length) == length)
          var batch = [UInt8](repeating: 0, count: length + 1)
          batch.withUnsafeMutableBufferPointer {
            machine.layouts.write(layout, place, to: UInt(bitPattern: $0.baseAddress!))
          }
          #expect(batch == headers)
        }
        requests[packet] += RequestKind.allCases.map { kind in
          machine.requested(kind, bank: bank) >> UInt64(packet) & 1
        }
        fates.append(
          Fate(
            headers: headers, payload: payload,
            standard: StandardField.allCases.map {
              machine.standard($0, bank: bank, packet: packet)
            }, requests: requests[packet]))
      }
      for each in memory { unsafe each.deallocate() }
      index += count
    }
    return fates
  }

  @Test("One at a time is the same as many at a time", arguments: Corpus.paths)
  func batches(path: String) throws {
    guard let (code, program) = try Self.compiled(path) else { return }
    // Random numbers are drawn in the order in which instructions run.
    if code.instructions.contains(where: { $0.opcode == .random }) { return }
    // A register of both controls: here a whole batch passes ingress before the first reaches egress.
    let shared = registers(code, code.ingress).intersection(registers(code, code.egress))
    if !shared.isEmpty { return }
    var dice = SplitMix64(seed: UInt64(path.utf8.count))
    let packets = (0..<150).map { _ in Self.packet(&dice) }
    let single = try Self.fates(code, program, packets, batch: 1, bank: 0)
    #expect(try Self.fates(code, program, packets, batch: 64, bank: 0) == single)
    #expect(try Self.fates(code, program, packets, batch: 7, bank: 1) == single)
  }

  private func registers(_ code: PipelineCode, _ section: PipelineCode.Section) -> Set<UInt32> {
    var found: Set<UInt32> = []
    for block in section.blocks {
      let first = Int(code.blocks[block].first)
      for op in code.instructions[first..<first + Int(code.blocks[block].count)] {
        switch op.opcode {
        case .registerRead, .registerWrite, .registerWriteImmediate, .registerReadWide,
          .registerWriteWide:
          found.insert(op.b)
        default: break
        }
      }
    }
    return found
  }
}
