import DPUCore
import Testing

@testable import HostLink

/// When a call that took the certificate back may go on.
@Suite struct CertificateClaimTests {
  private func at(_ milliseconds: UInt64) -> Instant {
    Instant(nanoseconds: (10_000 + milliseconds) * 1_000_000)
  }

  /// Attached, certified and acknowledged.
  private func certified() -> CertificateClaim {
    var claim = CertificateClaim()
    claim.change(to: .certified)
    claim.attach()
    let statement = claim.nextStatement()!
    let known = claim.acknowledge(statement.number)
    check(known)
    return claim
  }

  @Test func withoutALinkNobodyWaits() {
    var claim = CertificateClaim()
    claim.change(to: .kernelConnection)
    check(claim.verdict(since: at(0), now: at(0)), is: .disbelieved)
    check(claim.nextStatement(), is: nil)
  }

  @Test func aRevocationWaitsForItsAcknowledgement() {
    var claim = certified()
    claim.change(to: .kernelConnection)
    check(claim.verdict(since: at(0), now: at(0)), is: .wait(until: at(2_000)))
    let statement = claim.nextStatement()!
    check(statement.flags, is: .kernelConnection)
    check(claim.nextStatement(), is: nil)
    check(claim.verdict(since: at(0), now: at(1)), is: .wait(until: at(2_000)))
    check(claim.acknowledge(statement.number))
    check(claim.verdict(since: at(0), now: at(2)), is: .disbelieved)
    // Taken back already: the next one need not wait.
    claim.change(to: [.kernelConnection, .outgoingConnection])
    check(claim.verdict(since: at(3), now: at(3)), is: .disbelieved)
  }

  /// What was said before the revocation does not count as its acknowledgement.
  @Test func anOlderAcknowledgementIsNotEnough() {
    var claim = CertificateClaim()
    claim.change(to: .certified)
    claim.attach()
    let first = claim.nextStatement()!
    claim.change(to: .kernelConnection)
    let second = claim.nextStatement()!
    check(claim.acknowledge(first.number))
    check(claim.verdict(since: at(0), now: at(0)), is: .wait(until: at(2_000)))
    check(claim.acknowledge(second.number))
    check(claim.verdict(since: at(0), now: at(0)), is: .disbelieved)
  }

  /// A certificate that was never sent is believed by nobody.
  @Test func whatWasNotSentNeedsNoWaiting() {
    var claim = CertificateClaim()
    claim.change(to: .certified)
    claim.attach()
    claim.change(to: .otherListener)
    check(claim.verdict(since: at(0), now: at(0)), is: .disbelieved)
    check(claim.nextStatement()?.flags, is: .otherListener)
  }

  @Test func withoutAcknowledgementTheLinkIsDroppedAndThenDisbelieved() {
    var claim = certified()
    claim.change(to: .kernelConnection)
    _ = claim.nextStatement()
    check(claim.verdict(since: at(0), now: at(1_999)), is: .wait(until: at(2_000)))
    check(claim.verdict(since: at(0), now: at(2_000)), is: .drop)
    claim.detach(farewell: false, now: at(2_010))
    check(claim.verdict(since: at(0), now: at(2_011)), is: .wait(until: at(4_010)))
    check(claim.verdict(since: at(0), now: at(4_010)), is: .disbelieved)
  }

  @Test func aLostLinkIsBelievedForAWhile() {
    var claim = certified()
    claim.detach(farewell: false, now: at(0))
    claim.change(to: .kernelConnection)
    check(claim.verdict(since: at(500), now: at(500)), is: .wait(until: at(2_000)))
    // A new link does not end the wait for what the old one said.
    claim.attach()
    check(claim.verdict(since: at(500), now: at(600)), is: .wait(until: at(2_000)))
    check(claim.verdict(since: at(500), now: at(2_000)), is: .disbelieved)
  }

  @Test func aFarewellEndsAllBelief() {
    var claim = certified()
    claim.detach(farewell: true, now: at(0))
    claim.change(to: .kernelConnection)
    check(claim.verdict(since: at(1), now: at(1)), is: .disbelieved)
  }

  @Test func aRevokedLinkThatIsLostIsNotWaitedFor() {
    var claim = certified()
    claim.change(to: .kernelConnection)
    check(claim.acknowledge(claim.nextStatement()!.number))
    claim.detach(farewell: false, now: at(0))
    check(claim.verdict(since: at(1), now: at(1)), is: .disbelieved)
  }

  @Test func anAcknowledgementOfWhatWasNotSaidIsRefused() {
    var claim = certified()
    check(!claim.acknowledge(99))
    claim.change(to: .kernelConnection)
    let statement = claim.nextStatement()!
    check(claim.acknowledge(statement.number))
    check(!claim.acknowledge(statement.number - 1))
    claim.detach(farewell: false, now: at(0))
    check(!claim.acknowledge(statement.number))
  }

  /// Each link begins with a statement, also when nothing changed meanwhile.
  @Test func aNewLinkIsToldAnew() {
    var claim = certified()
    let before = claim.nextStatement()
    check(before, is: nil)
    claim.detach(farewell: true, now: at(0))
    claim.attach()
    check(claim.nextStatement()?.flags, is: .certified)
  }
}
