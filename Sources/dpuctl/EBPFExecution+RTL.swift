import Glibc
import HBPFBridge

/// The gateware in simulation: a program of its own, made by `./dev build gateware`.
extension EBPFExecution {
  /// Where that program is.
  private static var checkPath: String {
    if let path = getenv("DPU_EBPF_CHECK") { return String(cString: path) }
    var buffer = [CChar](repeating: 0, count: Int(PATH_MAX))
    let count = readlink("/proc/self/exe", &buffer, buffer.count)
    let own = String(
      decoding: buffer.prefix(max(0, count)).map { UInt8(bitPattern: $0) }, as: UTF8.self)
    return own[..<(own.lastIndex(of: "/") ?? own.startIndex)] + "/ebpf-check"
  }

  mutating func simulate() throws -> Outcome {
    let path = Self.checkPath
    guard access(path, X_OK) == 0 else {
      throw Failure.usage(
        "\(path): \(String(cString: strerror(errno))); ./dev build gateware makes it")
    }
    let code = program.flatMap { instruction -> [UInt8] in
      let offset = UInt16(bitPattern: instruction.offset)
      let immediate = UInt32(bitPattern: instruction.immediate)
      return [instruction.opcode, instruction.source << 4 | instruction.destination]
        + (0..<2).map { UInt8(truncatingIfNeeded: offset >> (8 * $0)) }
        + (0..<4).map { UInt8(truncatingIfNeeded: immediate >> (8 * $0)) }
    }
    let lines = try ChildProcess.run(
      [path, "exec", Hexadecimal.text(memory)], input: Array(Hexadecimal.text(code).utf8)[...]
    ).output.split(separator: "\n")
    let words = lines.first?.split(separator: " ").map(String.init) ?? []
    if words.count == 2, words[0] == "r0", let value = UInt64(words[1], radix: 16) {
      let after = lines.count > 1 ? lines[1].split(separator: " ").dropFirst().joined() : ""
      memory = try Hexadecimal.bytes(after, of: "the memory")
      return .exit(value)
    }
    guard words.count == 4, words[0] == "fault", let code = Int(words[1]) else {
      throw Failure.refused("\(path) ended without a result; what it said stands above")
    }
    throw Failure.refused("instruction \(words[3]): \(Self.reason(code)) (fault \(code))")
  }

  /// As docs/ebpf-registers.md words them.
  private static func reason(_ code: Int) -> String {
    switch code {
    case 1: "load or store out of bounds"
    case 2: "instruction limit"
    case 3: "unknown helper function"
    case 4: "local calls nested too deep"
    case 5: "no such instruction"
    case 6: "no such register, or a write to r10"
    case 7: "a field holds what this instruction does not allow"
    case 8: "runs or jumps out of the program"
    default: "fault of the gateware"
    }
  }
}
