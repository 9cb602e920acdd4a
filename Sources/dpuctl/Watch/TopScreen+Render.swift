/// The screen of `dpuctl top`, as lines of text.
struct TopScreen {
  let model: TopModel
  var view: TopView
  /// Rows of the list that the firmware has to be asked for: clients or connections.
  var listing: [TopModel.Row]
  /// What stands in the first line besides the firmware's version.
  var place: String
  /// Why nothing new comes, when it does not.
  var trouble: String?

  /// The titles of the list's columns, the name first.
  static func titles(of list: TopView.List) -> [String] {
    switch list {
    case .clients: ["MQTT CLIENT", "PUBLISHED/S", "DELIVERED/S", "DROPPED", "QUEUED"]
    case .connections: ["TCP CONNECTION", "RX B/S", "TX B/S", "RETRANS", "RTT US"]
    case .tables: ["P4 TABLE", "HITS/S", "MISSES/S", "HITS", "MISSES"]
    case .drops: ["LOST OR REFUSED", "RATE/S", "TOTAL"]
    }
  }

  /// Exactly as many lines as fit, none longer than `columns`.
  func lines(columns: Int, lines count: Int) -> [String] {
    var lines = [header(columns), ""]
    lines += coreLines(columns) + [""] + portLines(columns) + [""] + engineLines(columns) + [""]
    lines = Array(lines.prefix(max(2, count - 4)))
    lines += listLines(columns, rows: count - lines.count - 2)
    while lines.count < count - 1 { lines.append("") }
    lines.append(footer)
    return lines.prefix(count).map { String($0.prefix(columns)) }
  }

  /// Everything, for scripts: no list is cut.
  func plain(columns: Int) -> [String] {
    var lines = [header(columns), ""]
    lines += coreLines(columns) + [""] + portLines(columns) + [""] + engineLines(columns) + [""]
    return lines + listLines(columns, rows: .max)
  }

  private func header(_ columns: Int) -> String {
    guard let last = model.last else { return "dpu  \(place)  \(trouble ?? "waiting")" }
    let left =
      "dpu \(last.version["version"].cell) \(last.version["architecture"].cell)  up "
      + Units.milliseconds(last.uptime["milliseconds"])
    let right = trouble ?? (view.isPaused ? "paused" : place)
    let space = max(2, columns - left.count - right.count)
    return left + String(repeating: " ", count: space) + right
  }

  private func coreLines(_ columns: Int) -> [String] {
    let cores = model.last?.cores["cores"].elements ?? []
    let width = max(10, min(40, columns / 3))
    return cores.map { core in
      let share = model.busyShare(core)
      let filled = min(width, Int((share * Double(width)).rounded()))
      let bar =
        String(repeating: "|", count: filled) + String(repeating: " ", count: width - filled)
      let name = Self.padded("core \(core["core"].cell)", 8)
      let percent = Self.padded(Units.oneDecimal(share * 100) + " %", 8, .right)
      let spark = Self.sparkline(
        model.history("core \(core["core"].cell)"), width: columns - width - 22, most: 100)
      return "\(name)[\(bar)]\(percent)  \(spark)"
    }
  }

  private func portLines(_ columns: Int) -> [String] {
    let ports = model.last?.ports["ports"].elements ?? []
    guard !ports.isEmpty else { return ["no ports"] }
    let titles = ["PORT", "LINK", "RX PKT/S", "RX BIT/S", "TX PKT/S", "TX BIT/S", "LOST/S"]
    let rows = ports.map { port -> [String] in
      let lost = ["missedPackets", "receiveErrors", "sendErrors", "withoutBuffer"]
        .reduce(0) { $0 + model.portRate(port, $1) }
      return [
        port["name"].cell, port["linkUp"].isTrue ? "up" : "down",
        Self.scaled(model.portRate(port, "receivedPackets")),
        Self.scaled(model.portRate(port, "receivedBytes") * 8),
        Self.scaled(model.portRate(port, "sentPackets")),
        Self.scaled(model.portRate(port, "sentBytes") * 8), Self.scaled(lost),
      ]
    }
    let widths = [12, 5, 9, 9, 9, 9, 8]
    var lines = [Self.row(titles, widths)]
    for (port, cells) in zip(ports, rows) {
      let line = Self.row(cells, widths)
      lines.append(
        line + "  "
          + Self.sparkline(
            model.history("port \(port["name"].cell)"), width: columns - line.count - 2))
    }
    return lines
  }

  private func engineLines(_ columns: Int) -> [String] {
    let relayed = model.rate(\.mqtt, prefix: "relayed")
    let tcp =
      "TCP   opened/s \(Self.scaled(model.rate(\.tcp, "connectionsOpened")))"
      + "  in/s \(Self.scaled(model.rate(\.tcp, "segmentsReceived")))"
      + "  out/s \(Self.scaled(model.rate(\.tcp, "segmentsSent")))"
      + "  again/s \(Self.scaled(model.rate(\.tcp, "segmentsRetransmitted")))"
      + "  dropped/s \(Self.scaled(model.rate(\.tcp, prefix: "dropped")))"
    var mqtt =
      "MQTT  consumed/s \(Self.scaled(model.rate(\.mqtt, "publishesConsumed")))"
      + "  delivered/s \(Self.scaled(model.rate(\.mqtt, "copiesDelivered")))"
      + "  relayed/s \(Self.scaled(relayed))"
      + "  dropped/s \(Self.scaled(model.rate(\.mqtt, prefix: "copiesDropped")))  "
    mqtt += Self.sparkline(model.history("delivered"), width: min(40, columns - mqtt.count))
    var lines = [tcp, mqtt]
    for pipeline in model.last?.pipelines ?? [] {
      let name = pipeline["pipeline"].cell
      let own = model.tables.filter { $0.name.hasPrefix(name + " ") }
      let hits = own.reduce(0) { $0 + $1.values[0] }
      let misses = own.reduce(0) { $0 + $1.values[1] }
      let drops = model.drops.filter { $0.name.hasPrefix("p4 \(name).") }
      lines.append(
        "P4    \(name)  hits/s \(Self.scaled(hits))  misses/s \(Self.scaled(misses))"
          + "  dropped/s \(Self.scaled(drops.reduce(0) { $0 + $1.values[0] }))")
    }
    for filter in model.last?.filters ?? [] {
      lines.append(
        "eBPF  \(filter["port"].cell) \(filter["name"].cell) (\(filter["engine"].cell))"
          + "  in/s \(Self.scaled(model.filterRate(filter, prefix: "framesIn")))"
          + "  passed/s \(Self.scaled(model.filterRate(filter, prefix: "passed")))"
          + "  dropped/s \(Self.scaled(model.filterRate(filter, prefix: "dropped")))")
    }
    return lines
  }

  /// The rows of the list as they are shown: filtered and sorted.
  var sortedRows: [TopModel.Row] {
    let all =
      switch view.list {
      case .clients, .connections: listing
      case .tables: model.tables
      case .drops: model.drops.filter { $0.values[1] > 0 }
      }
    let wanted = view.filter.lowercased()
    let rows = wanted.isEmpty ? all : all.filter { $0.name.lowercased().contains(wanted) }
    let column = view.sort
    let sorted = rows.sorted { first, second in
      guard column > 0, column <= first.values.count else { return first.name < second.name }
      let (a, b) = (first.values[column - 1], second.values[column - 1])
      return a == b ? first.name < second.name : a > b
    }
    return view.isReversed ? sorted.reversed() : sorted
  }

  private func listLines(_ columns: Int, rows: Int) -> [String] {
    guard rows > 1 else { return [] }
    var titles = Self.titles(of: view.list)
    titles[min(view.sort, titles.count - 1)] += view.isReversed ? "^" : "v"
    let numbers = titles.count - 1
    let widths = [max(16, columns - numbers * 13)] + Array(repeating: 12, count: numbers)
    let shown = sortedRows
    var lines = [Self.row(titles, widths)]
    for row in shown.prefix(rows - 1) {
      lines.append(Self.row([row.name] + row.values.map(Self.scaled), widths))
    }
    if shown.isEmpty { lines.append(view.filter.isEmpty ? "none" : "none holds '\(view.filter)'") }
    return Array(lines.prefix(rows))
  }

  private var footer: String {
    if view.isTyping { return "filter: \(view.filter)_   (enter keeps it, escape removes it)" }
    let filter = view.filter.isEmpty ? "" : "  filter '\(view.filter)'"
    return "q quit 1 clients 2 connections 3 tables 4 drops s sort r reverse / filter"
      + filter
  }

  // MARK: Text

  enum Side { case left, right }

  private static func padded(_ text: String, _ width: Int, _ side: Side = .left) -> String {
    // Names that clients choose must not steer the terminal.
    let clean = String(
      text.map { $0.unicodeScalars.contains { $0.isControl } ? "?" : $0 })
    guard clean.count <= width else { return String(clean.prefix(max(0, width - 1))) + "~" }
    let space = String(repeating: " ", count: width - clean.count)
    return side == .left ? clean + space : space + clean
  }

  private static func row(_ cells: [String], _ widths: [Int]) -> String {
    var line = padded(cells[0], widths[0])
    for (cell, width) in zip(cells.dropFirst(), widths.dropFirst()) {
      line += " " + padded(cell, width, .right)
    }
    return line
  }

  /// `0`, `12`, `4.5 k`, `1.2 M`.
  static func scaled(_ value: Double) -> String {
    let size = abs(value)
    if size < 1 { return size < 0.05 ? "0" : Units.oneDecimal(value) }
    if size < 1_000 { return String(Int(value.rounded())) }
    var scaled = value
    var unit = ""
    for next in ["k", "M", "G", "T", "P"] where abs(scaled) >= 1_000 {
      scaled /= 1_000
      unit = next
    }
    return "\(Units.oneDecimal(scaled)) \(unit)"
  }

  /// Eight heights of blocks, the newest at the right; `most` is the height of the highest, or
  /// the largest value when nil.
  static func sparkline(_ values: [Double], width: Int, most: Double? = nil) -> String {
    guard width > 0 else { return "" }
    let blocks = Array("▁▂▃▄▅▆▇█")
    let shown = values.suffix(width)
    let top = most ?? shown.max() ?? 0
    return String(
      shown.map { value in
        top <= 0 ? blocks[0] : blocks[max(0, min(7, Int(value / top * 8)))]
      })
  }
}
