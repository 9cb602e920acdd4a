/// What a filter says about a packet: the values of Linux's `enum xdp_action`.
package enum Verdict: UInt32, CaseIterable, BitwiseCopyable, Sendable {
  /// The program could not do its work, or was stopped.
  case aborted = 0
  case drop = 1
  case pass = 2
  /// Back out of the port that it came in at.
  case transmit = 3
  /// Out of the port that `bpf_redirect` named.
  case redirect = 4

  /// The low half of r0. Any other number counts as `aborted`.
  package init(r0: UInt64) {
    self = Verdict(rawValue: UInt32(truncatingIfNeeded: r0)) ?? .aborted
  }

  package var name: StaticString {
    switch self {
    case .aborted: "aborted"
    case .drop: "drop"
    case .pass: "pass"
    case .transmit: "tx"
    case .redirect: "redirect"
    }
  }
}
