import DPUCore
import HostLink
import PacketWire

/// Ports the broker listens on, each counted as often as it does: IPv4 and IPv6 are two
/// listeners of the broker and one of the transport.
package struct ListenerTable: ~Copyable {
  package struct Row: BitwiseCopyable {
    var port: UInt16 = 0
    var count = 0
  }

  private var rows = FixedArray(repeating: Row(), count: OffloadLimits.listenersMax)

  var capacity: Int { rows.count }
  /// The port in a row, nil when the row is free.
  subscript(row: Int) -> UInt16? { rows[row].count > 0 ? rows[row].port : nil }

  enum Change { case none, first, last, refused }

  mutating func add(_ port: UInt16) -> Change {
    var free: Int?
    for i in 0..<rows.count {
      if rows[i].count > 0, rows[i].port == port {
        rows[i].count += 1
        return .none
      }
      if rows[i].count == 0, free == nil { free = i }
    }
    guard let free else { return .refused }
    rows[free] = Row(port: port, count: 1)
    return .first
  }

  mutating func remove(_ port: UInt16) -> Change {
    for i in 0..<rows.count where rows[i].count > 0 && rows[i].port == port {
      rows[i].count -= 1
      return rows[i].count == 0 ? .last : .none
    }
    return .none
  }

  /// Takes a port out, however often it was counted; nil when there is none.
  mutating func removeAny() -> UInt16? {
    for i in 0..<rows.count where rows[i].count > 0 {
      rows[i].count = 0
      return rows[i].port
    }
    return nil
  }
}

extension LinkAddress {
  init(_ address: SocketAddress) {
    self.init(high: address.ip.high, low: address.ip.low, port: address.port)
  }
}
