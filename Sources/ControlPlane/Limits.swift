/// Capacities of the control plane, each with its reason.
package enum Limits {
  // MARK: Requests

  /// The largest configuration fits many times over; more is a mistake or an attack.
  package static let requestBytes = 1 << 20
  /// Records behind a request: some ten thousand writes.
  package static let bodyBytes = 1 << 20
  /// A full page of rows takes a quarter of this.
  package static let replyBytes = 4 << 20
  /// Of a reply, what errors cannot need: after so many bytes a batch may still be refused in full.
  package static let resultBytes = replyBytes - batchRequests * 4_096
  /// An `id` or the name of a method. Both come back in errors, six times as long when escaped.
  package static let identifierBytes = 128
  /// A batch answers in one reply, so it is bounded by what one reply may hold.
  package static let batchRequests = 64
  /// Rows of one listing; a client asks for the next page with `offset`.
  package static let rowsPerReply = 1_000
  /// Operators, a dashboard and an exporter together take a handful.
  package static let clients = 64
  /// A person who types a line by hand sends it whole; a program needs a millisecond.
  package static let halfRequestMilliseconds: UInt64 = 5_000
  /// A client that takes none of its reply for so long does not read it.
  package static let unreadReplyMilliseconds: UInt64 = 30_000

  /// However slowly it comes, a request is whole by then.
  package static let wholeRequestMilliseconds: UInt64 = 60_000
  /// A poll loop turns in microseconds; one that needs so long for an answer is stuck.
  package static let coreAnswerMilliseconds: UInt64 = 500
  /// Lines of the log that are kept for `log.tail`: days of a healthy firmware.
  package static let logLines = 4_096
  /// How often streams of pipelines are looked at while somebody subscribes to them.
  package static let streamMilliseconds: UInt64 = 10
  /// How often health is looked at.
  package static let healthMilliseconds: UInt64 = 1_000
  /// Events that wait for a subscriber; beyond, it loses events and is told how many.
  package static let unsentEventBytes = 1 << 20
  /// The most that is copied of a frame for a capture: all of one that is no jumbo frame.
  package static let captureBytes = 2_048
  /// Frames of one event of a capture.
  package static let framesPerEvent = 64
  /// Requests of one client before it is the others' turn.
  package static let requestsPerTurn = 16

  // MARK: Configuration

  package static let configurationBytes = 1 << 20
  package static let ealArguments = 64
  /// Linux limits a path of a socket to 107 bytes and a zero.
  package static let socketPathBytes = 107
  package static let cores = 64
  /// The uplink, the host port and the stack can belong to one each; one more has only a CPU port.
  package static let pipelines = 4
  package static let pipelineNameBytes = 32
  /// v1model ports have nine bits, and 511 means "drop".
  package static let pipelinePortMax = 510
  /// One for IPv4 and one for IPv6: what the TCP stack answers to.
  package static let addresses = 2
}
