import ControlPlane
import DPUCore
import HBPFBridge
import HostPages

/// A filter that was read, verified and compiled, and its copies on the workers.
final class LoadedFilter {
  /// Why a program cannot be loaded, for people.
  struct Failure: Error {
    var message: Text
  }

  /// A path, or what stands for bytes that came over the socket.
  let origin: Text
  let byteCount: Int
  let maps: [MapDeclaration]
  let program: ProgramObject.Program
  let policy: Configuration.FilterPolicy
  /// What runs it: never `automatic`.
  private(set) var engine = Configuration.FilterEngine.interpreter
  /// As the device wants it, when `engine` is `fpga`.
  private(set) var deviceProgram: [Instruction] = []
  /// By worker.
  private(set) var handles: [FilterHandle] = []
  private var code: [(address: UInt, byteCount: Int)] = []

  /// Reads `bytes`; `origin` stands in front of complaints. `name` chooses among several programs.
  init(
    _ bytes: Text, origin: Text, name: Text?, _ policy: Configuration.FilterPolicy
  ) throws(Failure) {
    self.origin = origin
    byteCount = bytes.bytes.count
    self.policy = policy
    do throws(ObjectFault) {
      let object = try ProgramObject(bytes.span, name: "bytecode")
      maps = object.maps
      program = try object.program(name)
    } catch {
      throw Failure(message: "\(origin): \(error.text)")
    }
    do throws(ProgramFault) {
      try Verifier.check(program.instructions, maps: maps, for: .software)
    } catch {
      throw Failure(message: "\(origin): program \(program.name), \(error.text)")
    }
    if let reason = MapStore.fault(maps) { throw Failure(message: "\(origin): \(reason)") }
  }

  /// The same program once more for an engine in software, without copies on workers.
  init(copying other: LoadedFilter, engine: Configuration.FilterEngine) {
    origin = other.origin
    byteCount = other.byteCount
    maps = other.maps
    program = other.program
    var policy = other.policy
    policy.engine = engine
    self.policy = policy
  }

  /// Why a target cannot run it; nil when it can.
  func fault(on target: VerifierTarget) -> Text? {
    do throws(ProgramFault) {
      _ = try linked(for: target)
      return nil
    } catch {
      return error.text
    }
  }

  private func linked(for target: VerifierTarget) throws(ProgramFault) -> [Instruction] {
    let report = try Verifier.check(program.instructions, maps: maps, for: target)
    return try ProgramLinker.linkForCore(
      program.instructions, maps: maps, report, for: target)
  }

  /// Chooses what runs it. `device`: nil when there is none, or another filter has it, which
  /// `whyNoDevice` tells.
  func choose(_ device: NativeCapabilities?, whyNoDevice: Text) throws(Failure) {
    switch policy.engine {
    case .interpreter, .jit: engine = policy.engine
    case .fpga, .automatic:
      var reason = whyNoDevice
      if let device {
        do throws(ProgramFault) {
          deviceProgram = try linked(for: device.target)
          engine = .fpga
          return
        } catch {
          reason = error.text
        }
      }
      guard policy.engine == .automatic else {
        throw Failure(message: "\(origin): the FPGA cannot run this: \(reason)")
      }
      engine = .jit
    }
  }

  /// Makes the copies of all workers. `choose` goes before. Frees what it made when one fails.
  func makeHandles(workers: Int, random: () -> UInt64) throws(Failure) {
    for worker in 0..<workers {
      do throws(Failure) {
        handles.append(FilterHandle(try makeInstance(worker, random: random)))
      } catch {
        freeHandles()
        throw error
      }
    }
  }

  /// A copy with the state that the program itself begins with.
  private func makeInstance(
    _ worker: Int, random: () -> UInt64
  ) throws(Failure) -> FilterInstance {
    var options = FilterMachine.Options()
    options.worker = worker
    options.seed = random()
    options.keys = (random(), random())
    do throws(ProgramFault) {
      var machine = try FilterMachine(program.instructions, maps: maps, options)
      if engine != .interpreter { try compile(&machine) }
      return FilterInstance(machine, policy: policy, usesDevice: engine == .fpga)
    } catch {
      throw Failure(message: "\(origin): \(error.text)")
    }
  }

  private func compile(_ machine: inout FilterMachine) throws(ProgramFault) {
    let compiled = try NativeProgram.compile(machine.linked, .proved)
    var pages = CodePages()
    guard let address = pages.install(compiled.bytes.span) else {
      if policy.engine == .jit {
        throw ProgramFault(at: 0, "the system gives no executable memory")
      }
      if engine == .jit { engine = .interpreter }
      return
    }
    code.append((address, compiled.bytes.count))
    machine.use(NativeProgram(compiled, at: address))
  }

  /// Only when no worker has them.
  func freeHandles() {
    for handle in handles { handle.free() }
    handles = []
    var pages = CodePages()
    for piece in code { pages.remove(piece.address, byteCount: piece.byteCount) }
    code = []
  }

  /// The state as the program's variables begin, for the device.
  func initialState() -> [UInt64] {
    var words = [UInt64](repeating: 0, count: HBPFLimits.stateBytes / 8)
    let layout = MapLayout(maps)
    for (index, map) in maps.enumerated() {
      guard let place = layout.place(of: index) else { continue }
      for (offset, byte) in map.initial.enumerated() {
        let at = place - HBPFLimits.stateOffset + offset
        words[at >> 3] |= UInt64(byte) << UInt64(8 * (at & 7))
      }
    }
    return words
  }
}
