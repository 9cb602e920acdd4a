/// What `dpuctl top` knows: two looks at the firmware and the rates of the last minutes.
struct TopModel {
  private(set) var last: Snapshot?
  private var before: Snapshot?
  /// Rates of the last looks, newest last, by what they are of.
  private var histories: [String: [Double]] = [:]
  private static let historyLength = 60

  /// Takes a new look in. One of a firmware that has been started anew begins anew.
  mutating func take(_ snapshot: Snapshot) {
    let uptimes = [snapshot.uptime, last?.uptime ?? .null].map { $0["milliseconds"].integer ?? 0 }
    before = uptimes[0] < uptimes[1] ? nil : last
    if before == nil { histories = [:] }
    last = snapshot
    guard before != nil else { return }
    for core in snapshot.cores["cores"].elements {
      remember("core \(core["core"].cell)", busyShare(core) * 100)
    }
    for port in snapshot.ports["ports"].elements {
      remember("port \(port["name"].cell)", portRate(port, "receivedPackets"))
    }
    remember("delivered", rate(\.mqtt, "copiesDelivered"))
  }

  private mutating func remember(_ name: String, _ value: Double) {
    histories[name, default: []].append(value)
    if histories[name]!.count > Self.historyLength { histories[name]!.removeFirst() }
  }

  private var seconds: Double { max(1e-6, (last?.time ?? 1) - (before?.time ?? 0)) }

  private static func difference(_ new: JSONValue, _ old: JSONValue) -> Double {
    Double((new.integer ?? 0) - (old.integer ?? 0))
  }

  /// Counts a second of one counter of an engine, over all cores.
  func rate(_ part: KeyPath<Snapshot, JSONValue>, _ counter: String) -> Double {
    guard let last, let before else { return 0 }
    return Self.difference(
      last[keyPath: part]["counters"][counter], before[keyPath: part]["counters"][counter])
      / seconds
  }

  /// Counts a second of all counters of an engine whose names begin with `prefix`.
  func rate(_ part: KeyPath<Snapshot, JSONValue>, prefix: String) -> Double {
    guard let last else { return 0 }
    return last[keyPath: part]["counters"].members.filter { $0.key.hasPrefix(prefix) }
      .reduce(0) { $0 + rate(part, $1.key) }
  }

  func portRate(_ port: JSONValue, _ counter: String) -> Double {
    guard
      let old = before?.ports["ports"].elements.first(where: { $0["name"] == port["name"] })
    else { return 0 }
    return Self.difference(port[counter], old[counter]) / seconds
  }

  /// 0...1.
  func busyShare(_ core: JSONValue) -> Double {
    guard
      let old = before?.cores["cores"].elements.first(where: { $0["core"] == core["core"] })
    else { return 0 }
    let busy = Self.difference(core["busyCycles"], old["busyCycles"])
    let idle = Self.difference(core["idleCycles"], old["idleCycles"])
    return busy + idle > 0 ? busy / (busy + idle) : 0
  }

  func history(_ name: String) -> [Double] { histories[name] ?? [] }

  // MARK: Rows of the list below

  struct Row: Equatable {
    var name: String
    var values: [Double]
  }

  /// Every counter that has to do with loss, with its rate and its sum.
  var drops: [Row] {
    guard let last else { return [] }
    var rows: [Row] = []
    let parts: [(String, KeyPath<Snapshot, JSONValue>)] = [
      ("tcp", \.tcp), ("mqtt", \.mqtt), ("link", \.link), ("control", \.control),
    ]
    for (engine, part) in parts {
      for counter in last[keyPath: part]["counters"].members where Self.isLoss(counter.key) {
        rows.append(
          Row(
            name: "\(engine).\(counter.key)",
            values: [rate(part, counter.key), Double(counter.value.integer ?? 0)]))
      }
    }
    for pipeline in last.pipelines {
      let old = before?.pipelines.first { $0["pipeline"] == pipeline["pipeline"] }
      rows += losses(of: pipeline, before: old, "p4 \(pipeline["pipeline"].cell)")
    }
    for filter in last.filters {
      rows += losses(of: filter, before: earlier(filter), "ebpf \(filter["port"].cell)")
    }
    return rows
  }

  private func losses(of part: JSONValue, before old: JSONValue?, _ name: String) -> [Row] {
    part["counters"].members.filter { Self.isLoss($0.key) }.map { counter in
      Row(
        name: "\(name).\(counter.key)",
        values: [rate(part, before: old, counter.key), Double(counter.value.integer ?? 0)])
    }
  }

  /// Counts a second of one counter of a part that may not have been there before.
  private func rate(_ part: JSONValue, before old: JSONValue?, _ counter: String) -> Double {
    guard let old else { return 0 }
    return Self.difference(part["counters"][counter], old["counters"][counter]) / seconds
  }

  private func earlier(_ filter: JSONValue) -> JSONValue? {
    before?.filters.first { $0["port"] == filter["port"] }
  }

  /// Counts a second of a filter's counter, or of all that begin so.
  func filterRate(_ filter: JSONValue, prefix: String) -> Double {
    filter["counters"].members.filter { $0.key.hasPrefix(prefix) }
      .reduce(0) { $0 + rate(filter, before: earlier(filter), $1.key) }
  }

  private static func isLoss(_ name: String) -> Bool {
    ["dropped", "Dropped", "refused", "aborted", "closed", "failed", "Refused", "TooLarge"]
      .contains { part in name.hasPrefix(part) || (part.first!.isUppercase && name.contains(part)) }
  }

  /// The tables of all pipelines: hits and misses a second, hits and misses.
  var tables: [Row] {
    (last?.pipelines ?? []).flatMap { pipeline -> [Row] in
      let old = before?.pipelines.first { $0["pipeline"] == pipeline["pipeline"] }
      return pipeline["tables"].elements.map { table in
        let earlier = old?["tables"].elements.first { $0["name"] == table["name"] } ?? table
        return Row(
          name: "\(pipeline["pipeline"].cell) \(table["name"].cell)",
          values: [
            Self.difference(table["hits"], earlier["hits"]) / seconds,
            Self.difference(table["misses"], earlier["misses"]) / seconds,
            Double(table["hits"].integer ?? 0), Double(table["misses"].integer ?? 0),
          ])
      }
    }
  }
}

/// How the operator wants to see it.
struct TopView: Equatable {
  enum List: String, CaseIterable { case clients, connections, tables, drops }
  var list = List.clients
  /// Column that the list is sorted by, largest first; 0 is the name, smallest first.
  var sort = 1
  var isReversed = false
  /// Rows whose name holds this.
  var filter = ""
  var isPaused = false
  /// The operator is typing the filter.
  var isTyping = false

  /// Lets a key do its work; false when the operator wants to leave.
  mutating func handle(_ key: Terminal.Key, columns: Int) -> Bool {
    if isTyping {
      switch key {
      case .character(let character): filter.append(character)
      case .backspace: if !filter.isEmpty { filter.removeLast() }
      case .enter: isTyping = false
      case .escape:
        filter = ""
        isTyping = false
      case .end: return false
      }
      return true
    }
    switch key {
    case .character("q"), .end: return false
    case .character("1"), .character("c"): show(.clients)
    case .character("2"), .character("t"): show(.connections)
    case .character("3"), .character("p"): show(.tables)
    case .character("4"), .character("d"): show(.drops)
    case .character("s"), .character(">"): sort = (sort + 1) % columns
    case .character("<"): sort = (sort + columns - 1) % columns
    case .character("r"): isReversed.toggle()
    case .character("/"): isTyping = true
    case .character(" "): isPaused.toggle()
    case .escape: filter = ""
    default: break
    }
    return true
  }

  private mutating func show(_ list: List) {
    self.list = list
    sort = 1
    isReversed = false
  }
}
