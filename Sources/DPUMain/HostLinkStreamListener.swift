import CLinux
import ControlPlane
import DPUCore
import HostLink

extension HostLinkStreamListener {
  /// EADDRINUSE, the same on x86-64 and arm64.
  private static let addressInUse: Int32 = 98

  /// Where the configuration says; nil when it names no place. A firmware that was killed may still
  /// be giving its memory back, with this socket open: that is waited for.
  init?(_ configuration: Configuration.HostLink) throws(StartFailure) {
    guard let listen = configuration.listen else { return nil }
    let place = clinux_link_address(
      high: listen.address.high, low: listen.address.low, port: listen.port)
    var descriptor = clinux_link_tcp_listen(place)
    for _ in 0..<40 where descriptor == -Self.addressInUse {
      clinux_sleep(50_000_000)
      descriptor = clinux_link_tcp_listen(place)
    }
    self.descriptor = descriptor
    guard descriptor >= 0 else {
      throw StartFailure(
        "hostLink.listen: cannot listen at \(listen.text): \(errorText(-descriptor))")
    }
    peer = configuration.peer.map { LinkAddress(high: $0.high, low: $0.low, port: 0) }
  }
}
