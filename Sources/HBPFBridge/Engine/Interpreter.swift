import DPUCore

/// Runs programs one instruction after the other: where there is no FPGA, and as the reference that
/// the compiled form and the core in gateware are held against.
///
/// One per core; nothing is allocated after `init`.
package struct Interpreter: ~Copyable {
  private var stack: FixedArray<UInt8>
  /// For runs that are observed.
  private var storeRecord: FixedArray<UInt8>
  var frames: FixedArray<Frame>

  /// What a local call keeps of its caller.
  struct Frame: BitwiseCopyable {
    var returnTo = 0
    var r6: UInt64 = 0
    var r7: UInt64 = 0
    var r8: UInt64 = 0
    var r9: UInt64 = 0
    var r10: UInt64 = 0
  }

  /// Where the stacks of all nested functions lie for the program: the outermost at the top.
  package static let stackStart: UInt64 = 0x7fff_0000_0000

  package init() {
    stack = FixedArray(repeating: 0, count: HBPFLimits.stackBytes * HBPFLimits.callDepth)
    storeRecord = FixedArray(repeating: 0, count: ObservedMemory.recordBytes)
    frames = FixedArray(repeating: Frame(), count: HBPFLimits.callDepth)
  }

  /// Runs `program` with `r1` to `r5` as given and everything else zero. `jumpsMax` bounds the
  /// taken jumps and calls, hence the time. `memory` gets the stack as one more region.
  package mutating func run<Helpers: HelperTable & ~Copyable>(
    _ program: borrowing SoftwareProgram, r1: UInt64, r2: UInt64, r3: UInt64 = 0,
    r4: UInt64 = 0, r5: UInt64 = 0, memory: GuestMemory, helpers: inout Helpers,
    jumpsMax: Int
  ) -> Outcome {
    var observer = NoObserver()
    var r = begin(r1, r2, r3, r4, r5)
    return execute(
      program, &r, memoryWithStack(memory), &helpers, &observer, jumpsMax: jumpsMax)
  }

  /// The same in view of `observer`, which may end the run before any instruction.
  package mutating func run<
    Helpers: HelperTable & ~Copyable, Observer: RunObserver & ~Copyable
  >(
    _ program: borrowing SoftwareProgram, r1: UInt64, r2: UInt64, r3: UInt64, r4: UInt64,
    r5: UInt64, memory: GuestMemory, helpers: inout Helpers, observer: inout Observer
  ) -> Outcome {
    var r = begin(r1, r2, r3, r4, r5)
    storeRecord.zero(0..<storeRecord.count)
    let observed = ObservedMemory(memoryWithStack(memory), record: storeRecord.hostAddress)
    return execute(program, &r, observed, &helpers, &observer, jumpsMax: .max)
  }

  /// The registers of a start, before an empty stack.
  private mutating func begin(
    _ r1: UInt64, _ r2: UInt64, _ r3: UInt64, _ r4: UInt64, _ r5: UInt64
  ) -> RegisterFile {
    // What another packet left there is nobody's business, and a program that nobody verified may
    // read all of it.
    stack.zero(0..<stack.count)
    var r = RegisterFile()
    r[1] = r1
    r[2] = r2
    r[3] = r3
    r[4] = r4
    r[5] = r5
    r[10] = Self.stackStart + UInt64(stack.count)
    return r
  }

  private func memoryWithStack(_ given: GuestMemory) -> GuestMemory {
    var memory = given
    memory.add(
      MemoryRegion(
        start: Self.stackStart, count: stack.count, host: stack.hostAddress, isWritable: true))
    return memory
  }

  /// The same for a program that the verifier has accepted, on the host's own addresses: nothing is
  /// checked, because everything was proved. The caller vouches for what the verifier took as given:
  /// the memory at r1, the range of r2.
  package mutating func runProved<Helpers: HelperTable & ~Copyable>(
    _ program: borrowing SoftwareProgram, r1: UInt64, r2: UInt64, helpers: inout Helpers
  ) -> Outcome {
    var r = RegisterFile()
    r[1] = r1
    r[2] = r2
    r[10] = UInt64(stack.hostAddress) + UInt64(stack.count)
    var observer = NoObserver()
    return execute(program, &r, ProvedMemory(), &helpers, &observer, jumpsMax: 0)
  }
}
