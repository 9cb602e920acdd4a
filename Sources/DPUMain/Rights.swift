import CLinux
import ControlPlane
import DPDKPort
import DPUCore

/// What the firmware may still do after its start.
struct Rights {
  /// What drivers need until the end.
  private let needed: UInt32
  private let policy: Configuration.Security

  init(_ configuration: Configuration, ports: [DPDKPort]) {
    policy = configuration.security
    var needed: UInt32 = 0
    for port in ports {
      guard let driver = try? port.describe().driver else { continue }
      switch Text(bytes: driver) {
      case "net_af_xdp":
        needed |= clinux_rights_xdp.rawValue | clinux_rights_network.rawValue
      case "mlx5_pci": needed |= clinux_rights_network.rawValue
      default: break
      }
    }
    self.needed = needed
  }

  /// With the devices open and before any thread of ours runs, because those take no signals.
  func dropCapabilities() throws(StartFailure) {
    guard policy.capabilities == .drop else { return }
    let error = clinux_rights_drop(needed)
    guard error >= 0 else {
      throw StartFailure("giving up capabilities failed: \(errorText(-error))")
    }
  }

  /// When all threads run, because no new ones can be made afterwards.
  func confineCalls() throws(StartFailure) {
    guard policy.calls == .confine else { return }
    let error = clinux_rights_confine(needed)
    guard error >= 0 else {
      throw StartFailure("confining the system calls failed: \(errorText(-error))")
    }
  }
}
