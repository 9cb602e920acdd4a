import DPUCore

/// One range of a SACK option: bytes from `start` up to, not including, `end` were received.
package struct SACKBlock: Equatable, BitwiseCopyable, Sendable {
  package var start: UInt32
  package var end: UInt32

  @inline(__always)
  package init(start: UInt32, end: UInt32) {
    self.start = start
    self.end = end
  }
}

/// The options this stack understands; others are skipped.
package struct TCPOptions: BitwiseCopyable, Sendable {
  /// As many as fit into 40 bytes.
  package static let sackBlocksMax = 4

  /// Zero when absent (RFC 9293 §3.7.1).
  package var maximumSegmentSize: UInt16 = 0
  /// Nil when absent; at most 14 (RFC 7323 §2.3).
  package var windowShift: UInt8?
  package var sackPermitted = false
  package var hasTimestamp = false
  package var timestampValue: UInt32 = 0
  package var timestampEcho: UInt32 = 0
  package var sackCount = 0
  package var sackBlocks: InlineArray<4, SACKBlock> = .init(repeating: SACKBlock(start: 0, end: 0))

  @inline(__always)
  package init() {}

  private enum Kind {
    static let end: UInt8 = 0, padding: UInt8 = 1, maximumSegmentSize: UInt8 = 2
    static let windowScale: UInt8 = 3, sackPermitted: UInt8 = 4, sack: UInt8 = 5
    static let timestamp: UInt8 = 8
  }

  /// The usual layout of a segment in mid-connection: two paddings, then timestamps.
  private static let onlyTimestamps: UInt32 = 0x0101_080a

  @inline(__always)
  package init(_ bytes: RawSpan) throws(ParseFailure) {
    self.init()
    if bytes.byteCount == 0 { return }
    if bytes.byteCount == 12, bytes.beUInt32(at: 0) == Self.onlyTimestamps {
      hasTimestamp = true
      timestampValue = bytes.beUInt32(at: 4)
      timestampEcho = bytes.beUInt32(at: 8)
      return
    }
    try parse(bytes)
  }

  @inline(never)
  private mutating func parse(_ bytes: RawSpan) throws(ParseFailure) {
    var offset = 0
    while offset < bytes.byteCount {
      let kind = bytes.byte(at: offset)
      if kind == Kind.end { return }
      if kind == Kind.padding {
        offset += 1
        continue
      }
      guard offset + 2 <= bytes.byteCount else { throw .badOption }
      let length = Int(bytes.byte(at: offset + 1))
      guard length >= 2, offset + length <= bytes.byteCount else { throw .badOption }
      switch (kind, length) {
      case (Kind.maximumSegmentSize, 4): maximumSegmentSize = bytes.beUInt16(at: offset + 2)
      case (Kind.windowScale, 3): windowShift = min(14, bytes.byte(at: offset + 2))
      case (Kind.sackPermitted, 2): sackPermitted = true
      case (Kind.timestamp, 10):
        hasTimestamp = true
        timestampValue = bytes.beUInt32(at: offset + 2)
        timestampEcho = bytes.beUInt32(at: offset + 6)
      case (Kind.sack, 10), (Kind.sack, 18), (Kind.sack, 26), (Kind.sack, 34):
        sackCount = (length - 2) / 8
        for i in 0..<sackCount {
          let at = offset + 2 + i * 8
          sackBlocks[i] = SACKBlock(start: bytes.beUInt32(at: at), end: bytes.beUInt32(at: at + 4))
        }
      case (Kind.maximumSegmentSize, _), (Kind.windowScale, _), (Kind.sackPermitted, _),
        (Kind.timestamp, _), (Kind.sack, _):
        throw .badOption
      default: break
      }
      offset += length
    }
  }

  /// Bytes written by `write`, a multiple of four.
  @inline(__always)
  package var byteCount: Int {
    var count = hasTimestamp ? 12 : 0
    if maximumSegmentSize != 0 { count += 4 }
    if windowShift != nil { count += 4 }
    if sackPermitted { count += 4 }
    if sackCount > 0 { count += 4 + sackCount * 8 }
    return count
  }

  /// Writes the options, each padded to four bytes in front. More than 40 bytes would not fit
  /// the header; the caller leaves out SACK blocks until they do.
  @inline(__always)
  @_lifetime(frame: copy frame)
  package func write(into frame: inout MutableRawSpan, at start: Int) {
    var offset = start
    if hasTimestamp {
      frame.storeBE(Self.onlyTimestamps, at: offset)
      frame.storeBE(timestampValue, at: offset + 4)
      frame.storeBE(timestampEcho, at: offset + 8)
      offset += 12
    }
    if maximumSegmentSize != 0 {
      frame.storeBE(0x0204 << 16 | UInt32(maximumSegmentSize), at: offset)
      offset += 4
    }
    if let windowShift {
      frame.storeBE(0x0103_0300 | UInt32(windowShift), at: offset)
      offset += 4
    }
    if sackPermitted {
      frame.storeBE(0x0101_0402 as UInt32, at: offset)
      offset += 4
    }
    if sackCount > 0 {
      frame.storeBE(0x0101_0500 | UInt32(2 + sackCount * 8), at: offset)
      for i in 0..<sackCount {
        frame.storeBE(sackBlocks[i].start, at: offset + 4 + i * 8)
        frame.storeBE(sackBlocks[i].end, at: offset + 8 + i * 8)
      }
    }
  }
}
