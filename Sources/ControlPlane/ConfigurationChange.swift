package import DPUCore
package import JSONText

/// A member that differs between two configurations.
package struct ConfigurationChange {
  /// `$.mqtt.consume`
  package var path: Text
  /// Nil: not there.
  package var from: JSONNode?
  package var to: JSONNode?
  /// Whether it can be changed while the firmware runs.
  package var isLive: Bool
}

extension Configuration {
  /// What must change for `self` to become `other`, in the order of the file.
  package func changes(to other: Configuration) -> [ConfigurationChange] {
    // Texts of ours are JSON.
    guard let from = try? JSONDocument.parse(json.span),
      let to = try? JSONDocument.parse(other.json.span)
    else { return [] }
    let keepsPipelines = hasSamePipelines(as: other)
    var changes: [ConfigurationChange] = []
    Self.compare(from, to, path: "$") { path, from, to in
      changes.append(
        ConfigurationChange(
          path: path, from: from, to: to,
          isLive: Self.isLive(path, keepsPipelines: keepsPipelines)))
    }
    return changes
  }

  /// The same but for their programs. A program can be swapped and loaded while packets run; to be
  /// without one from the start is the start's matter.
  private func hasSamePipelines(as other: Configuration) -> Bool {
    guard pipelines.count == other.pipelines.count else { return false }
    for (mine, theirs) in zip(pipelines, other.pipelines)
    where mine.name != theirs.name || mine.ports != theirs.ports {
      return false
    }
    return true
  }

  private static func isLive(_ path: Text, keepsPipelines: Bool) -> Bool {
    if path == "$.log" || path == "$.mqtt.consume" || path == "$.mqtt.verify"
      || path == "$.mqtt.ttlMilliseconds" || path == "$.mqtt.maximumPacket"
    {
      return true
    }
    if path.bytes.starts(with: ("$.filters" as Text).bytes) { return true }
    return keepsPipelines && path.bytes.starts(with: ("$.pipelines[" as Text).bytes)
  }

  private static func compare(
    _ from: JSONNode, _ to: JSONNode, path: Text,
    _ found: (Text, JSONNode?, JSONNode?) -> Void
  ) {
    if from.kind == .object, to.kind == .object {
      let new = to.members
      for member in from.members {
        let name: Text = "\(path).\(member.key)"
        if let other = new.first(where: { $0.key == member.key }) {
          compare(member.node, other.node, path: name, found)
        } else {
          found(name, member.node, nil)
        }
      }
      let old = from.members
      for member in new where !old.contains(where: { $0.key == member.key }) {
        found("\(path).\(member.key)", nil, member.node)
      }
    } else if from.kind == .array, to.kind == .array {
      let old = from.elements
      let new = to.elements
      for index in 0..<max(old.count, new.count) {
        let name: Text = "\(path)[\(index)]"
        if index < old.count, index < new.count {
          compare(old[index], new[index], path: name, found)
        } else {
          found(name, index < old.count ? old[index] : nil, index < new.count ? new[index] : nil)
        }
      }
    } else if from.json != to.json {
      found(path, from, to)
    }
  }
}
