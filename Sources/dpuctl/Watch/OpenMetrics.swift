/// A text in the OpenMetrics 1.0 format. Samples of a family stand together, in the order in which
/// the families came.
struct OpenMetrics {
  enum Kind: String { case counter, gauge, info }

  private struct Family {
    var kind: Kind
    var help: String
    var samples: [String] = []
  }

  private var names: [String] = []
  private var families: [String: Family] = [:]

  typealias Labels = [(name: String, value: String)]

  /// Adds a sample; `name` is without the suffix that the kind demands.
  mutating func add(
    _ kind: Kind, _ name: String, _ help: String, _ labels: Labels = [], _ value: String
  ) {
    if families[name] == nil {
      names.append(name)
      families[name] = Family(kind: kind, help: help)
    }
    let suffix =
      switch kind {
      case .counter: "_total"
      case .gauge: ""
      case .info: "_info"
      }
    let pairs = labels.map { "\($0.name)=\"\(Self.escaped($0.value))\"" }
    let set = pairs.isEmpty ? "" : "{\(pairs.joined(separator: ","))}"
    families[name]!.samples.append("\(name)\(suffix)\(set) \(value)")
  }

  /// The whole exposition with its end mark.
  var text: String {
    var text = ""
    for name in names {
      let family = families[name]!
      text += "# TYPE \(name) \(family.kind.rawValue)\n"
      text += "# HELP \(name) \(Self.escaped(family.help))\n"
      for sample in family.samples { text += sample + "\n" }
    }
    return text + "# EOF\n"
  }

  /// Section "ABNF": backslash, quote and line feed are escaped in label values.
  private static func escaped(_ text: String) -> String {
    var result = ""
    for character in text.unicodeScalars {
      switch character {
      case "\\": result += "\\\\"
      case "\"": result += "\\\""
      case "\n": result += "\\n"
      default: result.unicodeScalars.append(character)
      }
    }
    return result
  }
}

extension OpenMetrics {
  /// Nobody answers at the socket.
  static var down: OpenMetrics {
    var metrics = OpenMetrics()
    metrics.add(.gauge, "dpu_up", upHelp, "0")
    return metrics
  }

  private static let upHelp = "Whether the firmware answered."

  private mutating func add(_ kind: Kind, _ name: String, _ help: String, _ value: String) {
    add(kind, name, help, [], value)
  }

  init(_ snapshot: Snapshot) {
    add(.gauge, "dpu_up", Self.upHelp, "1")
    let version = snapshot.version
    add(
      .info, "dpu_build", "Versions of the firmware and of DPDK.",
      [
        ("version", version["version"].cell), ("architecture", version["architecture"].cell),
        ("dpdk", version["dpdk"].cell),
      ], "1")
    add(
      .gauge, "dpu_uptime_seconds", "Time since the start.",
      Self.seconds(snapshot.uptime["milliseconds"].integer ?? 0, per: 1_000))
    for port in snapshot.ports["ports"].elements { add(port: port) }
    for core in snapshot.cores["cores"].elements { add(core: core) }
    for pool in snapshot.pools["pools"].elements { add(pool: pool) }
    for link in snapshot.link["links"].elements {
      let labels: Labels = [("core", link["core"].cell)]
      add(
        .gauge, "dpu_broker_link_up", "Whether the broker is attached.", labels,
        link["up"].isTrue ? "1" : "0")
      add(
        .gauge, "dpu_broker_link_certified",
        "Whether nobody but offloaded connections can receive from the broker.", labels,
        link["certified"].isTrue ? "1" : "0")
    }
    for (name, part) in [("tcp", snapshot.tcp), ("mqtt", snapshot.mqtt), ("link", snapshot.link)] {
      for core in part["cores"].elements {
        add(counters: core["counters"], of: name, [("core", core["core"].cell)])
      }
    }
    add(counters: snapshot.control["counters"], of: "control", [])
    for pipeline in snapshot.pipelines { add(pipeline: pipeline) }
    for filter in snapshot.filters { add(filter: filter) }
  }

  private mutating func add(port: JSONValue) {
    let labels: Labels = [("port", port["name"].cell), ("role", port["role"].cell)]
    add(.gauge, "dpu_port_up", "Whether the link is up.", labels, port["linkUp"].isTrue ? "1" : "0")
    for (key, name, help) in [
      ("receivedPackets", "receive_packets", "Packets received."),
      ("receivedBytes", "receive_bytes", "Bytes received."),
      ("sentPackets", "transmit_packets", "Packets sent."),
      ("sentBytes", "transmit_bytes", "Bytes sent."),
      ("missedPackets", "receive_missed", "Packets dropped since nobody fetched them in time."),
      ("receiveErrors", "receive_errors", "Packets received in error."),
      ("sendErrors", "transmit_errors", "Packets that could not be sent."),
      ("withoutBuffer", "receive_without_buffer", "Packets dropped for want of a buffer."),
    ] {
      guard let value = port[key].integer else { continue }
      add(.counter, "dpu_port_\(name)", help, labels, String(value))
    }
  }

  private mutating func add(core: JSONValue) {
    let labels: Labels = [("core", core["core"].cell)]
    guard let perSecond = core["cyclesPerSecond"].integer, perSecond > 0 else { return }
    add(
      .counter, "dpu_core_busy_seconds", "Time of the turns that found work.", labels,
      Self.seconds(core["busyCycles"].integer ?? 0, per: perSecond))
    add(
      .counter, "dpu_core_idle_seconds", "Time of the turns that found none.", labels,
      Self.seconds(core["idleCycles"].integer ?? 0, per: perSecond))
    add(
      .counter, "dpu_core_turns", "Turns of the poll loop.", labels, core["turns"].cell)
    let counters = core["counters"]
    if let attended = counters["attendedNanoseconds"].integer {
      add(
        .counter, "dpu_core_attended_seconds", "Processor time spent on what operators asked for.",
        labels, Self.seconds(attended, per: 1_000_000_000))
    }
    if let longest = counters["longestAttendedNanoseconds"].integer {
      add(
        .gauge, "dpu_core_longest_attended_seconds",
        "The most processor time that one such question took.", labels,
        Self.seconds(longest, per: 1_000_000_000))
    }
    let doubled = [
      "turns", "busyNanoseconds", "idleNanoseconds", "attendedNanoseconds",
      "longestAttendedNanoseconds",
    ]
    let rest = core["counters"].members.filter { !doubled.contains($0.key) }
    add(counters: .object(rest), of: "core", labels)
  }

  private mutating func add(pool: JSONValue) {
    let labels: Labels = [("pool", pool["name"].cell), ("core", pool["core"].cell)]
    add(.gauge, "dpu_pool_capacity", "Pieces in the pool.", labels, pool["capacity"].cell)
    add(.gauge, "dpu_pool_free", "Pieces that are free.", labels, pool["free"].cell)
  }

  private mutating func add(pipeline: JSONValue) {
    let name = pipeline["pipeline"].cell
    for core in pipeline["cores"].elements {
      add(
        counters: core["counters"], of: "p4", [("pipeline", name), ("core", core["core"].cell)])
    }
    for table in pipeline["tables"].elements {
      let labels: Labels = [("pipeline", name), ("table", table["name"].cell)]
      for (key, help) in [("hits", "Look-ups that hit."), ("misses", "Look-ups that missed.")] {
        guard let value = table[key].integer else { continue }
        add(.counter, "dpu_p4_table_\(key)", help, labels, String(value))
      }
    }
  }

  private mutating func add(filter: JSONValue) {
    let port = filter["port"].cell
    add(
      .info, "dpu_ebpf_filter", "The filter of a port and what runs it.",
      [("port", port), ("name", filter["name"].cell), ("engine", filter["engine"].cell)], "1")
    for core in filter["cores"].elements {
      add(counters: core["counters"], of: "ebpf", [("port", port), ("core", core["core"].cell)])
    }
  }

  /// Words that make what follows them in a counter's name a reason.
  private static let causes = [
    "dropped", "refused", "relayed", "closed", "aborted", "failed",
  ]

  /// `droppedBadARP` of `tcp` becomes `dpu_tcp_dropped_total{reason="bad_arp"}`, others are
  /// families of their own.
  private mutating func add(counters: JSONValue, of engine: String, _ labels: Labels) {
    for counter in counters.members {
      guard let value = counter.value.integer else { continue }
      let words = Self.words(of: counter.key)
      if let cause = words.first, Self.causes.contains(cause), words.count > 1 {
        let reason = words.dropFirst().joined(separator: "_")
        add(
          .counter, "dpu_\(engine)_\(cause)", "Counters \(cause)… of \(engine), by reason.",
          labels + [("reason", reason)], String(value))
      } else {
        add(
          .counter, "dpu_\(engine)_\(words.joined(separator: "_"))",
          "The counter \(counter.key) of \(engine).", labels, String(value))
      }
    }
  }

  /// The words of a name in camel case, in lower case: `droppedBadIPv4Header` is `dropped`, `bad`,
  /// `ipv4`, `header`.
  static func words(of name: String) -> [String] {
    var words: [String] = []
    let letters = Array(name)
    var word = ""
    for (index, letter) in letters.enumerated() {
      let next = index + 1 < letters.count ? letters[index + 1] : nil
      let isCapital = letter.isUppercase && index > 0 && !Self.isInsideName(letters, index)
      if isCapital, !letters[index - 1].isUppercase || next?.isLowercase == true {
        words.append(word)
        word = ""
      }
      word += letter.lowercased()
    }
    return (words + [word]).filter { !$0.isEmpty }
  }

  /// Names of protocols that mix their letters.
  private static func isInsideName(_ letters: [Character], _ index: Int) -> Bool {
    for name in ["IPv", "QoS"] {
      for place in 1..<name.count where index >= place {
        let start = index - place
        if String(letters[start...].prefix(name.count)) == name { return true }
      }
    }
    return false
  }

  /// Decimal seconds without an exponent.
  static func seconds(_ count: Int, per second: Int) -> String {
    let micros = Int(Double(count % second) / Double(second) * 1e6)
    let digits = String(micros)
    return "\(count / second).\(String(repeating: "0", count: 6 - digits.count))\(digits)"
  }
}
