import DPUCore
import PacketWire

/// On which port each hardware address was last seen, as a switch remembers it.
///
/// Direct-mapped: two addresses in one place forget each other, which costs a broadcast.
struct StationTable: ~Copyable {
  struct Station: BitwiseCopyable {
    var mac = MACAddress.zero
    var port: UInt8 = 0
  }

  private var stations = FixedArray(repeating: Station(), count: FirmwareLimits.stations)

  @inline(__always)
  mutating func learn(_ mac: MACAddress, on port: Int) {
    if mac.isMulticast { return }
    stations[place(mac)] = Station(mac: mac, port: UInt8(port))
  }

  /// Nil for an address not seen, and for groups.
  @inline(__always)
  func port(of mac: MACAddress) -> Int? {
    let station = stations[place(mac)]
    return station.mac == mac && !mac.isMulticast ? Int(station.port) : nil
  }

  @inline(__always)
  private func place(_ mac: MACAddress) -> Int {
    Int(truncatingIfNeeded: (mac.value &* 0x9e37_79b9_7f4a_7c15) >> 32)
      & (FirmwareLimits.stations - 1)
  }
}
