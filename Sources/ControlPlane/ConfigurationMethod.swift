/// What can be asked of the configuration over the control socket.
package enum ConfigurationMethod: PartMethod {
  case get, check, diff, apply, save, reload

  package var name: StaticString {
    switch self {
    case .get: "config.get"
    case .check: "config.check"
    case .diff: "config.diff"
    case .apply: "config.apply"
    case .save: "config.save"
    case .reload: "system.reload"
    }
  }

  package var summary: StaticString {
    switch self {
    case .get: "The configuration that runs, with every default."
    case .check: "Reads another configuration and the programs it names, and changes nothing."
    case .diff: "What another configuration would change, and what of it while running."
    case .apply: "Changes the running configuration, all of it or nothing."
    case .reload: "Reads the configuration file again and changes what differs, or nothing."
    case .save: "Writes the running configuration to the file it came from, or to another."
    }
  }

  /// `check` and `diff` read files with the firmware's rights.
  package var isWrite: Bool { self != .get }
}

/// A named parameter of the methods for the configuration.
package enum ConfigurationParameter: NamedParameter, Sendable {
  case text, path, next

  package var name: StaticString {
    switch self {
    case .text: "text"
    case .path: "path"
    case .next: "next"
    }
  }

  package var kind: ParameterKind {
    switch self {
    case .text: .text(maximumBytes: Limits.configurationBytes)
    case .path: .text(maximumBytes: 4_096)
    case .next: .boolean
    }
  }
}

extension ConfigurationMethod {
  package func takes(_ parameter: ConfigurationParameter) -> Bool {
    switch self {
    case .get, .reload: false
    case .check, .diff: parameter != .next
    case .apply: true
    case .save: parameter == .path
    }
  }

  /// One of `text` and `path` must be there, which is said when both are missing.
  package func requires(_: ConfigurationParameter) -> Bool { false }
}

package typealias ConfigurationCall = MethodCall<ConfigurationMethod>
