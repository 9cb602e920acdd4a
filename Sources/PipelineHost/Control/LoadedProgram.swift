import DPUCore
import P4Pipelines

/// A program that was read, checked and compiled, and its copies on the workers.
final class LoadedProgram {
  /// A path, or what stands for a text that came over the socket.
  let origin: Text
  let byteCount: Int
  let program: P4Program
  let code: PipelineCode
  let names: P4Names
  /// By worker.
  private(set) var handles: [PipelineHandle] = []
  /// Counters of the copies, by worker.
  private(set) var counters: [CounterReader] = []
  /// What a switch does not tell again, as it was set.
  var book = TrafficBook()

  /// Why a program cannot be loaded, for people.
  struct Failure: Error {
    var message: Text
  }

  /// Reads and compiles `text`; `origin` stands in front of complaints about it.
  init(_ text: Text, origin: Text) throws(Failure) {
    self.origin = origin
    byteCount = text.bytes.count
    do throws(ProgramError) {
      program = try ProgramLoader.load(text.span)
    } catch {
      throw Failure(message: "\(origin):\(error.text)")
    }
    do throws(CompileError) {
      code = try Compiler.compile(program)
    } catch {
      throw Failure(message: "\(origin): \(error.text)")
    }
    names = P4Names(program)
  }

  /// The same program once more, without copies on workers.
  init(copying other: LoadedProgram) {
    origin = other.origin
    byteCount = other.byteCount
    program = other.program
    code = other.code
    names = other.names
  }

  /// A copy with the state that the program itself begins with.
  func makeInstance(
    ports: PortMap, seed: UInt64, secret: UInt64, start: Instant
  ) throws(Failure) -> PipelineInstance {
    var options = SwitchOptions()
    options.seed = seed
    options.start = start
    do throws(TableError) {
      return PipelineInstance(
        try P4Switch(code, program: program, options: options, secret: secret), ports: ports)
    } catch {
      throw Failure(message: "\(origin): the program's own entries do not fit their tables")
    }
  }

  /// Makes the copies of all workers. Frees what it made when one cannot be made.
  func makeHandles(
    workers: Int, ports: PortMap, start: Instant, random: () -> UInt64
  ) throws(Failure) {
    do throws(Failure) {
      for _ in 0..<workers {
        let instance = try makeInstance(
          ports: ports, seed: random(), secret: random(), start: start)
        counters.append(instance.p4.counters.reader)
        handles.append(PipelineHandle(instance))
      }
    } catch {
      freeHandles()
      throw error
    }
  }

  /// Only when no worker has them.
  func freeHandles() {
    for handle in handles { handle.free() }
    handles = []
    counters = []
  }
}
