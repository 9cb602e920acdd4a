import DPUCore
import Testing

@testable import P4Pipelines

/// Expressions, branches and stacks made by chance, against the plain switch that computes with
/// numbers of any size.
///
/// `DPU_P4_PROGRAMS` sets how many (40 without it), `DPU_P4_FIRST` the first, `DPU_P4_SEED` which.
@Suite struct RandomProgramTests {
  static let first = VectorFiles.number("DPU_P4_FIRST") ?? 0
  static let programs = VectorFiles.number("DPU_P4_PROGRAMS") ?? 40

  @Test func computeWhatUnlimitedNumbersWould() throws {
    #expect(RandomProgram.widthsAreWhole)
    for number in Self.first..<Self.first + Self.programs {
      let seed = SurvivalTests.seed &* 1_000_003 &+ UInt64(number)
      var random = RandomProgram(seed: seed)
      let program = random.program
      let code = try Compiler.compile(program)
      #expect(code.firstFlaw(program) == nil, "seed \(seed)")
      let reference = ReferenceSwitch(program)
      var virtual = try VirtualSwitch(program, code, batch: 1)
      var together = try VirtualSwitch(program, code, batch: 16)
      var alone: [[UInt8]] = []
      for _ in 0..<16 {
        let packet = random.packet()
        virtual.ports.forget()
        let isTaken = virtual.send(packet, port: 0)
        let isTakenTogether = together.send(packet, port: 0)
        #expect(isTaken && isTakenTogether)
        let got = Self.sent(virtual.ports)
        alone += got
        let expected: [[UInt8]]
        do throws(Unspecified) {
          expected = try reference.inject(packet, port: 0).map { $0.bytes }
        } catch { continue }
        guard got == expected else {
          Issue.record(
            """
            \(code.disassembly(program).string)
            seed \(seed), packet \(Text.hexadecimal(packet).string)
            expected \(expected.map { Text.hexadecimal($0).string })
            got      \(got.map { Text.hexadecimal($0).string })
            """)
          break
        }
      }
      let isSettled = together.settle()
      #expect(isSettled)
      #expect(Self.sent(together.ports) == alone, "seed \(seed): the batch shows")
    }
  }

  private static func sent(_ ports: borrowing VirtualPorts) -> [[UInt8]] {
    (0..<ports.logs[1].count).map { Array(ports.logs[1][$0]) }
  }
}

extension RandomProgram {
  /// Headers must be of whole bytes.
  static var widthsAreWhole: Bool {
    RandomProgram(seed: 0).program.headers.allSatisfy { $0.isMetadata || $0.width % 8 == 0 }
  }
}
