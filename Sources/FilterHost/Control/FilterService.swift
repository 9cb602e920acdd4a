package import ControlPlane
import DPUCore
import HBPFBridge
package import JSONText

/// The eBPF filters as the control plane sees them: answers its calls.
///
/// Of the control thread. Programs are read, verified and compiled here; workers take them one
/// after the other through their mailboxes.
package final class FilterService<Workers: FilterWorkers> {
  let board: FilterBoard
  let workers: Workers

  package init(_ board: FilterBoard, workers: Workers) {
    precondition(board.workers == workers.count)
    self.board = board
    self.workers = workers
  }

  /// Does what `call` says and writes the members of the result.
  package func answer(_ call: FilterCall, to json: inout JSONWriter) throws(RPCError) {
    switch call.method {
    case .list: list(to: &json)
    case .load: try load(call, to: &json)
    case .unload: try unload(call, to: &json)
    case .info: try describe(call, to: &json)
    case .maps: try writeMaps(call, to: &json)
    case .stats: try writeStatistics(call, to: &json)
    case .exec: try execute(call, to: &json)
    case .fpga: try writeDevice(call, to: &json)
    }
  }

  // MARK: Finding

  /// The port that a call names; nil when it names none.
  private func port(_ call: FilterCall) throws(RPCError) -> Int? {
    guard let field = call[.port] else { return nil }
    let role: Configuration.Role
    do throws(JSONField.Problem) { role = try field.word(Configuration.Role.self) } catch {
      throw RPCError(error)
    }
    guard let port = board.ports.firstIndex(of: role) else {
      throw RPCError(.notFound, "there is no port \(role.word)", path: field.path)
    }
    return port
  }

  /// The filter of the port that a call names, or the only filter there is.
  func loaded(_ call: FilterCall) throws(RPCError) -> (port: Int, filter: LoadedFilter) {
    if let port = try port(call) {
      guard let filter = board.filters[port] else {
        throw RPCError(
          .unavailable, "the port \(board.ports[port].word) has no filter",
          path: call.path(of: .port))
      }
      return (port, filter)
    }
    let taken = board.filters.indices.filter { board.filters[$0] != nil }
    guard taken.count == 1, let filter = board.filters[taken[0]] else {
      throw RPCError(
        taken.isEmpty ? .unavailable : .invalidParameters,
        taken.isEmpty ? "no port has a filter" : "several ports have filters; name one",
        path: call.path)
    }
    return (taken[0], filter)
  }

  /// Asks a worker and looks at its answer.
  @discardableResult
  func ask<Result>(
    _ worker: Int, _ prepare: (inout FilterExchange) -> Void,
    then read: (borrowing FilterExchange) -> Result
  ) throws(RPCError) -> Result {
    let result = workers.mailbox(worker).exchange(
      prepare, waiting: { workers.await(worker) }, then: read)
    guard let result else {
      throw RPCError(.noAnswer, "core \(workers.core(worker)) did not answer in time")
    }
    return result
  }

  // MARK: Loading

  private func list(to json: inout JSONWriter) {
    json.array("ports", board.ports.indices) { json, port in
      json.beginObject()
      json.member("port", string: self.board.ports[port].word)
      json.key("program")
      if let filter = self.board.filters[port] {
        json.value(text: filter.origin)
        json.member("name", text: filter.program.name)
        json.member("engine", string: filter.engine.word)
        json.member("aborted", string: filter.policy.aborted.word)
        json.member("deadDevice", string: filter.policy.deadDevice.word)
      } else {
        json.null()
      }
      json.member("loads", self.board.loads[port])
      json.endObject()
    }
  }

  private func policy(_ call: FilterCall) throws(RPCError) -> Configuration.FilterPolicy {
    var policy = Configuration.FilterPolicy()
    do throws(JSONField.Problem) {
      if let field = call[.engine] {
        policy.engine = try field.word(Configuration.FilterEngine.self)
      }
      if let field = call[.aborted] { policy.aborted = try Configuration.abortedPolicy(field) }
      if let field = call[.deadDevice] {
        policy.deadDevice = try field.word(Configuration.FilterFallback.self)
      }
    } catch {
      throw RPCError(error)
    }
    return policy
  }

  private func bytes(_ field: JSONField, maximumBytes: Int) throws(RPCError) -> Text {
    do throws(JSONField.Problem) {
      return Text(bytes: try field.packet(maximumBytes: maximumBytes))
    } catch {
      throw RPCError(error)
    }
  }

  /// The program of a call: hexadecimal digits, or a file of the machine the firmware runs on.
  private func read(_ call: FilterCall) throws(RPCError) -> LoadedFilter? {
    let bytes: Text
    let origin: Text
    if let field = call[.program] {
      if let path = call[.path] {
        throw RPCError(.invalidParameters, "either a program or a path", path: path.path)
      }
      bytes = try self.bytes(field, maximumBytes: FilterLimits.programBytes)
      origin = "program"
    } else if let path = try call.text(.path) {
      origin = path
      do throws(StartFailure) {
        bytes = try TextFile.read(path, maximumBytes: FilterBoard.maximumBytes)
      } catch {
        throw RPCError(.notFound, error.message, path: call.path(of: .path))
      }
    } else {
      return nil
    }
    let policy = try policy(call)
    let name = try call.text(.name)
    do throws(LoadedFilter.Failure) {
      return try LoadedFilter(bytes, origin: origin, name: name, policy)
    } catch {
      throw refusal(error, call)
    }
  }

  private func refusal(_ failure: LoadedFilter.Failure, _ call: FilterCall) -> RPCError {
    let path = call[.program] == nil ? call.path(of: .path) : call.path(of: .program)
    return RPCError(.refused, failure.message, path: path, reason: "badProgram")
  }

  private func load(_ call: FilterCall, to json: inout JSONWriter) throws(RPCError) {
    guard let port = try port(call) else { throw RPCError(call.missing(.port)) }
    guard let filter = try read(call) else {
      throw RPCError(.invalidParameters, "needs a \"program\" or a \"path\"", path: call.path)
    }
    do throws(LoadedFilter.Failure) { try board.prepare(filter, for: port) } catch {
      throw refusal(error, call)
    }
    try install(filter, at: port)
    json.member("port", string: board.ports[port].word)
    json.member("name", text: filter.program.name)
    json.member("engine", string: filter.engine.word)
    json.member("loads", board.loads[port])
  }

  private func unload(_ call: FilterCall, to json: inout JSONWriter) throws(RPCError) {
    let (port, _) = try loaded(call)
    try install(nil, at: port)
    json.member("unloaded", string: board.ports[port].word)
  }

  /// Hands the copies out and takes the old ones back. When a worker does not answer, it and those
  /// behind it keep what they had; nothing of either program can be freed then.
  private func install(_ filter: LoadedFilter?, at port: Int) throws(RPCError) {
    let old = board.filters[port]
    for worker in 0..<workers.count {
      let handle = filter?.handles[worker]
      let isDevice = filter?.engine == .fpga
      let program = isDevice ? filter?.deviceProgram ?? [] : []
      let state = isDevice ? filter?.initialState() ?? [] : []
      let fault = try ask(
        worker,
        { exchange in
          for (index, instruction) in program.enumerated() {
            exchange.program[index] = instruction
          }
          for (index, word) in state.enumerated() { exchange.state[index] = word }
          exchange.question = .install(port: port, handle, count: program.count)
        }, then: { $0.fault })
      if let fault {
        filter?.freeHandles()
        throw RPCError(.refused, fault.text, reason: "deviceFault")
      }
    }
    board.note(filter, at: port)
    old?.freeHandles()
  }

  // MARK: One packet aside

  /// Runs a packet through a filter of its own: nothing of it is seen by other packets.
  private func execute(_ call: FilterCall, to json: inout JSONWriter) throws(RPCError) {
    let packet = try bytes(call.required(.packet), maximumBytes: HBPFLimits.stateOffset)
    let engine = try policy(call).engine
    let source: LoadedFilter
    if let given = try read(call) { source = given } else { source = try loaded(call).filter }
    let filter = LoadedFilter(copying: source, engine: engine)
    do throws(LoadedFilter.Failure) { try board.prepareAside(filter) } catch {
      throw refusal(error, call)
    }
    filter.handles[0].run(packet, now: workers.now) { answer, engine, bytes in
      json.member("verdict", string: answer.verdict.name)
      json.member("r0", answer.r0)
      json.member("port", optional: answer.port.map { Int($0) })
      json.key("fault")
      if let fault = answer.fault {
        json.value(text: "instruction \(fault.instruction): \(fault.kind.name)")
      } else {
        json.null()
      }
      json.member("packet", hexadecimal: bytes.span)
      json.member("engine", string: engine == .compiled ? "jit" : "interpreter")
    }
    filter.freeHandles()
  }
}

extension FilterHandle {
  /// Runs a packet and shows what became of it. Only for a handle that no worker has.
  func run(
    _ packet: Text, now: Instant,
    _ show: (FilterMachine.Answer, FilterMachine.Engine, Text) -> Void
  ) {
    let count = packet.bytes.count
    unsafe pointer.pointee.machine.load(packet.span)
    let answer = unsafe pointer.pointee.machine.run(length: count, now: now.nanoseconds)
    let engine = unsafe pointer.pointee.machine.engine
    var after = Text(bytes: [UInt8](repeating: 0, count: count))
    var bytes = after.bytes.mutableSpan
    // The bytes of an array of UInt8 are all initialised.
    var target = unsafe bytes.mutableBytes
    unsafe pointer.pointee.machine.store(count, into: &target)
    show(answer, engine, after)
  }
}
