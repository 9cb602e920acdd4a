/// What a program may ask of the switch for a packet besides what it writes into
/// `standard_metadata`, and what the machine notes about a packet. The last call of a kind counts.
package enum RequestKind: Int, CaseIterable, BitwiseCopyable, Sendable {
  /// `clone` of either kind; which of the two follows from the control that has just run.
  /// Value: the session. List: a field list.
  case clone
  /// List: a learn list.
  case digest
  /// List: a field list.
  case resubmit, recirculate
  /// Value: bytes to keep of the packet that leaves.
  case truncate
  /// An `assert` or `assume` did not hold; the packet went on.
  case failedAssertion
  /// The packet ran in a loop without end and was taken out of it: drop it.
  case stepLimit

  static let count = 7
}

/// Several kinds of requests.
package struct RequestKinds: OptionSet, BitwiseCopyable, Sendable {
  package let rawValue: UInt8
  package init(rawValue: UInt8) { self.rawValue = rawValue }
  package init(_ kind: RequestKind) { rawValue = 1 << UInt8(kind.rawValue) }
  package static let clone = RequestKinds(.clone)
  package static let digest = RequestKinds(.digest)
  package static let resubmit = RequestKinds(.resubmit)
  package static let recirculate = RequestKinds(.recirculate)
  package static let truncate = RequestKinds(.truncate)
  package static let failedAssertion = RequestKinds(.failedAssertion)
  package static let stepLimit = RequestKinds(.stepLimit)
  package static let all = RequestKinds(rawValue: 0x7f)
  package func contains(_ kind: RequestKind) -> Bool { rawValue >> UInt8(kind.rawValue) & 1 != 0 }
}
