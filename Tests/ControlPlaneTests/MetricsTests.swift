import Foundation
import Testing

@testable import dpuctl

/// The figures in the OpenMetrics format.
@Suite struct MetricsTests {
  @Test func printsAllFiguresOnce() throws {
    let server = try RunningServer()
    let outcome = try CommandTests.dpuctl(["--socket", server.folder.socket, "metrics"])
    #expect(outcome.status == 0, "\(outcome.complaint)")
    let lines = outcome.output.components(separatedBy: "\n")
    for line in [
      "dpu_up 1",
      #"dpu_build_info{version="0.1.0",architecture="x86_64",dpdk="DPDK 22.11.7"} 1"#,
      "dpu_uptime_seconds 61.500000",
      #"dpu_port_receive_packets_total{port="uplink",role="uplink"} 12"#,
      #"dpu_core_busy_seconds_total{core="1"} 0.500000"#,
      #"dpu_pool_free{pool="payload blocks",core="1"} 90"#,
      "# TYPE dpu_tcp_segments_received counter",
      #"dpu_tcp_segments_received_total{core="2"} 7"#,
      #"dpu_tcp_dropped_total{core="2",reason="bad_checksum"} 1"#,
      #"dpu_broker_link_certified{core="1"} 0"#,
    ] {
      #expect(lines.contains(line), "\(line) is missing")
    }
    #expect(outcome.output.hasSuffix("\n# EOF\n"))
    // Samples of a family stand together, after its type.
    var families: [String] = []
    for line in lines where line.hasPrefix("# TYPE ") {
      families.append(String(line.split(separator: " ")[2]))
    }
    #expect(Set(families).count == families.count)
  }

  @Test(arguments: [
    ("droppedBadIPv4Header", "dropped bad ipv4 header"),
    ("droppedSYNInConnection", "dropped syn in connection"),
    ("relayedQoS", "relayed qos"), ("arpRepliesSent", "arp replies sent"),
    ("droppedBadARP", "dropped bad arp"), ("droppedGroupSourceMAC", "dropped group source mac"),
    ("shutDown", "shut down"),
  ])
  func namesBecomeWords(name: String, words: String) {
    #expect(OpenMetrics.words(of: name).joined(separator: " ") == words)
  }

  @Test func filtersAreAmongThem() throws {
    var snapshot = Snapshot(time: 1)
    snapshot.filters = [
      try #require(
        JSONValue(
          """
          {"name":"drop_dport","port":"uplink","engine":"jit","counters":{"framesIn":9},\
          "cores":[{"core":1,"counters":{"framesIn":7,"droppedByVerdict":3}},\
          {"core":2,"counters":{"framesIn":2,"droppedByVerdict":0}}]}
          """))
    ]
    let lines = OpenMetrics(snapshot).text.components(separatedBy: "\n")
    for line in [
      #"dpu_ebpf_filter_info{port="uplink",name="drop_dport",engine="jit"} 1"#,
      #"dpu_ebpf_frames_in_total{port="uplink",core="1"} 7"#,
      #"dpu_ebpf_frames_in_total{port="uplink",core="2"} 2"#,
      #"dpu_ebpf_dropped_total{port="uplink",core="1",reason="by_verdict"} 3"#,
    ] {
      #expect(lines.contains(line), "\(line) is missing")
    }
  }

  @Test func labelsAreEscaped() {
    var metrics = OpenMetrics()
    metrics.add(.gauge, "x", "a \\ b", [("name", "q\"\\\n")], "1")
    #expect(
      metrics.text == "# TYPE x gauge\n# HELP x a \\\\ b\nx{name=\"q\\\"\\\\\\n\"} 1\n# EOF\n")
  }

  @Test(arguments: [
    ("GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP/1.1 200 OK"),
    ("GET /metrics?a=b HTTP/1.0\r\n\r\n", "HTTP/1.1 200 OK"),
    ("HEAD /metrics HTTP/1.1\r\n\r\n", "HTTP/1.1 200 OK"),
    ("GET / HTTP/1.1\r\n\r\n", "HTTP/1.1 404 Not Found"),
    ("POST /metrics HTTP/1.1\r\n\r\n", "HTTP/1.1 405 Method Not Allowed"),
    ("nonsense\r\n\r\n", "HTTP/1.1 400 Bad Request"),
  ])
  func answersOverHTTP(request: String, status: String) {
    let answer = MetricsServer.answer(to: request) { "up 1\n" }
    #expect(answer.hasPrefix(status + "\r\n"))
    let body = answer.components(separatedBy: "\r\n\r\n").dropFirst().joined()
    if request.hasPrefix("GET /metrics") { #expect(body == "up 1\n") }
    if request.hasPrefix("HEAD") { #expect(body.isEmpty && answer.contains("Content-Length: 5")) }
  }

  @Test(arguments: ["9464", "localhost:9464", "127.0.0.1:99999", "127.0.0.1:"])
  func refusesBadAddresses(place: String) throws {
    let outcome = try CommandTests.dpuctl(["metrics", "--listen", place])
    #expect(outcome.status == 1)
    #expect(outcome.complaint.contains("'\(place)'"))
  }
}
