import DPUCore
import PacketWire

/// An initial sequence number that says what a record of the handshake would (RFC 4987 §3.6):
/// five bits of time, three for the segment size, and 24 that only the secret tells.
struct SYNCookie: BitwiseCopyable {
  /// Long enough for a slow handshake; a cookie is good for one to two of them.
  static let period = Interval.seconds(64)
  static let lifetime = Interval.seconds(128)

  private let key0: UInt64
  private let key1: UInt64

  init(key0: UInt64, key1: UInt64) {
    self.key0 = key0
    self.key1 = key1
  }

  /// For a peer that takes segments of `size` bytes, and of the next smaller size there is.
  /// `flow` is a keyed hash of both ends, `initial` the peer's initial sequence number.
  func value(
    flow: UInt64, initial: SequenceNumber, size: Int, now: Instant
  ) -> SequenceNumber {
    var place: UInt32 = 7
    while place > 0, Self.size(place) > size { place -= 1 }
    return make(flow, initial, Self.count(now), place)
  }

  /// The segment size, when this is a cookie of ours that is not too old.
  func size(
    of cookie: SequenceNumber, flow: UInt64, initial: SequenceNumber, now: Instant
  ) -> Int? {
    let count = Self.count(now)
    let age = (UInt32(truncatingIfNeeded: count) &- cookie.value >> 27) & 31
    let place = cookie.value >> 24 & 7
    guard age <= 1, make(flow, initial, count &- UInt64(age), place) == cookie else { return nil }
    return Self.size(place)
  }

  /// Periods since the clock's start.
  private static func count(_ now: Instant) -> UInt64 { now.nanoseconds / period.nanoseconds }

  private func make(
    _ flow: UInt64, _ initial: SequenceNumber, _ count: UInt64, _ place: UInt32
  ) -> SequenceNumber {
    var hash = SipHash(key0: key0, key1: key1)
    // Three words: no hash of addresses has as many.
    hash.combine(flow)
    hash.combine(UInt64(initial.value))
    hash.combine(count << 3 | UInt64(place))
    let secret = UInt32(truncatingIfNeeded: hash.finish()) & 0xff_ffff
    return SequenceNumber(UInt32(truncatingIfNeeded: count) << 27 | place << 24 | secret)
  }

  /// What peers ask for: the smallest we send, RFC 9293's defaults, tunnels, Ethernet, jumbo frames.
  private static func size(_ place: UInt32) -> Int {
    switch place {
    case 0: TCPLimits.segmentSizeMin
    case 1: 536
    case 2: 1_220
    case 3: 1_360
    case 4: 1_400
    case 5: 1_440
    case 6: 1_460
    default: 8_940
    }
  }
}

/// What a peer has offered, in the lowest six bits of a timestamp that it will echo.
struct StampedOptions: Equatable, BitwiseCopyable {
  private static let mask: UInt32 = 0x3f
  private static let noShift: UInt32 = 15

  /// Nil: windows are not scaled.
  var windowShift: UInt8?
  var sackPermitted: Bool

  init(_ options: TCPOptions) {
    windowShift = options.windowShift
    sackPermitted = options.sackPermitted
  }

  init(from stamp: UInt32) {
    let shift = stamp & 15
    windowShift = shift <= 14 ? UInt8(shift) : nil
    sackPermitted = stamp & 16 != 0
  }

  /// At most 64 ms before `stamp` and never after it, so that the peer's clock check holds.
  func put(into stamp: UInt32) -> UInt32 {
    let bits = (windowShift.map { UInt32($0) } ?? Self.noShift) | (sackPermitted ? 16 : 0)
    let marked = stamp & ~Self.mask | bits
    return bits > stamp & Self.mask ? marked &- 64 : marked
  }
}
