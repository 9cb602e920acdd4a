import DPUCore
import JSONText

/// Looks for what no part reports by itself: health, and the streams of pipelines. Of the control
/// thread only.
struct EventSource {
  private var wasGood: [(name: Text, isGood: Bool)] = []
  private var healthDue = Instant.zero
  private var streamsDue = Instant.zero

  /// When `look` has something to do again.
  func deadline(_ wanted: EventKinds) -> Instant {
    wanted.hasStream ? min(healthDue, streamsDue) : healthDue
  }

  /// Posts what has happened. `wanted`: what somebody subscribed to.
  mutating func look<Source: ControlSource>(_ source: Source, _ wanted: EventKinds, now: Instant) {
    if now >= healthDue {
      healthDue = now + .milliseconds(Limits.healthMilliseconds)
      lookAtHealth(source)
    }
    // Who wanted the frames is gone.
    if !wanted.contains(.capture), source.isCapturing { source.stopCapture() }
    if wanted.hasStream, now >= streamsDue {
      streamsDue = now + .milliseconds(Limits.streamMilliseconds)
      lookAtStreams(source, wanted)
      if wanted.contains(.capture) { lookAtCapture(source, now: now) }
    }
  }

  private mutating func lookAtHealth<Source: ControlSource>(_ source: Source) {
    let checks = source.health()
    for check in checks {
      let before = wasGood.first { $0.name == check.name }?.isGood
      // What is bad from the start is news, what is good from the start is not.
      guard check.isGood != before ?? true else { continue }
      source.journal.post(
        .health, check.isGood ? .info : .warning, "\(check.name): \(check.detail)")
    }
    wasGood = checks.map { ($0.name, $0.isGood) }
  }

  private func lookAtCapture<Source: ControlSource>(_ source: Source, now: Instant) {
    while true {
      var frames: [JSONWriter] = []
      let count = source.takeCaptured(Limits.framesPerEvent) { frame, bytes in
        var json = JSONWriter()
        json.beginObject()
        json.member("port", text: frame.port)
        json.member("core", frame.core)
        json.member("outgoing", frame.isOutgoing)
        json.member("nanoseconds", frame.at.nanoseconds)
        json.member("length", frame.length)
        json.member("frame", hexadecimal: bytes)
        json.endObject()
        frames.append(json)
      }
      if count > 0 { source.journal.post(captured: frames, now: now) }
      if count < Limits.framesPerEvent { return }
    }
  }

  private func lookAtStreams<Source: ControlSource>(_ source: Source, _ wanted: EventKinds) {
    for pipeline in source.pipelineNames {
      for kind in EventKind.allCases where wanted.contains(kind) {
        guard let method = kind.stream else { continue }
        take(method, kind, of: pipeline, from: source)
      }
    }
  }

  /// Takes what there is; a pipeline without a program has nothing.
  private func take<Source: ControlSource>(
    _ method: PipelineMethod, _ kind: EventKind, of pipeline: Text, from source: Source
  ) {
    var parameters = JSONWriter()
    parameters.beginObject()
    parameters.member("pipeline", text: pipeline)
    parameters.endObject()
    guard let call = try? PipelineCall(method, JSONField(own: parameters.text)) else { return }
    var content = JSONWriter()
    content.beginObject()
    do throws(RPCError) { try source.pipelines(call, to: &content) } catch { return }
    content.endObject()
    guard let result = try? JSONDocument.parse(content.text.span), Self.isNews(result) else {
      return
    }
    source.journal.post(kind, pipeline: pipeline, content)
  }

  /// Whether anything was taken, or lost before it could be.
  private static func isNews(_ result: JSONNode) -> Bool {
    for member in result.members {
      if member.node.kind == .array, member.node.count > 0 { return true }
      if let count = member.node.integer, count != 0 { return true }
    }
    return false
  }
}
