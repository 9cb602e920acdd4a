package import ControlPlane
package import DPUCore
package import JSONText

/// A firmware of which nothing is there but what a test adds.
package protocol BareSource: ControlSource {}

extension BareSource {
  package var version: VersionRow {
    VersionRow(version: "0", architecture: "x86_64", dpdk: "")
  }
  package var uptime: Interval { .zero }
  package func health() -> [HealthCheck] { [] }
  package func ports() -> [PortRow] { [] }
  package func cores() -> [CoreRow] { [] }
  package func pools() -> [PoolRow] { [] }
  package func counters(_ group: CounterGroup) -> [CoreCounters] { [] }
  package func tcpConnections(
    offset: Int, limit: Int
  ) throws(ControlFailure) -> Page<ConnectionRow> { Page(rows: [], total: 0) }
  package func mqttClients(
    offset: Int, limit: Int
  ) throws(ControlFailure) -> Page<MQTTClientRow> { Page(rows: [], total: 0) }
  package func mqttSubscriptions(
    offset: Int, limit: Int
  ) throws(ControlFailure) -> Page<SubscriptionRow> { Page(rows: [], total: 0) }
  package func portCounters(_ name: Text) throws(ControlFailure) -> PortCounters {
    throw .unavailable("not here")
  }
  package func explain(topic: Text, client: Text?) throws(ControlFailure) -> ExplainResult {
    throw .unavailable("not here")
  }
  package func links() throws(ControlFailure) -> [LinkRow] { [] }
  package func pipelines(_ call: PipelineCall, to json: inout JSONWriter) throws(RPCError) {
    throw RPCError(.unavailable, "not here")
  }
  package func filters(_ call: FilterCall, to json: inout JSONWriter) throws(RPCError) {
    throw RPCError(.unavailable, "not here")
  }
  package func drop(connection: UInt64, core: Int) throws(ControlFailure) {
    throw .unavailable("not here")
  }
  package func disconnect(client: Text) throws(ControlFailure) { throw .unavailable("not here") }
  package func setPort(_ name: Text, isUp: Bool) throws(ControlFailure) {
    throw .unavailable("not here")
  }
  package func startCapture(port: Text?, copyBytes: Int) throws(ControlFailure) {
    throw .unavailable("not here")
  }
  package func stopCapture() {}
  package var isCapturing: Bool { false }
  package func takeCaptured(_ limit: Int, _ body: (CapturedFrame, RawSpan) -> Void) -> Int { 0 }
  package func check(_ configuration: Configuration) throws(StartFailure) {}
  package func apply(_ mqtt: Configuration.MQTT) throws(ControlFailure) {}
  package var pipelineNames: [Text] { [] }
  /// Of each question another one: nobody reads it.
  package var journal: EventJournal { EventJournal(level: .error, now: { .zero }) }
  package var statistics: StatisticsMemory? { nil }
  package var rights: RightsRow { RightsRow(user: 0, capabilities: 0, isConfined: false) }
  package func shutdown() {}
}
