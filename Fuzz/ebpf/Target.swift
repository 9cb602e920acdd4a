// Input: an object file or bare bytecode, and packets drawn from it. What is refused is refused
// with a place and a reason; what the verifier accepts ends without a fault on any packet, in the
// interpreter and as compiled code alike.
import DPUCore
import Glibc
import HBPFBridge

nonisolated(unsafe) private let executable: UnsafeMutableRawPointer = mmap(
  nil, 1 << 20, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)!

@c(LLVMFuzzerTestOneInput)
public func fuzz(_ data: UnsafePointer<UInt8>, _ count: Int) -> CInt {
  let input = RawSpan(_unsafeStart: UnsafeRawPointer(data), byteCount: count)
  do {
    let object = try ProgramObject(input, name: "input")
    for program in object.programs.prefix(4) { check(program, object, seed: UInt64(count)) }
  } catch {
    precondition(!error.place.isEmpty && !error.reason.isEmpty)
  }
  return 0
}

private func check(_ program: ProgramObject.Program, _ object: ProgramObject, seed: UInt64) {
  precondition(!Disassembler.listing(program.instructions.span).isEmpty)
  do {
    for target in [VerifierTarget.fpga, .hBPF] {
      if let report = try? Verifier.check(
        program.instructions, maps: object.maps, for: target)
      {
        _ = try? ProgramLinker.linkForCore(
          program.instructions, maps: object.maps, report, for: target)
      }
    }
    // Larger ones are only more of the same.
    guard MapStore.byteCount(object.maps) < 1 << 20 else { return }
    var options = FilterMachine.Options()
    options.checksAccesses = true
    var interpreted = try FilterMachine(program.instructions, maps: object.maps, options)
    var compiled = try FilterMachine(program.instructions, maps: object.maps, options)
    #if arch(x86_64)
      let code = try NativeProgram.compile(compiled.linked, .proved)
      precondition(code.bytes.count <= 1 << 20)
      for (index, byte) in code.bytes.enumerated() {
        executable.storeBytes(of: byte, toByteOffset: index, as: UInt8.self)
      }
      compiled.use(NativeProgram(code, at: UInt(bitPattern: executable)))
    #endif
    var random = SplitMix64(seed: seed)
    for _ in 0..<6 {
      let length = Int(random.next() % 200)
      let bytes = (0..<length).map { _ in UInt8(truncatingIfNeeded: random.next()) }
      let first = run(&interpreted, bytes)
      let second = run(&compiled, bytes)
      precondition(first.fault == nil && second.fault == nil)
      // Addresses differ between the two, so numbers made of them may, but not what they say
      // of themselves.
      precondition(first.verdict.rawValue <= 4 && second.verdict.rawValue <= 4)
    }
  } catch {
    precondition(!error.reason.isEmpty)
    precondition(error.instruction >= 0 && error.instruction <= program.instructions.count)
  }
}

private func run(_ machine: inout FilterMachine, _ packet: [UInt8]) -> FilterMachine.Answer {
  var bytes = machine.packet(packet.count)
  for (index, byte) in packet.enumerated() {
    bytes.storeBytes(of: byte, toByteOffset: index, as: UInt8.self)
  }
  return machine.run(length: packet.count, now: 0)
}
