import Foundation
import Testing

@testable import dpuctl

/// What `dpuctl top` shows, from two looks at a firmware one second apart.
@Suite struct TopTests {
  /// A firmware that has counted `seconds` long.
  static func look(at seconds: Int, uptime: Int? = nil) throws -> Snapshot {
    func json(_ text: String) throws -> JSONValue { try #require(JSONValue(text)) }
    var snapshot = Snapshot(time: 100 + Double(seconds))
    snapshot.version = try json(#"{"version":"1.2.3","architecture":"aarch64"}"#)
    snapshot.uptime = try json(#"{"milliseconds":\#((uptime ?? seconds) * 1_000)}"#)
    snapshot.ports = try json(
      """
      {"ports":[{"name":"uplink","linkUp":true,"receivedPackets":\(seconds * 2_500),\
      "receivedBytes":\(seconds * 160_000),"sentPackets":\(seconds),"sentBytes":\(seconds * 64),\
      "missedPackets":\(seconds * 3),"receiveErrors":0,"sendErrors":0,"withoutBuffer":\(seconds)}]}
      """)
    snapshot.cores = try json(
      """
      {"cores":[{"core":1,"busyCycles":\(seconds * 250_000),"idleCycles":\(seconds * 750_000),\
      "cyclesPerSecond":1000000}]}
      """)
    snapshot.tcp = try json(
      """
      {"counters":{"segmentsReceived":\(seconds * 40),"droppedBadARP":\(seconds * 5),\
      "droppedFragment":0}}
      """)
    snapshot.mqtt = try json(
      #"{"counters":{"copiesDelivered":\#(seconds * 100_000),"relayedQoS":\#(seconds * 7)}}"#)
    snapshot.pipelines = [
      try json(
        """
        {"pipeline":"edge","counters":{"droppedByProgram":\(seconds * 9)},\
        "tables":[{"name":"a.rules","hits":\(seconds * 10),"misses":\(seconds)},\
        {"name":"b.routes","hits":\(seconds * 90),"misses":0}]}
        """)
    ]
    snapshot.filters = [
      try json(
        """
        {"name":"drop_dport","port":"uplink","engine":"jit","counters":{"framesIn":\(seconds * 50),\
        "passed":\(seconds * 30),"passedUnanswered":\(seconds),\
        "droppedByVerdict":\(seconds * 19)}}
        """)
    ]
    return snapshot
  }

  static func screen(_ view: TopView = TopView()) throws -> TopScreen {
    var model = TopModel()
    model.take(try look(at: 1))
    model.take(try look(at: 2))
    let listing = [
      TopModel.Row(name: "sensor-1", values: [5, 0, 0, 0]),
      TopModel.Row(name: "sensor-2", values: [9, 0, 0, 0]),
      TopModel.Row(name: "bad\u{1b}[2J", values: [0, 0, 0, 0]),
    ]
    return TopScreen(model: model, view: view, listing: listing, place: "/run/s")
  }

  @Test func showsRatesBetweenTwoLooks() throws {
    let lines = try Self.screen().lines(columns: 80, lines: 24)
    let expected = [
      "dpu 1.2.3 aarch64  up 2 s                                                 /run/s",
      "",
      "core 1  [|||||||                   ]  25.0 %  ▃",
      "",
      "PORT          LINK  RX PKT/S  RX BIT/S  TX PKT/S  TX BIT/S   LOST/S",
      "uplink          up     2.5 k     1.3 M         1       512        4  █",
      "",
      "TCP   opened/s 0  in/s 40  out/s 0  again/s 0  dropped/s 5",
      "MQTT  consumed/s 0  delivered/s 100.0 k  relayed/s 7  dropped/s 0  █",
      "P4    edge  hits/s 100  misses/s 1  dropped/s 9",
      "eBPF  uplink drop_dport (jit)  in/s 50  passed/s 31  dropped/s 19",
      "",
      "MQTT CLIENT                  PUBLISHED/Sv  DELIVERED/S      DROPPED       QUEUED",
      "sensor-2                                9            0            0            0",
      "sensor-1                                5            0            0            0",
      "bad?[2J                                 0            0            0            0",
    ]
    #expect(Array(lines.prefix(expected.count)) == expected)
    #expect(lines.count == 24)
    #expect(lines.last?.hasPrefix("q quit") == true)
  }

  @Test(arguments: [(20, 5), (40, 10), (80, 24), (200, 50), (3, 2)])
  func fitsTheTerminal(columns: Int, lines: Int) throws {
    for list in TopView.List.allCases {
      var view = TopView()
      view.list = list
      let shown = try Self.screen(view).lines(columns: columns, lines: lines)
      #expect(shown.count == lines)
      #expect(shown.allSatisfy { $0.count <= columns })
    }
  }

  @Test func sortsAndFilters() throws {
    var view = TopView()
    func keys(_ keys: String) {
      for key in keys { _ = view.handle(.character(key), columns: 5) }
    }
    keys("3")
    #expect(try Self.screen(view).sortedRows.map(\.name) == ["edge b.routes", "edge a.rules"])
    keys("s")
    #expect(try Self.screen(view).sortedRows.map(\.name) == ["edge a.rules", "edge b.routes"])
    keys("r")
    #expect(try Self.screen(view).sortedRows.map(\.name) == ["edge b.routes", "edge a.rules"])
    keys("/RULES")
    #expect(try Self.screen(view).sortedRows.map(\.name) == ["edge a.rules"])
    let stays = view.handle(.escape, columns: 5)
    #expect(stays)
    #expect(try Self.screen(view).sortedRows.count == 2)
    keys("4")
    #expect(
      try Self.screen(view).sortedRows.map(\.name) == [
        "ebpf uplink.droppedByVerdict", "p4 edge.droppedByProgram", "tcp.droppedBadARP",
      ])
    let leaves = !view.handle(.character("q"), columns: 3)
    #expect(leaves)
  }

  @Test func aFirmwareThatWasStartedAnewBeginsAtNothing() throws {
    var model = TopModel()
    model.take(try Self.look(at: 50))
    model.take(try Self.look(at: 1, uptime: 1))
    #expect(model.rate(\.tcp, "segmentsReceived") == 0)
    model.take(try Self.look(at: 2, uptime: 2))
    #expect(model.rate(\.tcp, "segmentsReceived") == 40)
  }

  @Test func sparklinesHaveEightHeights() {
    #expect(TopScreen.sparkline([0, 1, 2, 3, 4, 5, 6, 7, 8], width: 8, most: 8) == "▂▃▄▅▆▇██")
    #expect(TopScreen.sparkline([0, 0], width: 8) == "▁▁")
    #expect(TopScreen.sparkline([1, 2], width: 0) == "")
  }

  @Test func plainTextForScripts() throws {
    let server = try RunningServer()
    let outcome = try CommandTests.dpuctl([
      "--socket", server.folder.socket, "top", "--plain", "-n", "2", "--every", "0.1", "--list",
      "connections",
    ])
    #expect(outcome.status == 0, "\(outcome.complaint)")
    let looks = outcome.output.components(separatedBy: "\n\ndpu 0.1.0 x86_64")
    #expect(looks.count == 2)
    #expect(outcome.output.contains("uplink          up"))
    #expect(outcome.output.contains("TCP CONNECTION"))
  }

  @Test(arguments: [
    (["top"], 1, "dpuctl: top needs a terminal; use --plain elsewhere\n"),
    (["top", "--plain", "--socket", "/nowhere"], 3, "there is no such socket"),
    (["top", "--every", "0"], 1, "--every must be from 0.1 to 60 seconds"),
    (["top", "--list", "all"], 1, "--list must be clients, connections, tables or drops"),
  ])
  func complains(arguments: [String], status: Int32, text: String) throws {
    let outcome = try CommandTests.dpuctl(arguments)
    #expect(outcome.status == status)
    #expect(outcome.complaint.contains(text))
  }
}
