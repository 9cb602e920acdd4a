package import DPUCore

/// A frame that was copied on its way in or out.
package struct TapHeader: BitwiseCopyable, Sendable {
  package var port: UInt8
  package var isOutgoing: Bool
  /// Bytes of the whole frame; the copy may have fewer.
  package var length: UInt32
  package var at: Instant

  package static let none = TapHeader(port: 0, isOutgoing: false, length: 0, at: .zero)
}

/// Copies of frames, from one worker to the control thread.
package typealias TapRing = RecordRing<TapHeader>

/// Copies the frames of a worker's ports while somebody wants them: as they arrive, before anything
/// has looked at them, and as they are handed to the device.
package struct FrameTap: BitwiseCopyable {
  /// The largest copy.
  package static let bytesMax = 2_048
  /// What a control thread that looks every 10 ms keeps up with is 12,000 frames a second.
  private static let frames = 128

  package let ring = TapRing(TapHeader.none, capacity: frames, placeBytes: bytesMax)
  /// One bit for each port; zero: off.
  private var ports: UInt64 = 0
  private var copyBytes = 0
  var now = Instant.zero

  /// Whether anything is wanted at all: what the packet path asks.
  @inline(__always)
  var isOn: Bool { ports != 0 }

  /// Copies at most `copyBytes` of each frame of the ports whose bits are set in `ports`.
  package mutating func choose(ports: UInt64, copyBytes: Int) {
    self.ports = ports
    self.copyBytes = min(copyBytes, Self.bytesMax)
  }

  /// False when it was wanted and there was no room.
  func copy(_ frame: RawSpan, port: Int, isOutgoing: Bool) -> Bool {
    guard ports & 1 << UInt64(port) != 0 else { return true }
    let header = TapHeader(
      port: UInt8(truncatingIfNeeded: port), isOutgoing: isOutgoing,
      length: UInt32(truncatingIfNeeded: frame.byteCount), at: now)
    return ring.push(frame.extracting(0..<min(frame.byteCount, copyBytes)), header)
  }
}
