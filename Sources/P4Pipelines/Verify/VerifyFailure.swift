package import DPUCore

/// One way in which a switch did not do what a test wants.
package enum VerifyFailure: Sendable {
  /// A line of the test that cannot be carried out.
  case refused(ScriptError)
  /// Packet `number`, from 1, of those that left a port.
  case differs(port: Int, number: Int, expected: PacketPattern, got: [UInt8], nibble: Int)
  case missing(port: Int, number: Int, expected: PacketPattern?)
  case unexpected(port: Int, number: Int, got: [UInt8])
  /// A counter or a register.
  case state(name: Text, expected: Text, got: Text)
  /// Packets still run in circles.
  case restless

  /// For people; several lines.
  package var text: Text {
    switch self {
    case .refused(let error):
      return "line \(error.line), column \(error.column): \(error.message)"
    case .differs(let port, let number, let expected, let got, let nibble):
      let half: StaticString = nibble % 2 == 0 ? "first" : "second"
      var text: Text =
        "port \(port), packet \(number): differs at byte \(nibble / 2), \(half) digit\n"
      text.append("  expected \(expected.text)\n" as Text)
      text.append("  got      \(Text.hexadecimal(got))\n           " as Text)
      for _ in 0..<nibble { text.append(byte: UInt8(ascii: " ")) }
      text.append(byte: UInt8(ascii: "^"))
      return text
    case .missing(let port, let number, let expected):
      let wanted: Text = expected.map { $0.text } ?? "any packet"
      return "port \(port), packet \(number): did not leave\n  expected \(wanted)"
    case .unexpected(let port, let number, let got):
      return "port \(port), packet \(number): was not expected\n  got      \(Text.hexadecimal(got))"
    case .state(let name, let expected, let got):
      return "\(name): expected \(expected), got \(got)"
    case .restless:
      return "the switch does not come to rest: packets run in circles"
    }
  }
}

/// What came of a test.
package struct VerifyReport: Sendable {
  package var failures: [VerifyFailure] = []
  package var packetsIn = 0
  package var packetsOut = 0
  /// Expectations about packets and state that were looked at.
  package var checks = 0

  package init() {}
  package var passed: Bool { failures.isEmpty }
}
