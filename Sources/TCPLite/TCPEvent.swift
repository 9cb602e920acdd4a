package import DPUCore

/// What happened to a connection. Take them with `TCPStack.nextEvent`.
package struct TCPEvent: Equatable, BitwiseCopyable, Sendable {
  package enum Kind: Equatable, BitwiseCopyable, Sendable {
    /// The handshake is complete.
    case opened
    /// Bytes arrived; announced once until taken, whatever came since.
    case readable
    /// Room to send again: the queue has fallen to half its limit, or is empty, after it had
    /// been above or a send was refused.
    case writable
    /// The peer has sent its last byte; it may still read. Bytes may still be readable.
    case peerClosed
    /// The connection is gone, and with this event its handle.
    case closed(CloseReason)
  }

  package var kind: Kind
  package var connection: SlabHandle
  /// As given to `listen`.
  package var tag: UInt32

  package init(kind: Kind, connection: SlabHandle, tag: UInt32) {
    self.kind = kind
    self.connection = connection
    self.tag = tag
  }
}

/// Why a connection ended.
package enum CloseReason: UInt8, BitwiseCopyable, Sendable {
  /// Both sides sent FIN and everything was acknowledged.
  case finished
  /// The peer sent RST.
  case reset
  /// The peer stopped answering.
  case timedOut
  /// `abort` was called.
  case aborted
}
