import ControlPlane
import DPUCore

/// A pipeline as the control thread knows it: its place on the workers, its ports, and the program
/// in it.
final class Pipeline {
  let name: Text
  let slot: Int
  /// In the configuration file; such a pipeline keeps its name and ports when it is unloaded.
  let isConfigured: Bool
  var ports: [Configuration.PipelinePort]
  var loaded: LoadedProgram?
  /// Programs loaded so far.
  var loads = 0

  init(name: Text, slot: Int, isConfigured: Bool, ports: [Configuration.PipelinePort]) {
    self.name = name
    self.slot = slot
    self.isConfigured = isConfigured
    self.ports = ports
  }

  func number(of end: Configuration.PipelineEnd) -> Int? {
    for port in ports where port.end == end { return port.number }
    return nil
  }
}
