import CLinux
package import DPUCore
import JSONText

/// Has the running configuration, and changes it. Of the control thread only.
package final class ConfigurationKeeper<Source: ControlSource> {
  private let source: Source
  package private(set) var running: Configuration
  /// The file it was read from.
  private let file: Text

  package init(_ running: Configuration, file: Text, source: Source) {
    self.running = running
    self.file = file
    self.source = source
  }

  /// Does what `call` says and writes the members of the result.
  func answer(_ call: ConfigurationCall, to json: inout JSONWriter) throws(RPCError) {
    switch call.method {
    case .get:
      json.key("configuration")
      running.write(to: &json)
      json.member("file", text: file)
    case .check:
      let wanted = try read(call)
      try check(wanted, call)
      json.member("good", true)
    case .diff: write(running.changes(to: try read(call)), to: &json)
    case .apply: try apply(call, to: &json)
    case .reload:
      let wanted = try read(file, call)
      try check(wanted, call)
      let changes = running.changes(to: wanted)
      try apply(changes, to: wanted, call)
      write(changes, to: &json)
    case .save:
      let path = try call.text(.path) ?? file
      try save(running, to: path, call)
      json.member("saved", text: path)
    }
  }

  // MARK: Reading

  private func read(_ call: ConfigurationCall) throws(RPCError) -> Configuration {
    guard let field = call[.text] else {
      guard let path = try call.text(.path) else {
        throw RPCError(.invalidParameters, "needs a \"text\" or a \"path\"", path: call.path)
      }
      return try read(path, call)
    }
    if let path = call[.path] {
      throw RPCError(.invalidParameters, "either a text or a path", path: path.path)
    }
    guard let given = field.node.text else {
      throw RPCError(.invalidParameters, "must be a string that holds JSON", path: field.path)
    }
    return try parse(given, named: "configuration", path: field.path)
  }

  private func read(
    _ file: Text, _ call: ConfigurationCall
  ) throws(RPCError) -> Configuration {
    let text: Text
    do throws(StartFailure) {
      text = try TextFile.read(file, maximumBytes: Limits.configurationBytes)
    } catch {
      throw RPCError(.notFound, error.message, path: call.path(of: .path))
    }
    return try parse(text, named: file, path: call.path(of: .path))
  }

  private func parse(
    _ text: Text, named name: Text, path: JSONPath
  ) throws(RPCError) -> Configuration {
    do throws(ConfigurationError) {
      return try Configuration.parse(text.span)
    } catch {
      throw RPCError(
        .refused, error.text(file: name), path: path, position: error.position,
        reason: "badConfiguration")
    }
  }

  /// The programs that a configuration names must be there and good.
  private func check(_ wanted: Configuration, _ call: ConfigurationCall) throws(RPCError) {
    do throws(StartFailure) { try source.check(wanted) } catch {
      throw RPCError(.refused, error.message, path: call.path, reason: "badProgram")
    }
  }

  // MARK: Changing

  private func apply(_ call: ConfigurationCall, to json: inout JSONWriter) throws(RPCError) {
    let wanted = try read(call)
    try check(wanted, call)
    let changes = running.changes(to: wanted)
    if try call.boolean(.next) ?? false {
      try save(wanted, to: file, call)
      json.member("saved", text: file)
    } else {
      try apply(changes, to: wanted, call)
    }
    write(changes, to: &json)
  }

  private func apply(
    _ changes: [ConfigurationChange], to wanted: Configuration, _ call: ConfigurationCall
  ) throws(RPCError) {
    if let first = changes.first(where: { !$0.isLive }) {
      let count = changes.filter { !$0.isLive }.count
      let subject: Text = "\(first.path)\(count > 1 ? " and \(count - 1) more" : "")"
      throw RPCError(
        .refused,
        call.method == .reload
          ? "\(subject) cannot change while the firmware runs; nothing was changed"
          : """
          \(subject) cannot change while the firmware runs; nothing was changed. With "next" the \
          whole is saved for the next start
          """, path: call.path, reason: "needsRestart")
    }
    try perform(
      Self.steps(from: running, to: wanted), back: Self.steps(from: wanted, to: running))
    running = wanted
  }

  private func write(_ changes: [ConfigurationChange], to json: inout JSONWriter) {
    json.array("changes", changes) { json, change in
      json.beginObject()
      json.member("path", text: change.path)
      json.key("from")
      if let from = change.from { json.value(node: from) } else { json.null() }
      json.key("to")
      if let to = change.to { json.value(node: to) } else { json.null() }
      json.member("live", change.isLive)
      json.endObject()
    }
  }

  /// One thing that is changed while packets run.
  private enum Step {
    case mqtt(Configuration.MQTT)
    case filter(FilterMethod, parameters: Text)
    case pipeline(PipelineMethod, parameters: Text)
    case logLevel(Configuration.LogLevel)
  }

  /// In an order and number that `from` and `to` exchanged give as well.
  private static func steps(from: Configuration, to: Configuration) -> [Step] {
    var steps: [Step] = []
    for role in Configuration.Role.allCases {
      let old = from.filters.first { $0.port == role }
      let new = to.filters.first { $0.port == role }
      guard old != new else { continue }
      var json = JSONWriter()
      json.beginObject()
      json.member("port", string: role.word)
      if let new {
        json.member("path", text: new.program)
        if let name = new.name { json.member("name", text: name) }
        json.member("engine", string: new.policy.engine.word)
        json.member("aborted", string: new.policy.aborted.word)
        json.member("deadDevice", string: new.policy.deadDevice.word)
      }
      json.endObject()
      steps.append(.filter(new == nil ? .unload : .load, parameters: json.text))
    }
    for (old, new) in zip(from.pipelines, to.pipelines) where old.program != new.program {
      var json = JSONWriter()
      json.beginObject()
      json.member("pipeline", text: new.name)
      if let program = new.program { json.member("path", text: program) }
      json.endObject()
      steps.append(.pipeline(new.program == nil ? .unload : .load, parameters: json.text))
    }
    if from.mqtt != to.mqtt { steps.append(.mqtt(to.mqtt)) }
    if from.logLevel != to.logLevel { steps.append(.logLevel(to.logLevel)) }
    return steps
  }

  /// All steps, or none: when one fails, those before it are taken back.
  private func perform(_ steps: [Step], back: [Step]) throws(RPCError) {
    for index in steps.indices {
      do throws(RPCError) { try perform(steps[index]) } catch {
        var failure = error
        for done in (0..<index).reversed() {
          do throws(RPCError) { try perform(back[done]) } catch {
            // A worker that does not answer, or a file that has gone meanwhile.
            failure.message.append(
              "; and taking back a change failed: \(error.message)" as Text)
          }
        }
        throw failure
      }
    }
  }

  private func perform(_ step: Step) throws(RPCError) {
    var json = JSONWriter()
    json.beginObject()
    switch step {
    case .mqtt(let mqtt):
      do throws(ControlFailure) { try source.apply(mqtt) } catch { throw RPCError(error) }
    case .filter(let method, let parameters):
      try taking(away: method == .unload) { () throws(RPCError) in
        try source.filters(FilterCall(method, JSONField(own: parameters)), to: &json)
      }
    case .pipeline(let method, let parameters):
      try taking(away: method == .unload) { () throws(RPCError) in
        try source.pipelines(PipelineCall(method, JSONField(own: parameters)), to: &json)
      }
    case .logLevel(let level): source.journal.level = level
    }
    json.endObject()
  }

  /// What an operator has taken away by hand before is away as well.
  private func taking(away isUnload: Bool, _ body: () throws(RPCError) -> Void) throws(RPCError) {
    do throws(RPCError) { try body() } catch {
      guard isUnload, error.code == .unavailable else { throw error }
    }
  }

  // MARK: Writing

  /// The whole file or nothing: a crash leaves the old one.
  private func save(
    _ configuration: Configuration, to path: Text, _ call: ConfigurationCall
  ) throws(RPCError) {
    guard path.bytes.first == UInt8(ascii: "/") else {
      throw RPCError(.invalidParameters, "must be an absolute path", path: call.path(of: .path))
    }
    // A text of ours is JSON.
    guard let node = try? JSONDocument.parse(configuration.json.span) else { return }
    var text = node.indentedJSON
    text.append(byte: UInt8(ascii: "\n"))
    do throws(StartFailure) { try TextFile.replace(path, with: text) } catch {
      throw RPCError(.refused, error.message, path: call.path(of: .path), reason: "cannotWrite")
    }
  }
}
