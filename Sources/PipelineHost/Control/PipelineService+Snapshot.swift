import ControlPlane
import DPUCore
import P4Pipelines

extension PipelineService {
  /// Everything that was written into a loaded program, but for counters, meters and registers.
  func snapshot(of target: Target, _ path: PipelineCall) throws(RPCError) -> Snapshot {
    var snapshot = Snapshot()
    snapshot.book = target.program.book
    let program = target.program.program
    for index in program.profiles.indices {
      snapshot.profiles.append(try profile(index, target, path))
    }
    for (index, declared) in program.tables.enumerated() {
      var table = Snapshot.Table(index: index, entries: [], fallback: nil)
      let batch = try read(target, on: 0, at: path.path) { (batch) throws(ControlError) in
        try batch.readDefault(table: index)
      }
      if case .target(let found) = batch.result(0) { table.fallback = found }
      var next: Int? = declared.keys.isEmpty ? nil : 0
      while let start = next {
        let batch = try read(target, on: 0, at: path.path) { (batch) throws(ControlError) in
          try batch.readEntries(
            table: index, from: start, limit: PipelineLimits.entriesPerTurn)
        }
        guard case .entries(let first, let count, let following) = batch.result(0) else { break }
        table.entries += batch.entries[first..<first + count]
        next = following
      }
      snapshot.tables.append(table)
    }
    return snapshot
  }

  private func profile(
    _ index: Int, _ target: Target, _ call: PipelineCall
  ) throws(RPCError) -> Snapshot.Profile {
    var profile = Snapshot.Profile(index: index, members: [], groups: [])
    let hasGroups = target.program.program.profiles[index].selector != nil
    let batch = try read(target, on: 0, at: call.path) { (batch) throws(ControlError) in
      try batch.readMembers(profile: index)
      if hasGroups { try batch.readGroups(profile: index) }
    }
    if case .members(let members) = batch.result(0) { profile.members = members }
    if hasGroups, case .groups(let groups) = batch.result(1) { profile.groups = groups }
    return profile
  }

  /// Brings what was written into the program of `pipeline` into the copies of `loaded`, which no
  /// worker has yet.
  func keep(
    from pipeline: Pipeline, for loaded: LoadedProgram, _ call: PipelineCall
  ) throws(RPCError) -> Kept {
    guard let old = pipeline.loaded else { return Kept() }
    let snapshot = try snapshot(of: (pipeline, old), call)
    var kept = Kept()
    for handle in loaded.handles {
      var restorer = Restorer(snapshot, of: old.program, into: loaded)
      unsafe restorer.run(&handle.pointer.pointee.p4, now: workers.now)
      kept = restorer.kept
    }
    return kept
  }
}
