/// What one run of `mqttbench` does, as given on the command line.
struct Options {
  /// Which MQTT version the clients speak; `mixed` alternates over the subscribers.
  enum Version: String { case v311 = "3.1.1", v5 = "5.0", mixed }

  var host = "127.0.0.1"
  var port: UInt16 = 1883
  var subscribers = 1
  var version = Version.v311
  var payloadBytes = 64
  var topic = "bench/load"
  /// Messages before anything is measured, one at a time.
  var warmup = 50
  /// Messages of the latency phase: the next one leaves when the last subscriber has the previous.
  var publishes = 1000
  /// Messages of the burst phase, `window` of them on their way at once.
  var burst = 0
  var window = 16
  /// Process whose CPU time is charged to the deliveries; 0: none.
  var brokerProcess: Int32 = 0
  /// A message not received everywhere after this long is given up.
  var timeoutSeconds = 3
  /// Adds the single latencies to the report, so that several runs can be pooled.
  var samples = false

  static let usage = """
    usage: mqttbench [--host ADDRESS] [--port PORT] [--subscribers N] [--version 3.1.1|5.0|mixed]
                     [--payload BYTES] [--topic TOPIC] [--warmup COUNT] [--publishes COUNT]
                     [--burst COUNT] [--window COUNT] [--broker-pid PID] [--timeout SECONDS] [--samples]
    One publisher, N subscribers, QoS 0. Prints one JSON object.
    """

  init(arguments: [String]) throws(BenchFailure) {
    var rest = arguments[...]
    while let name = rest.popFirst() {
      if name == "--samples" {
        samples = true
        continue
      }
      guard let value = rest.popFirst() else { throw .usage("\(name) needs a value") }
      switch name {
      case "--host": host = value
      case "--port": port = try Self.number(name, value, 1...65535)
      case "--subscribers": subscribers = try Self.number(name, value, 1...15_000)
      case "--version":
        guard let known = Version(rawValue: value) else { throw .usage("--version \(value)?") }
        version = known
      case "--payload": payloadBytes = try Self.number(name, value, Payload.headerBytes...1_000_000)
      case "--topic": topic = value
      case "--warmup": warmup = try Self.number(name, value, 0...1_000_000)
      case "--publishes": publishes = try Self.number(name, value, 1...1_000_000)
      case "--burst": burst = try Self.number(name, value, 0...1_000_000)
      case "--window": window = try Self.number(name, value, 1...10_000)
      case "--broker-pid": brokerProcess = try Self.number(name, value, 1...Int(Int32.max))
      case "--timeout": timeoutSeconds = try Self.number(name, value, 1...600)
      default: throw .usage("unknown option \(name)")
      }
    }
  }

  private static func number<T: FixedWidthInteger>(
    _ name: String, _ value: String, _ range: ClosedRange<Int>
  ) throws(BenchFailure) -> T {
    guard let number = Int(value), range.contains(number) else {
      throw .usage("\(name) must be a number in \(range)")
    }
    return T(number)
  }
}

/// Why a run ended without a report.
enum BenchFailure: Error {
  case usage(String)
  case system(String, errno: Int32)
  case refused(String)
}
