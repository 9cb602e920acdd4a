import ArgumentParser
import Glibc

/// The whole firmware at a glance, renewed all the time.
struct Top: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Cores, ports and engines at work, renewed every second.",
    discussion: """
      Busy is the time of a poll loop's turns that found work: the machine's own `top` shows such a \
      core as busy always. A connection that is lost is made again.

      Keys: 1 MQTT clients, 2 TCP connections, 3 P4 tables, 4 what was lost or refused; s or > the \
      next column to sort by, < the one before, r reverse, / filter, space pause, q quit.
      """)
  @ParentCommand var root: DPUControl
  @OptionGroup var options: GlobalOptions

  @Option(help: "Seconds between two looks, 0.1 to 60.")
  var every = 1.0

  @Flag(help: "Print each look as text and go on; for scripts.")
  var plain = false

  @Option(name: .customShort("n"), help: "Looks after which to end. (default: no end)")
  var count: Int?

  @Option(help: "The list below: clients, connections, tables or drops.")
  var list = "clients"

  func validate() throws {
    guard (0.1...60).contains(every) else {
      throw ValidationError("--every must be from 0.1 to 60 seconds")
    }
    guard (count ?? 1) > 0 else { throw ValidationError("-n must be positive") }
    guard TopView.List(rawValue: list) != nil else {
      throw ValidationError("--list must be clients, connections, tables or drops")
    }
  }

  mutating func run() throws {
    var view = TopView()
    view.list = TopView.List(rawValue: list)!
    var session = TopSession(place: options.place(root), view: view)
    if plain { return try session.print(looks: count ?? .max, every: every) }
    guard let terminal = Terminal() else {
      throw Failure.usage("top needs a terminal; use --plain elsewhere")
    }
    defer { terminal.restore() }
    session.show(looks: count ?? .max, every: every)
  }
}

/// Looks at the firmware again and again, over a connection that is renewed when it is lost.
struct TopSession {
  let place: FirmwarePlace
  var view: TopView
  private var model = TopModel()
  private var firmware: FirmwareConnection?
  private var listing: [TopModel.Row] = []
  private var earlier: (time: Double, rows: [String: [Double]]) = (0, [:])
  private var trouble: String?

  init(place: FirmwarePlace, view: TopView) {
    self.place = place
    self.view = view
  }

  private var screen: TopScreen {
    TopScreen(model: model, view: view, listing: listing, place: place.text, trouble: trouble)
  }

  /// Plain text: the first look shows sums only, so there is one more than asked for.
  mutating func print(looks: Int, every: Double) throws {
    try look()
    for number in 0..<looks {
      usleep(UInt32(every * 1e6))
      do {
        try look()
      } catch let failure as Failure {
        // The first look has shown that the place is right: it will come back.
        trouble = failure.message
      }
      if number > 0 { Swift.print("") }
      for line in screen.plain(columns: 100) { Swift.print(line) }
      fflush(nil)
    }
  }

  mutating func show(looks: Int, every: Double) {
    var due = Snapshot.now
    var done = 0
    while !Terminal.isStopping {
      if Snapshot.now >= due {
        if !view.isPaused { lookIfPossible() }
        due = max(due + every, Snapshot.now)
        done += 1
        if done > looks { return }
      }
      let size = Terminal.size
      Terminal.show(screen.lines(columns: size.columns, lines: size.lines))
      if let key = Terminal.key(within: due - Snapshot.now) {
        let list = view.list
        let columns = TopScreen.titles(of: list).count
        guard view.handle(key, columns: columns) else { return }
        if view.list != list {
          listing = []
          earlier = (0, [:])
          if !view.isPaused { due = Snapshot.now }
        }
      }
    }
  }

  private mutating func lookIfPossible() {
    do {
      try look()
      trouble = nil
    } catch let failure as Failure {
      trouble = failure.message
    } catch {
      trouble = "\(error)"
    }
  }

  private mutating func look() throws {
    do {
      let firmware = try self.firmware ?? FirmwareConnection(place)
      self.firmware = firmware
      model.take(try Snapshot(of: firmware))
      try list(firmware)
      trouble = nil
    } catch {
      firmware = nil
      throw error
    }
  }

  /// Rows of the list that is shown; of a longer list the first thousand.
  private mutating func list(_ firmware: FirmwareConnection) throws {
    let method: String
    let rows: String
    switch view.list {
    case .clients: (method, rows) = ("mqtt.clients", "clients")
    case .connections: (method, rows) = ("tcp.list", "connections")
    case .tables, .drops: return
    }
    let limit = JSONValue.object([.init(key: "limit", value: .number("1000"))])
    let answer = try Snapshot.optional(firmware, method, limit)
    let now = Snapshot.now
    let seconds = max(1e-6, now - earlier.time)
    var seen: [String: [Double]] = [:]
    listing = answer[rows].elements.map { row in
      let key = "\(row["core"].cell) \(row["id"].cell)"
      let sums: [Double]
      let name: String
      let rest: [Double]
      func number(_ key: String) -> Double { Double(row[key].integer ?? 0) }
      if view.list == .clients {
        sums = [number("publishes"), number("delivered")]
        name = "\(row["clientID"].cell)  \(row["remote"].cell)  \(row["mode"].cell)"
        rest = [number("dropped"), number("queuedPackets")]
      } else {
        sums = [number("receivedBytes"), number("sentBytes")]
        name = "\(row["remote"].cell)  \(row["service"].cell)  \(row["state"].cell)"
        rest = [number("retransmissions"), number("smoothedRTTMicroseconds")]
      }
      seen[key] = sums
      let rates = earlier.rows[key].map { old in zip(sums, old).map { ($0 - $1) / seconds } }
      return TopModel.Row(name: name, values: (rates ?? [0, 0]) + rest)
    }
    earlier = (now, seen)
  }
}
