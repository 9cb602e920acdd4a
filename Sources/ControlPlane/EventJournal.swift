package import DPUCore
import JSONText

/// What an event is about; a client subscribes to kinds.
package enum EventKind: Int, CaseIterable, ClosedWord, Sendable {
  /// Something that must hold began or ceased to hold.
  case health
  /// An operator changed something.
  case change
  /// What pipelines send to the control plane; each is taken by the subscribers.
  case packetIn, digest, timeout, log
  /// Frames that were copied.
  case capture

  package var word: StaticString {
    switch self {
    case .health: "health"
    case .change: "change"
    case .packetIn: "p4.packetIn"
    case .digest: "p4.digest"
    case .timeout: "p4.timeout"
    case .log: "p4.log"
    case .capture: "capture"
    }
  }

  /// The method that takes what there is of a stream; nil: not a stream of a pipeline.
  var stream: PipelineMethod? {
    switch self {
    case .health, .change, .capture: nil
    case .packetIn: .packetIn
    case .digest: .digests
    case .timeout: .timeouts
    case .log: .logs
    }
  }
}

/// Kinds of events.
package struct EventKinds: Equatable, Sendable {
  private var bits: UInt32 = 0

  package init() {}
  package static let none = EventKinds()

  package var isEmpty: Bool { bits == 0 }
  /// Whether one is among them that must be looked for often.
  package var hasStream: Bool {
    for kind in EventKind.allCases where kind.stream != nil && contains(kind) { return true }
    return contains(.capture)
  }
  package func contains(_ kind: EventKind) -> Bool { bits & 1 << UInt32(kind.rawValue) != 0 }
  package mutating func insert(_ kind: EventKind) { bits |= 1 << UInt32(kind.rawValue) }
  package mutating func formUnion(_ other: EventKinds) { bits |= other.bits }
}

/// One event, as it goes to those who subscribed.
struct Event {
  var kind: EventKind
  /// A notification (JSON-RPC 2.0, section 4.1), one line.
  var line: Text
}

/// What happens to the firmware, and when: for the log, for `log.tail`, and for subscribers. Of the
/// control thread, and of the main thread before that starts.
package final class EventJournal: @unchecked Sendable {
  /// What goes to standard error; the memory keeps all.
  package var level: Configuration.LogLevel
  private let now: () -> Instant
  private let started: Instant
  /// The latest lines; `next` is where the next one goes.
  private var lines: [Text] = []
  private var next = 0
  private var sequence: UInt64 = 0
  private var pending: [Event] = []

  package init(level: Configuration.LogLevel, now: @escaping () -> Instant) {
    self.level = level
    self.now = now
    started = now()
  }

  /// Writes a line of the log: `level=info kind=health message="..."`, and keeps an event with it.
  package func post(_ kind: EventKind, _ level: Configuration.LogLevel, _ message: Text) {
    var line = Text()
    line.append("uptime=" as StaticString)
    line.append((now() - started).milliseconds)
    line.append("ms level=" as StaticString)
    line.append(level.word)
    line.append(" kind=" as StaticString)
    line.append(kind.word)
    line.append(" message=" as StaticString)
    // As JSON quotes it, which is as logfmt does.
    var quoted = JSONWriter()
    quoted.value(text: message)
    line.append(quoted.text)
    keep(line)
    if level.weight <= self.level.weight { line.printLine(to: 2) }
    var event = JSONWriter()
    begin(&event, kind)
    event.member("level", string: level.word)
    event.member("message", text: message)
    end(&event, kind)
  }

  /// An event that is for subscribers only: `content` is a finished object.
  func post(_ kind: EventKind, pipeline: Text, _ content: JSONWriter) {
    var event = JSONWriter()
    begin(&event, kind)
    event.member("pipeline", text: pipeline)
    event.key("content")
    event.value(finished: content)
    end(&event, kind)
  }

  /// Frames as JSON objects. `nanoseconds` of each are of the same clock as those of the event.
  func post(captured frames: [JSONWriter], now: Instant) {
    var event = JSONWriter()
    begin(&event, .capture)
    event.member("nanoseconds", now.nanoseconds)
    event.array("frames", frames) { json, frame in json.value(finished: frame) }
    end(&event, .capture)
  }

  private func begin(_ event: inout JSONWriter, _ kind: EventKind) {
    sequence += 1
    event.beginObject()
    event.member("jsonrpc", string: "2.0")
    event.member("method", string: "event")
    event.key("params")
    event.beginObject()
    event.member("kind", string: kind.word)
    event.member("sequence", sequence)
    event.member("uptimeMilliseconds", (now() - started).milliseconds)
  }

  private func end(_ event: inout JSONWriter, _ kind: EventKind) {
    event.endObject()
    event.endObject()
    pending.append(Event(kind: kind, line: event.text))
  }

  private func keep(_ line: Text) {
    if lines.count < Limits.logLines {
      lines.append(line)
    } else {
      lines[next] = line
      next = (next + 1) % Limits.logLines
    }
  }

  /// The latest lines, oldest first.
  func tail(_ limit: Int) -> [Text] {
    var result: [Text] = []
    for index in max(0, lines.count - limit)..<lines.count {
      result.append(lines[(next + index) % lines.count])
    }
    return result
  }

  /// Those since the last call.
  func takePending() -> [Event] {
    defer { pending = [] }
    return pending
  }
}

extension Configuration.LogLevel {
  /// Larger: of less weight.
  fileprivate var weight: Int {
    switch self {
    case .error: 0
    case .warning: 1
    case .info: 2
    case .debug: 3
    }
  }
}
