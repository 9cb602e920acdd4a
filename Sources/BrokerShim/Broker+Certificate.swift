import CLinux
import DPUCore
import HostLink

// Taking the certificate back before the broker goes on.

extension BrokerState {
  var certificate: CertificateFlags {
    var flags: CertificateFlags = []
    if kernelConnections > 0 { flags.insert(.kernelConnection) }
    if outgoingConnections > 0 { flags.insert(.outgoingConnection) }
    if otherListeners > 0 { flags.insert(.otherListener) }
    return flags.isEmpty ? .certified : flags
  }

  /// Puts the certificate where a firmware of this machine reads it, which is done when this
  /// returns; and has the helper tell one of another machine, for which `awaitDisbelief` waits.
  mutating func publishCertificate() {
    let flags = certificate
    for i in 0..<memories.count { memories[i].certificate = flags }
    claim.change(to: flags)
    wakeHelper()
  }
}

extension Broker {
  /// Returns when no firmware can believe the certificate that was taken back. At once when it
  /// reads our memory; else it takes as long as the way there and back, and some seconds when the
  /// network fails meanwhile. The lock is free while it waits.
  func awaitDisbelief() {
    guard remote != nil else { return }
    let start = Helper.now
    while true {
      let seen = clinux_link_news()
      let now = Helper.now
      let verdict = locked { state -> CertificateClaim.Verdict in
        let verdict = state.claim.verdict(since: start, now: now)
        if verdict == .drop, !state.mustDrop {
          state.mustDrop = true
          state.wakeHelper()
        }
        return verdict
      }
      switch verdict {
      case .disbelieved: return
      case .wait(let end): wait(seen, (end - now).nanoseconds / 1_000_000 + 1)
      case .drop: wait(seen, 100)
      }
    }
  }

  private func wait(_ seen: UInt32, _ milliseconds: UInt64) {
    clinux_link_news_wait(seen, Int32(min(milliseconds, 10_000)))
  }
}
