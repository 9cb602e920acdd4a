package import ControlPlane
import DPUCore
import HBPFBridge

/// The filters of all ports, from the start on.
package final class FilterBoard {
  let workers: Int
  /// Ports as the poll loop numbers them: the uplink, then the host port.
  let ports: [Configuration.Role]
  package let device: FilterDevice?
  let fpga: Configuration.FPGA?
  private let random: () -> UInt64
  /// By port.
  private(set) var filters: [LoadedFilter?]
  private(set) var loads: [Int]

  static let maximumBytes = HBPFLimits.objectBytes

  /// Opens the FPGA and loads the filters that the configuration names. `random` feeds their random
  /// numbers and keys the hashes of their maps.
  package init(
    _ configuration: Configuration, random: @escaping () -> UInt64
  ) throws(StartFailure) {
    workers = configuration.cores.count
    let hasHost = configuration.ports.contains { $0.role == .host }
    // Not as two constant arrays: Embedded Swift 6.3.1 may take the wrong one.
    var ports = [Configuration.Role.uplink]
    if hasHost { ports.append(.host) }
    self.ports = ports
    self.random = random
    filters = Array(repeating: nil, count: FilterLimits.ports)
    loads = Array(repeating: 0, count: FilterLimits.ports)
    fpga = configuration.fpga
    device = try configuration.fpga.map { (fpga) throws(StartFailure) in
      try FilterDevice(fpga)
    }
    for entry in configuration.filters {
      let port = entry.port == .uplink ? 0 : 1
      do throws(LoadedFilter.Failure) {
        let filter = try Self.read(entry)
        try prepare(filter, for: port)
        if filter.engine == .fpga { try start(filter) }
        note(filter, at: port)
      } catch {
        throw StartFailure(error.message)
      }
    }
  }

  /// Whether the filters of a configuration can be loaded, without keeping them.
  package static func check(_ configuration: Configuration) throws(StartFailure) {
    for entry in configuration.filters {
      do throws(LoadedFilter.Failure) { _ = try read(entry) } catch {
        throw StartFailure(error.message)
      }
    }
  }

  private static func read(
    _ entry: Configuration.Filter
  ) throws(LoadedFilter.Failure) -> LoadedFilter {
    let bytes: Text
    do throws(StartFailure) {
      bytes = try TextFile.read(entry.program, maximumBytes: maximumBytes)
    } catch {
      throw LoadedFilter.Failure(message: error.message)
    }
    return try LoadedFilter(bytes, origin: entry.program, name: entry.name, entry.policy)
  }

  /// Before any worker runs the control thread has the device.
  private func start(_ filter: LoadedFilter) throws(LoadedFilter.Failure) {
    guard let device else { return }
    do throws(DeviceFault) {
      try device.start(filter.deviceProgram, state: filter.initialState())
    } catch {
      throw LoadedFilter.Failure(message: "\(filter.origin): \(error.text)")
    }
  }

  /// Gives a worker its copies, before it runs.
  package func place(into stage: inout FilterStage, worker: Int) {
    for port in filters.indices {
      guard let filter = filters[port] else { continue }
      stage.place(filter.handles[worker], at: port)
      if filter.engine == .fpga { stage.useDevice(for: port) }
    }
  }

  // MARK: While it runs

  /// Chooses an engine and makes the workers' copies.
  func prepare(_ filter: LoadedFilter, for port: Int) throws(LoadedFilter.Failure) {
    var reason: Text = "there is none in the configuration"
    var capabilities: NativeCapabilities?
    if let device {
      if workers > 1 {
        reason = "it serves one core, and there are \(workers)"
      } else if let other = filters.indices.first(where: {
        $0 != port && filters[$0]?.engine == .fpga
      }) {
        reason = "it runs the filter of the port \(ports[other].word)"
      } else {
        capabilities = device.capabilities
      }
    }
    try filter.choose(capabilities, whyNoDevice: reason)
    try filter.makeHandles(workers: workers, random: random)
  }

  /// One copy that no worker has, for a packet aside.
  func prepareAside(_ filter: LoadedFilter) throws(LoadedFilter.Failure) {
    try filter.choose(nil, whyNoDevice: "a packet aside is for software")
    try filter.makeHandles(workers: 1, random: random)
  }

  func note(_ filter: LoadedFilter?, at port: Int) {
    filters[port] = filter
    if filter != nil { loads[port] += 1 }
  }
}
