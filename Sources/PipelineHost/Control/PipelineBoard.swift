package import ControlPlane
package import DPUCore
import P4Pipelines

/// All pipelines, from the start on: which there are, and the programs in them.
package final class PipelineBoard {
  let workers: Int
  let hasHost: Bool
  private(set) var pipelines: [Pipeline] = []
  private let random: () -> UInt64

  /// Loads the programs that the configuration names. `random` feeds the programs' random numbers
  /// and keys their tables' hashes.
  package init(
    _ configuration: Configuration, now: Instant, random: @escaping () -> UInt64
  ) throws(StartFailure) {
    workers = configuration.cores.count
    hasHost = configuration.ports.contains { $0.role == .host }
    self.random = random
    for (slot, entry) in configuration.pipelines.enumerated() {
      let pipeline = Pipeline(
        name: entry.name, slot: slot, isConfigured: true, ports: entry.ports)
      pipelines.append(pipeline)
      guard let path = entry.program else { continue }
      let text = try TextFile.read(path, maximumBytes: ProgramLimits.textBytes)
      do throws(LoadedProgram.Failure) {
        let loaded = try LoadedProgram(text, origin: path)
        try makeHandles(of: loaded, ports: entry.ports, now: now)
        pipeline.loaded = loaded
        pipeline.loads = 1
      } catch {
        throw StartFailure(error.message)
      }
    }
  }

  /// Whether the programs of a configuration can be loaded, without keeping them.
  package static func check(_ configuration: Configuration) throws(StartFailure) {
    for entry in configuration.pipelines {
      guard let path = entry.program else { continue }
      let text = try TextFile.read(path, maximumBytes: ProgramLimits.textBytes)
      do throws(LoadedProgram.Failure) {
        _ = try LoadedProgram(text, origin: path)
      } catch {
        throw StartFailure(error.message)
      }
    }
  }

  /// Gives a worker its copies, before it runs.
  package func place(into stage: inout PipelineStage, worker: Int) {
    for pipeline in pipelines {
      if let loaded = pipeline.loaded { stage.place(loaded.handles[worker], in: pipeline.slot) }
    }
  }

  // MARK: While it runs

  func makeHandles(
    of loaded: LoadedProgram, ports: [Configuration.PipelinePort], now: Instant
  ) throws(LoadedProgram.Failure) {
    try loaded.makeHandles(
      workers: workers, ports: portMap(ports), start: now, random: random)
  }

  /// The poll loop has the uplink as its port 0 and the host's port as port 1.
  func portMap(_ ports: [Configuration.PipelinePort]) -> PortMap {
    PortMap(ports, uplink: 0, host: hasHost ? 1 : nil)
  }

  func pipeline(_ name: Text) -> Pipeline? { pipelines.first { $0.name == name } }

  /// A new pipeline in a free slot; nil when there is none.
  func add(_ name: Text, _ ports: [Configuration.PipelinePort]) -> Pipeline? {
    for slot in 0..<PipelineLimits.slots
    where !pipelines.contains(where: { $0.slot == slot }) {
      let pipeline = Pipeline(name: name, slot: slot, isConfigured: false, ports: ports)
      pipelines.append(pipeline)
      return pipeline
    }
    return nil
  }

  func remove(_ pipeline: Pipeline) { pipelines.removeAll { $0 === pipeline } }
}
