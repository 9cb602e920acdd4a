// A load generator that is a client like any other: it speaks MQTT over kernel TCP, so the same
// program measures a broker on the kernel and one behind the offload.
import Glibc

func stop(_ message: String, status: Int32) -> Never {
  let line = [UInt8]("mqttbench: \(message)\n".utf8)
  _ = write(STDERR_FILENO, line, line.count)
  exit(status)
}

do {
  let options = try Options(arguments: Array(CommandLine.arguments.dropFirst()))
  let bench = try Bench(options)
  var report = Report(options: options)

  /// Runs `count` messages and says what they cost.
  func phase(_ count: Int, window: Int) throws(BenchFailure) -> Report.Phase {
    let published = bench.published
    let deliveries = bench.tally.deliveries
    let broker = processNanoseconds(options.brokerProcess)
    let start = monotonicNanoseconds()
    if try !bench.publish(count, window: window) { report.complete = false }
    return Report.Phase(
      publishes: bench.published - published,
      deliveries: bench.tally.deliveries - deliveries,
      nanoseconds: monotonicNanoseconds() - start,
      brokerNanoseconds: processNanoseconds(options.brokerProcess) - broker)
  }

  try bench.connectAll()
  _ = try phase(options.warmup, window: 1)
  let measuredFrom = bench.completedCount
  if report.complete { report.latency = try phase(options.publishes, window: 1) }
  report.latencies = bench.latencies(since: measuredFrom)
  if report.complete, options.burst > 0 {
    report.burst = try phase(options.burst, window: options.window)
  }
  try bench.settle(milliseconds: 200)
  report.deliveries = bench.tally.deliveries
  report.lost = bench.tally.lost(published: bench.published)
  report.duplicated = bench.tally.duplicated
  report.reordered = bench.tally.reordered
  report.foreign = bench.foreign
  bench.disconnectAll()
  print(report.json)
} catch {
  switch error as BenchFailure {
  case .usage(let why): stop("\(why)\n\(Options.usage)", status: 2)
  case .system(let call, let code): stop("\(call): \(String(cString: strerror(code)))", status: 1)
  case .refused(let why): stop(why, status: 1)
  }
}
