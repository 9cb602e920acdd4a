package import DPUCore
package import JSONText

/// Where the control plane gets its answers: the firmware, seen by an operator.
///
/// All calls come from the control thread, one at a time. Those that need a poll loop put a
/// command in its ring and wait for the rows, for at most `Limits.coreAnswerMilliseconds`; the
/// others read counters and constants.
package protocol ControlSource: AnyObject, Sendable {
  var version: VersionRow { get }
  var uptime: Interval { get }
  func health() -> [HealthCheck]
  func ports() -> [PortRow]
  /// What the poll loops and the driver have counted of a port.
  func portCounters(_ name: Text) throws(ControlFailure) -> PortCounters
  func cores() -> [CoreRow]
  func pools() -> [PoolRow]
  /// The counters of all cores that belong to `group`; sets of one core are shown as one.
  func counters(_ group: CounterGroup) -> [CoreCounters]
  func tcpConnections(offset: Int, limit: Int) throws(ControlFailure) -> Page<ConnectionRow>
  func mqttClients(offset: Int, limit: Int) throws(ControlFailure) -> Page<MQTTClientRow>
  /// The subscriptions that the offload delivers by, in no order.
  func mqttSubscriptions(offset: Int, limit: Int) throws(ControlFailure) -> Page<SubscriptionRow>
  /// For a message of `client`, or of any well-behaved client when nil.
  func explain(topic: Text, client: Text?) throws(ControlFailure) -> ExplainResult
  func links() throws(ControlFailure) -> [LinkRow]
  /// Does what `call` says with the P4 pipelines, and writes the members of the result.
  func pipelines(_ call: PipelineCall, to json: inout JSONWriter) throws(RPCError)
  /// The same with the eBPF filters.
  func filters(_ call: FilterCall, to json: inout JSONWriter) throws(RPCError)
  /// Ends a connection of a core with a reset.
  func drop(connection: UInt64, core: Int) throws(ControlFailure)
  /// Ends the connection of an MQTT client.
  func disconnect(client: Text) throws(ControlFailure)
  func setPort(_ name: Text, isUp: Bool) throws(ControlFailure)
  /// Copies the frames of a port, or of all ports when nil, at most `copyBytes` of each, until
  /// `stopCapture`.
  func startCapture(port: Text?, copyBytes: Int) throws(ControlFailure)
  func stopCapture()
  var isCapturing: Bool { get }
  /// Shows frames that were copied and drops them, at most `limit`. Returns how many.
  func takeCaptured(_ limit: Int, _ body: (CapturedFrame, RawSpan) -> Void) -> Int
  /// Whether what the configuration names is there and good: programs of pipelines and filters.
  func check(_ configuration: Configuration) throws(StartFailure)
  /// Gives the offload what of its settings can change while it runs.
  func apply(_ mqtt: Configuration.MQTT) throws(ControlFailure)
  /// Of those that have a program or could get one.
  var pipelineNames: [Text] { get }
  var journal: EventJournal { get }
  /// The memory that counters stand in; nil when it is this process's own.
  var statistics: StatisticsMemory? { get }
  var rights: RightsRow { get }
  /// Asks the firmware to stop; it may go on for a moment.
  func shutdown()
}

/// Shared memory with all counters.
package struct StatisticsMemory: Sendable {
  package var descriptor: Int32
  package var byteCount: Int
  /// Version of what stands where in it.
  package var layout: Int

  package init(descriptor: Int32, byteCount: Int, layout: Int) {
    self.descriptor = descriptor
    self.byteCount = byteCount
    self.layout = layout
  }
}

package enum CounterGroup: Sendable { case core, tcp, mqtt, link }

/// A part of a longer listing.
package struct Page<Row: Sendable>: Sendable {
  package var rows: [Row]
  /// Rows in the whole listing.
  package var total: Int

  package init(rows: [Row], total: Int) {
    self.rows = rows
    self.total = total
  }
}

/// Why the firmware cannot answer.
package enum ControlFailure: Error {
  /// A poll loop did not answer in time.
  case timeout(core: Int)
  /// What the caller named does not exist.
  case notFound(StaticString)
  /// Not in this configuration or not at this moment.
  case unavailable(StaticString)
}
