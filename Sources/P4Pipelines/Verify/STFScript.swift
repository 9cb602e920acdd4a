package import DPUCore

/// A test in the language of p4c's test set (STF, simple test framework): commands for the switch,
/// packets that arrive, and packets that must leave.
package struct STFScript: Sendable {
  package var statements: [Statement] = []

  package struct Statement: Sendable {
    package var command: Command
    package var line: Int
    package var column: Int
  }

  package enum Command: Sendable {
    case packet(port: Int, bytes: [UInt8])
    /// The next packet that leaves this port; nil: whatever it looks like.
    case expect(port: Int, PacketPattern?)
    /// A larger priority wins. `handle` is a name that later commands may use.
    case add(
      table: ScriptWord, priority: Int?, keys: [Named], action: ActionText, handle: Text?)
    case remove(table: ScriptWord, priority: Int?, keys: [Named])
    /// The entries of all tables that may be changed.
    case removeAll
    case setDefault(table: ScriptWord, action: ActionText)
    case checkCounter(name: ScriptWord, index: ScriptWord, Comparison?)
    /// Lets what is under way come to rest, then so much time pass.
    case wait(milliseconds: UInt64)
    /// Nothing to do: what leaves without having been expected fails anyway.
    case expectNothing
    /// Anything else is a command of simple_switch_CLI.
    case command(ScriptLineWords)
  }

  package struct ScriptLineWords: Sendable {
    var words: [ScriptWord]
  }

  /// `name:value`.
  package struct Named: Sendable {
    var name: ScriptWord
    var value: ScriptWord
  }

  package struct ActionText: Sendable {
    var name: ScriptWord
    /// A nil name: by its place.
    var arguments: [(name: ScriptWord?, value: ScriptWord)]
  }

  package struct Comparison: Sendable {
    var ofBytes: Bool
    var relation: Relation
    var value: UInt64
  }

  package enum Relation: Sendable {
    case equal, notEqual, less, lessOrEqual, greater, greaterOrEqual

    var sign: StaticString {
      switch self {
      case .equal: "=="
      case .notEqual: "!="
      case .less: "<"
      case .lessOrEqual: "<="
      case .greater: ">"
      case .greaterOrEqual: ">="
      }
    }

    func holds(_ left: UInt64, _ right: UInt64) -> Bool {
      switch self {
      case .equal: left == right
      case .notEqual: left != right
      case .less: left < right
      case .lessOrEqual: left <= right
      case .greater: left > right
      case .greaterOrEqual: left >= right
      }
    }
  }
}
