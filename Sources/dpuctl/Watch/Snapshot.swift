import Glibc

/// One look at the whole firmware: what `dpuctl top` and `dpuctl metrics` show.
struct Snapshot {
  /// Seconds of the monotonic clock when it was taken.
  var time: Double
  /// Results of the methods of the same name; null where the firmware has none or cannot answer.
  var version = JSONValue.null
  var uptime = JSONValue.null
  var ports = JSONValue.null
  var cores = JSONValue.null
  var pools = JSONValue.null
  var control = JSONValue.null
  var tcp = JSONValue.null
  var mqtt = JSONValue.null
  var link = JSONValue.null
  /// Results of `p4.stats`, one for each pipeline with a program.
  var pipelines: [JSONValue] = []
  /// Results of `ebpf.stats`, one for each port with a filter, and the filter's `name`.
  var filters: [JSONValue] = []

  init(of firmware: FirmwareConnection) throws {
    time = Self.now
    version = try firmware.call("version.get")
    uptime = try firmware.call("system.uptime")
    ports = try firmware.call("port.list")
    cores = try firmware.call("core.stats")
    control = try firmware.call("control.stats")
    // These ask the poll loops; a core that is stuck must not hide the rest.
    pools = try Self.optional(firmware, "mem.stats")
    tcp = try Self.optional(firmware, "tcp.stats")
    mqtt = try Self.optional(firmware, "mqtt.stats")
    link = try Self.optional(firmware, "link.stats")
    for pipeline in try Self.optional(firmware, "p4.list")["pipelines"].elements
    where pipeline["program"] != .null {
      let name = JSONValue.object([.init(key: "pipeline", value: pipeline["name"])])
      let answer = try Self.optional(firmware, "p4.stats", name)
      if answer != .null { pipelines.append(answer) }
    }
    for port in try Self.optional(firmware, "ebpf.list")["ports"].elements
    where port["program"] != .null {
      let place = JSONValue.object([.init(key: "port", value: port["port"])])
      guard case .object(let members) = try Self.optional(firmware, "ebpf.stats", place) else {
        continue
      }
      filters.append(.object([.init(key: "name", value: port["name"])] + members))
    }
  }

  /// A look made of results that are there already.
  init(time: Double) { self.time = time }

  static func optional(
    _ firmware: FirmwareConnection, _ method: String, _ parameters: JSONValue = .object([])
  ) throws -> JSONValue {
    do {
      return try firmware.call(method, parameters)
    } catch Failure.refused {
      return .null
    }
  }

  static var now: Double {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
  }
}
