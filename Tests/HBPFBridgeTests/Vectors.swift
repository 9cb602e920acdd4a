import DPUCore
import Foundation
import HBPFBridge
import Testing

/// The test vectors under Tests/Vectors/ebpf.
enum Vectors {
  struct Row: Decodable, Sendable, CustomTestStringConvertible {
    var name: String
    var kind: String
    var prog: String
    var mem: String
    var r0: String?
    var mem_after: String?

    var testDescription: String { name }
  }

  private struct File: Decodable { var rows: [Row] }

  static let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
    .deletingLastPathComponent().appending(path: "Vectors/ebpf")

  static let conformance: [Row] = {
    let data = try! Data(contentsOf: folder.appending(path: "conformance.json"))
    return try! JSONDecoder().decode(File.self, from: data).rows
  }()

  struct Filter: Decodable, Sendable {
    var filter: String
    var n: Int
    var packet: String
    var state: String
    var r0: UInt64
    var packet_after: String
    var state_after: String
  }

  private struct FilterFile: Decodable { var rows: [Filter] }

  static let filters: [Filter] = {
    let data = try! Data(contentsOf: folder.appending(path: "filter-vectors.json"))
    return try! JSONDecoder().decode(FilterFile.self, from: data).rows
  }()

  /// One of our own filters, as `NAME.v2` or `NAME.v3`.
  static func filter(_ name: String) throws -> [Instruction] {
    let file = folder.deletingLastPathComponent().deletingLastPathComponent()
      .deletingLastPathComponent().appending(path: "ebpf/\(name).bin")
    let bytes = [UInt8](try Data(contentsOf: file))
    return stride(from: 0, to: bytes.count, by: 8).map { Instruction(bytes.span.bytes, at: $0) }
  }

  static func bytes(_ hex: String) -> [UInt8] {
    let digits = Array(hex.utf8)
    return stride(from: 0, to: digits.count - 1, by: 2).map {
      UInt8(String(decoding: digits[$0..<$0 + 2], as: UTF8.self), radix: 16)!
    }
  }

  static func program(_ hex: String) -> [Instruction] {
    let code = bytes(hex)
    let span = code.span.bytes
    return stride(from: 0, to: code.count, by: 8).map { Instruction(span, at: $0) }
  }

  static func memory(packet: String, state: String) -> [UInt8] {
    var memory = [UInt8](repeating: 0, count: HBPFLimits.dataBytes)
    for (index, byte) in Vectors.bytes(packet).enumerated() { memory[index] = byte }
    for (index, byte) in Vectors.bytes(state).enumerated() {
      memory[HBPFLimits.stateOffset + index] = byte
    }
    return memory
  }

  /// The 512 bytes of state, as little-endian words.
  static func words(_ state: String) -> [UInt64] {
    let memory = Vectors.memory(packet: "", state: state)
    return stride(from: HBPFLimits.stateOffset, to: HBPFLimits.dataBytes, by: 8).map { at in
      (0..<8).reduce(UInt64(0)) { $0 | UInt64(memory[at + $1]) << UInt64(8 * $1) }
    }
  }
}
