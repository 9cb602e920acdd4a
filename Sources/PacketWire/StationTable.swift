import DPUCore

/// On which port each hardware address was last seen, as a switch remembers it.
///
/// Direct-mapped: two addresses in one place forget each other, which costs a broadcast.
package struct StationTable: ~Copyable {
  package struct Station: BitwiseCopyable {
    /// A group, which no station has, until one was seen.
    var mac = MACAddress.broadcast
    var port: UInt8 = 0
  }

  private var stations: FixedArray<Station>

  /// `capacity` must be a power of two.
  package init(capacity: Int) {
    precondition(capacity > 0 && capacity & (capacity - 1) == 0)
    stations = FixedArray(repeating: Station(), count: capacity)
  }

  @inline(__always)
  package mutating func learn(_ mac: MACAddress, on port: Int) {
    if mac.isMulticast { return }
    stations[place(mac)] = Station(mac: mac, port: UInt8(port))
  }

  /// Nil for an address not seen, and for groups.
  @inline(__always)
  package func port(of mac: MACAddress) -> Int? {
    let station = stations[place(mac)]
    return station.mac == mac && !mac.isMulticast ? Int(station.port) : nil
  }

  @inline(__always)
  private func place(_ mac: MACAddress) -> Int {
    Int(truncatingIfNeeded: (mac.value &* 0x9e37_79b9_7f4a_7c15) >> 32) & (stations.count - 1)
  }
}
