/// What one run found, printed as one JSON object.
struct Report {
  /// One measured stretch: wall time, deliveries in it and the broker's CPU time for them.
  struct Phase {
    var publishes = 0
    var deliveries = 0
    var nanoseconds: UInt64 = 0
    var brokerNanoseconds: UInt64 = 0

    func json(brokerKnown: Bool) -> String {
      let seconds = Double(nanoseconds) / 1e9
      let rate = seconds > 0 ? Double(deliveries) / seconds : 0
      let cpu = brokerKnown && deliveries > 0 ? Double(brokerNanoseconds) / Double(deliveries) : nil
      return """
        {"publishes":\(publishes),"deliveries":\(deliveries),"seconds":\(decimals(seconds, 4)),\
        "deliveriesPerSecond":\(decimals(rate, 0)),\
        "brokerCPUMicrosecondsPerDelivery":\(cpu.map { decimals($0 / 1e3, 4) } ?? "null")}
        """
    }
  }

  var options: Options
  var latency = Phase()
  var burst = Phase()
  /// Nanoseconds, of the latency phase.
  var latencies: [UInt64] = []
  var complete = true
  /// Of all phases, warm-up included.
  var deliveries = 0
  var lost = 0
  var duplicated = 0
  var reordered = 0
  var foreign = 0

  /// The smallest value with at least `part` of all values at or below it; microseconds.
  static func percentile(_ part: Double, of sorted: [UInt64]) -> Double? {
    guard !sorted.isEmpty else { return nil }
    let rank = Int((part * Double(sorted.count)).rounded(.up))
    return Double(sorted[max(rank, 1) - 1]) / 1e3
  }

  var json: String {
    let sorted = latencies.sorted()
    func microseconds(_ part: Double) -> String {
      Self.percentile(part, of: sorted).map { decimals($0, 1) } ?? "null"
    }
    let samples =
      options.samples
      ? ",\"samplesMicroseconds\":["
        + latencies.map { decimals(Double($0) / 1e3, 1) }.joined(separator: ",") + "]" : ""
    let known = options.brokerProcess != 0
    return """
      {"host":"\(options.host)","port":\(options.port),"subscribers":\(options.subscribers),\
      "version":"\(options.version.rawValue)","payloadBytes":\(options.payloadBytes),\
      "complete":\(complete),"p50Microseconds":\(microseconds(0.5)),\
      "p99Microseconds":\(microseconds(0.99)),"minMicroseconds":\(microseconds(0)),\
      "maxMicroseconds":\(microseconds(1)),"deliveries":\(deliveries),"lost":\(lost),\
      "duplicated":\(duplicated),"reordered":\(reordered),"foreign":\(foreign),"window":\(options.window),\
      "latency":\(latency.json(brokerKnown: known)),"burst":\(burst.json(brokerKnown: known))\(samples)}
      """
  }
}

/// A number with a fixed count of decimals, without Foundation.
func decimals(_ value: Double, _ places: Int) -> String {
  var scale = 1
  for _ in 0..<places { scale *= 10 }
  let scaled = Int((value.magnitude * Double(scale)).rounded())
  let fraction = String(scaled % scale)
  let sign = value < 0 ? "-" : ""
  guard places > 0 else { return "\(sign)\(scaled)" }
  return "\(sign)\(scaled / scale)." + String(repeating: "0", count: places - fraction.count)
    + fraction
}
