package import DPUCore

/// What the shim told a firmware on another machine of the certificate, and whether the firmware may
/// still believe that it stands.
///
/// In shared memory the certificate is a word that is gone when it is overwritten. Over a network it
/// is gone when the firmware says so, or when the firmware must have stopped to believe anything:
/// it relays every message from a stall on, which is one and a half seconds after the last frame.
package struct CertificateClaim: BitwiseCopyable, Sendable {
  /// An acknowledgement that does not come within this ends the link.
  package static let acknowledgedWithin = Interval.seconds(2)
  /// From the end of the link until nothing said on it can be believed. Longer than
  /// `LinkLiveness.pingAfter` and `stalledAfter` together.
  package static let disbelievedAfter = Interval.seconds(2)

  /// What somebody who must not go on before it is disbelieved has to do.
  package enum Verdict: Equatable, BitwiseCopyable, Sendable {
    /// Go on.
    case disbelieved
    /// Look again when there is news, or at this time.
    case wait(until: Instant)
    /// Have the link dropped, then look again.
    case drop
  }

  private var flags: CertificateFlags = []
  /// Of the statement that says `flags`.
  private var number: UInt64 = 0
  /// The statement that was sent last, of this attachment.
  private var sent: UInt64 = 0
  /// The last statement of this attachment that certified; 0: there was none.
  private var certifying: UInt64 = 0
  private var acknowledged: UInt64 = 0
  private var isAttached = false
  /// What was said on links that ended may be believed until then.
  private var believedUntil = Instant.zero

  package init() {}

  /// The certificate is `flags` from now on.
  package mutating func change(to flags: CertificateFlags) {
    guard flags != self.flags else { return }
    self.flags = flags
    number += 1
  }

  /// A link begins; the firmware knows nothing.
  package mutating func attach() {
    number += 1
    sent = 0
    certifying = 0
    acknowledged = 0
    isAttached = true
  }

  /// The statement to be sent now, nil when the last one still holds. It counts as sent.
  package mutating func nextStatement() -> CertificateRecord? {
    guard isAttached, sent != number else { return nil }
    sent = number
    if flags == .certified { certifying = number }
    return CertificateRecord(.statement, flags: flags, number: number)
  }

  /// The firmware acknowledged the statement with this number. False: it was never sent.
  package mutating func acknowledge(_ number: UInt64) -> Bool {
    guard isAttached, number <= sent, number >= acknowledged else { return false }
    acknowledged = number
    return true
  }

  /// The link ended; `farewell`: not before the firmware said that no certificate is left.
  package mutating func detach(farewell: Bool, now: Instant) {
    if mayBeBelieved, !farewell { believedUntil = now + Self.disbelievedAfter }
    isAttached = false
    certifying = 0
  }

  /// A statement that certified was sent, and none after it acknowledged.
  private var mayBeBelieved: Bool { certifying != 0 && acknowledged <= certifying }

  /// For one that waits since `start`, with the certificate taken back.
  package func verdict(since start: Instant, now: Instant) -> Verdict {
    if mayBeBelieved {
      let end = start + Self.acknowledgedWithin
      return now < end ? .wait(until: end) : .drop
    }
    return now < believedUntil ? .wait(until: believedUntil) : .disbelieved
  }
}
