package import DPUCore
package import PacketWire

/// What a stack is told once, when it is made.
package struct TCPConfiguration: BitwiseCopyable, Sendable {
  package var mac: MACAddress
  package var ipv4: IPAddress?
  package var ipv4PrefixLength = 24
  package var ipv4Gateway: IPAddress?
  /// A global address; the link-local one follows from `mac`.
  package var ipv6: IPAddress?
  package var ipv6PrefixLength = 64
  package var ipv6Gateway: IPAddress?
  /// Bytes of the largest IP packet.
  package var mtu = 1500

  /// Connections at once, half-open ones included.
  package var connectionsMax = 16_384
  /// Handshakes under way that are remembered. SYNs beyond that are answered by cookies
  /// (RFC 4987 §3.6), so that a flood costs memory for this many and keeps nobody out.
  package var halfOpenMax = 1_024
  /// Ended connections remembered; the oldest makes room.
  package var timeWaitMax = 4_096
  package var neighboursMax = 1_024
  /// Blocks hold bytes received and not yet read, and bytes sent and not yet acknowledged.
  package var blockCount = 16_384
  /// Room for a whole frame, so that a full segment needs one block.
  package var blockSize = 2_048
  /// Pieces queued over all connections: each names a range of a block.
  package var entriesMax = 262_144

  /// Bytes received and not yet read, per connection.
  package var receiveLimit = 256 << 10
  /// Bytes queued or unacknowledged, per connection.
  package var sendLimit = 256 << 10
  /// Pieces queued or unacknowledged, per connection.
  package var sendEntriesMax = 4_096

  /// Keys of the connection table.
  package var hashKey0: UInt64
  package var hashKey1: UInt64
  /// The secret of RFC 6528 §3, and of SYN cookies.
  package var sequenceKey0: UInt64
  package var sequenceKey1: UInt64

  /// RFC 6298 §2.4 asks for a second; like everybody else we wait less.
  package var minimumRTO = Interval.milliseconds(200)
  package var initialRTO = Interval.seconds(1)
  package var maximumRTO = Interval.seconds(60)
  /// SYN-ACKs repeated before a half-open connection is given up.
  package var handshakeRetriesMax = 4
  /// Retransmissions or probes without an answer before a connection is given up.
  package var retriesMax = 10
  /// Twice the maximum segment lifetime.
  package var timeWait = Interval.seconds(60)
  /// How long a peer that was sent a FIN may stay silent without sending its own.
  package var finWait = Interval.seconds(60)
  /// Silence after which a peer is probed; zero switches probing off.
  package var keepaliveIdle = Interval.seconds(7_200)
  package var keepaliveInterval = Interval.seconds(75)
  package var keepaliveProbesMax = 9

  /// `secrets` must be random and differ at every start.
  package init(mac: MACAddress, secrets: (UInt64, UInt64, UInt64, UInt64)) {
    self.mac = mac
    (hashKey0, hashKey1, sequenceKey0, sequenceKey1) = secrets
  }

  /// Shift of the windows we announce: the smallest that can express `receiveLimit`.
  var windowShift: UInt8 {
    var shift: UInt8 = 0
    while shift < 14, 65_535 << Int(shift) < receiveLimit { shift += 1 }
    return shift
  }
}
