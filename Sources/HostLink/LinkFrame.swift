import DPUCore

/// What a frame says. Numbers are part of the wire format.
package enum FrameKind: UInt8, BitwiseCopyable, Sendable {
  /// Fills the end of a ring; no meaning.
  case padding = 0
  /// First frame of each side. Body: `Hello`.
  case hello = 1
  /// Shim: the broker listens. Body: an address.
  case listen = 2
  /// Shim: it no longer does. Body: an address.
  case unlisten = 3
  /// Firmware: a new channel. Body: local address, peer address.
  case open = 4
  /// Shim: the broker's descriptor of the channel exists.
  case accepted = 5
  /// Body: bytes of the channel.
  case data = 6
  /// Argument: bytes that the receiver may send more.
  case credit = 7
  /// The sender will send no more data on the channel.
  case shut = 8
  /// The channel ended. Argument: `CloseReason`.
  case close = 9
  /// Shim: what the certificate became. Argument: `CertificateFlags`.
  case certificate = 10
  /// Firmware: forward all that the broker has written, then answer. Argument: a token.
  case flush = 11
  /// Shim: the answer. Argument: the token; flags: 1 when nothing was held back.
  case flushed = 12
  case ping = 13
  case pong = 14
}

/// The sixteen bytes in front of each body, two little-endian words:
/// kind (1), flags (1), body length (2), argument (4), channel (8).
package struct FrameHeader: Equatable, BitwiseCopyable, Sendable {
  package static let byteCount = 16
  /// Frames start at multiples of this in a ring, so that a header never wraps.
  package static let alignment = 16

  package var kind: UInt8
  package var flags: UInt8
  package var length: UInt16
  package var argument: UInt32
  package var channel: UInt64

  package init(
    _ kind: FrameKind, channel: UInt64 = 0, argument: UInt32 = 0, flags: UInt8 = 0, length: Int = 0
  ) {
    self.kind = kind.rawValue
    self.flags = flags
    self.length = UInt16(length)
    self.argument = argument
    self.channel = channel
  }

  @inline(__always)
  init(word0: UInt64, word1: UInt64) {
    kind = UInt8(truncatingIfNeeded: word0)
    flags = UInt8(truncatingIfNeeded: word0 >> 8)
    length = UInt16(truncatingIfNeeded: word0 >> 16)
    argument = UInt32(truncatingIfNeeded: word0 >> 32)
    channel = word1
  }

  @inline(__always)
  var word0: UInt64 {
    UInt64(kind) | UInt64(flags) << 8 | UInt64(length) << 16 | UInt64(argument) << 32
  }

  /// Bytes that a frame with a body of `length` takes in a ring.
  @inline(__always)
  static func footprint(_ length: Int) -> Int {
    (byteCount + length + alignment - 1) & ~(alignment - 1)
  }
}

/// An address in a body: sixteen bytes in network order, the port little-endian.
enum AddressBody {
  enum Offset { static let high = 0, low = 8, port = 16 }
  static let byteCount = 24

  static func read(_ bytes: RawSpan, at offset: Int) -> LinkAddress {
    LinkAddress(
      high: bytes.beUInt64(at: offset + Offset.high), low: bytes.beUInt64(at: offset + Offset.low),
      port: bytes.leUInt16(at: offset + Offset.port))
  }

  static func write(_ address: LinkAddress, to bytes: inout MutableRawSpan, at offset: Int) {
    bytes.storeBE(address.high, at: offset + Offset.high)
    bytes.storeBE(address.low, at: offset + Offset.low)
    bytes.storeLE(UInt64(address.port), at: offset + Offset.port)
  }
}

/// What each side says first. The firmware also sends it over the socket, in front of the
/// descriptors, so that a shim of another version never maps the rings.
package struct Hello: Equatable, BitwiseCopyable, Sendable {
  /// Changes whenever a frame or the memory's layout changes its meaning.
  package static let currentVersion: UInt16 = 1
  enum Offset {
    static let magic = 0, version = 4, role = 6, workers = 7, features = 8, generation = 12
    static let window = 16, channels = 20, ringBytes = 24, reserved = 28
  }
  package static let byteCount = 32
  package static let frameByteCount = FrameHeader.byteCount + byteCount
  static let magic: UInt32 = 0x4c55_5044  // "DPUL"

  package var version = Hello.currentVersion
  package var role: LinkRole
  /// Ring pairs of this attachment.
  package var workers: UInt8 = 1
  /// Bits both must have for a feature to be used; none is defined yet.
  package var features: UInt32 = 0
  /// The firmware's number of this attachment; the shim repeats it.
  package var generation: UInt32
  /// Bytes the other side may send on a new channel.
  package var window = UInt32(HostLinkLimits.window)
  /// Channels the firmware may open at once on a ring pair.
  package var channels: UInt32
  package var ringBytes: UInt32

  package init(role: LinkRole, generation: UInt32, channels: Int, ringBytes: Int) {
    self.role = role
    self.generation = generation
    self.channels = UInt32(channels)
    self.ringBytes = UInt32(ringBytes)
  }

  package init(_ bytes: RawSpan) throws(LinkFailure) {
    guard bytes.byteCount >= Hello.byteCount, bytes.leUInt32(at: Offset.magic) == Hello.magic,
      bytes.leUInt16(at: Offset.version) == Hello.currentVersion
    else { throw .incompatible }
    guard let role = LinkRole(rawValue: bytes.byte(at: Offset.role)) else { throw .badBody }
    self.role = role
    workers = bytes.byte(at: Offset.workers)
    features = bytes.leUInt32(at: Offset.features)
    generation = bytes.leUInt32(at: Offset.generation)
    window = bytes.leUInt32(at: Offset.window)
    channels = bytes.leUInt32(at: Offset.channels)
    ringBytes = bytes.leUInt32(at: Offset.ringBytes)
    guard workers > 0, Int(workers) <= HostLinkLimits.workersMax,
      window > 0, window <= 1 << 30,
      channels > 0, Int(channels) <= HostLinkLimits.channelsMax,
      RingMemory.isValid(byteCount: Int(ringBytes))
    else { throw .badBody }
  }

  /// The frame that goes over the socket.
  package var frame: InlineArray<48, UInt8> {
    let header = FrameHeader(.hello, length: Hello.byteCount)
    var bytes = InlineArray<48, UInt8>(repeating: 0)
    for i in 0..<8 {
      bytes[i] = UInt8(truncatingIfNeeded: header.word0 >> UInt64(8 * i))
    }
    var span = bytes.mutableSpan
    // Any bytes are a valid span of bytes.
    var raw = unsafe span.mutableBytes
    write(to: &raw, at: FrameHeader.byteCount)
    return bytes
  }

  package init(frame bytes: RawSpan) throws(LinkFailure) {
    guard bytes.byteCount >= Hello.frameByteCount,
      bytes.byte(at: 0) == FrameKind.hello.rawValue
    else { throw .incompatible }
    try self.init(bytes.extracting(FrameHeader.byteCount..<Hello.frameByteCount))
  }

  package func write(to bytes: inout MutableRawSpan, at start: Int = 0) {
    bytes.storeLE(Hello.magic, at: start + Offset.magic)
    bytes.storeLE(version, at: start + Offset.version)
    bytes.storeByte(role.rawValue, at: start + Offset.role)
    bytes.storeByte(workers, at: start + Offset.workers)
    bytes.storeLE(features, at: start + Offset.features)
    bytes.storeLE(generation, at: start + Offset.generation)
    bytes.storeLE(window, at: start + Offset.window)
    bytes.storeLE(channels, at: start + Offset.channels)
    bytes.storeLE(ringBytes, at: start + Offset.ringBytes)
    bytes.storeLE(UInt32(0), at: start + Offset.reserved)
  }
}

package enum LinkRole: UInt8, BitwiseCopyable, Sendable {
  case firmware = 1
  case shim = 2
}
