import CLinux
import ControlPlane
import DPUCore
import HostLink

extension HostLinkStreamListener {
  /// Where the configuration says; nil when it names no place.
  init?(_ configuration: Configuration.HostLink) throws(StartFailure) {
    guard let listen = configuration.listen else { return nil }
    descriptor = clinux_link_tcp_listen(
      clinux_link_address(
        high: listen.address.high, low: listen.address.low, port: listen.port))
    guard descriptor >= 0 else {
      throw StartFailure(
        "hostLink.listen: cannot listen at \(listen.text): \(errorText(-descriptor))")
    }
    peer = configuration.peer.map { LinkAddress(high: $0.high, low: $0.low, port: 0) }
  }
}
