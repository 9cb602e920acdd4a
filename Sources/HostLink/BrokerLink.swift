package import DPUCore

/// An address and port as the link carries them: IPv6, with IPv4 in its v4-mapped form
/// (RFC 4291 section 2.5.5.2).
package struct LinkAddress: Equatable, BitwiseCopyable, Sendable {
  /// The sixteen bytes of the address, most significant first.
  package var high: UInt64
  package var low: UInt64
  package var port: UInt16

  package init(high: UInt64, low: UInt64, port: UInt16) {
    self.high = high
    self.low = low
    self.port = port
  }

  package init(ipv4: UInt32, port: UInt16) {
    self.init(high: 0, low: 0xffff_0000_0000 | UInt64(ipv4), port: port)
  }

  package var isIPv4: Bool { high == 0 && low >> 32 == 0xffff }
  /// `0.0.0.0` or `::`.
  package var isWildcard: Bool { high == 0 && (low == 0 || low == 0xffff_0000_0000) }
}

/// Why a channel ended. Travels in CLOSE frames.
package enum CloseReason: UInt8, BitwiseCopyable, Sendable {
  /// Everything was delivered; a TCP peer sees FIN.
  case finished = 0
  /// Data was lost or refused; a TCP peer sees RST.
  case reset = 1
  /// The broker has no listener for the address, or no descriptor left.
  case refused = 2
}

/// Why the link as a whole ended.
package enum LinkFailure: UInt8, Error, BitwiseCopyable, Sendable, CaseIterable {
  /// The other process closed its socket or died.
  case peerGone
  /// The other side sent nothing for five seconds, not even a PONG.
  case timeout
  /// Version or generation of HELLO is not ours.
  case incompatible
  /// A ring index that no honest peer can have written.
  case badRingIndex
  /// A frame longer than what the ring holds or a frame may have.
  case badLength
  /// An unknown kind, or one that only the other side may send.
  case badKind
  /// A body that is too short or holds a value out of range.
  case badBody
  /// More bytes than the credit that was granted, or more credit than a window.
  case badCredit
  /// We ended it ourselves.
  case shutDown
}

/// What keeps the broker from being certified, as bits; `certified` alone when nothing does.
package struct CertificateFlags: OptionSet, BitwiseCopyable, Sendable {
  package let rawValue: UInt32
  package init(rawValue: UInt32) { self.rawValue = rawValue }

  /// Nobody but offloaded connections can receive from this broker.
  package static let certified = CertificateFlags(rawValue: 1)
  /// A connection came in over the kernel's TCP or a Unix socket.
  package static let kernelConnection = CertificateFlags(rawValue: 2)
  /// The broker itself connected to somebody over TCP: a bridge.
  package static let outgoingConnection = CertificateFlags(rawValue: 4)
  /// A listener exists that the DPU cannot serve, such as a Unix socket.
  package static let otherListener = CertificateFlags(rawValue: 8)
}

/// Something that the broker's side reports.
package enum LinkEvent: Equatable, BitwiseCopyable, Sendable {
  /// The shim is attached. Listeners follow as `.listen`; there are no channels yet.
  case up
  /// The shim is gone. Every channel ended with it, without a `.closed` of its own.
  case down(LinkFailure)
  /// Nothing came for one second although an answer was due: keep to RELAY.
  case stalled
  /// The link answers again after `.stalled`.
  case resumed
  /// The broker listens here. A wildcard address is reported as such.
  case listen(LinkAddress)
  case unlisten(LinkAddress)
  /// The certificate changed. For reports only: decide by `certified`.
  case certificate(CertificateFlags)
  /// The broker has a descriptor for the channel. Data may be sent before this.
  case accepted(SlabHandle)
  /// `count` bytes from the broker in `eventBytes`. Give the credit back with `grant`.
  case data(SlabHandle, count: Int)
  /// `sendRoom` of the channel grew.
  case credit(SlabHandle)
  /// The broker will write nothing more, but still reads.
  case shut(SlabHandle)
  /// The broker closed; the channel is gone from the link.
  case closed(SlabHandle, CloseReason)
  /// All that the broker had written before the FLUSH was received has been reported. Not
  /// `complete`: a channel without credit still holds back some of it.
  case flushed(token: UInt32, complete: Bool)
}

/// The firmware's view of one broker: channels that carry client connections as bytes.
///
/// A channel is named by the slab handle of its client connection, so a frame that is late can
/// never reach a newer client in the same slot. Calls on a channel that is gone do nothing.
package protocol BrokerLink: ~Copyable {
  /// Between `.up` and `.down`.
  var isUp: Bool { get }
  /// Nobody but offloaded connections can receive from this broker. Read from shared memory at
  /// each call, because the broker's side revokes it before it lets anybody else in.
  var certified: Bool { get }

  /// Starts a channel for a client at `peer` that connected to `local`. False when the link is
  /// down or has no room: refuse the client or try again.
  mutating func open(_ channel: SlabHandle, local: LinkAddress, peer: LinkAddress) -> Bool
  /// Bytes that the next `send` takes at least: credit and room in the ring. Grows on its own
  /// when only the ring was full; otherwise `.credit` tells.
  func sendRoom(_ channel: SlabHandle) -> Int
  /// Sends from the start of `bytes`; returns how many were taken.
  mutating func send(_ channel: SlabHandle, _ bytes: RawSpan) -> Int
  /// Lets the broker's side send `count` bytes more. A channel starts with one window.
  mutating func grant(_ channel: SlabHandle, _ count: Int)
  /// The client will send nothing more; the broker reads end of file after what was sent.
  mutating func shut(_ channel: SlabHandle)
  /// The client is gone. The channel ends at once, no `.closed` follows.
  mutating func close(_ channel: SlabHandle, reason: CloseReason)
  /// Asks for `.flushed(token)`. False when there is no room: try again.
  mutating func flush(token: UInt32) -> Bool

  /// The next thing to know; nil when there is nothing now.
  mutating func nextEvent() -> LinkEvent?
  /// The bytes of the `.data` event that `nextEvent` returned last; empty after any other. They
  /// lie in memory that the broker's process can write: parse them once, or copy first.
  var eventBytes: RawSpan { @_lifetime(borrow self) borrowing get }
}
