import DPUCore

/// How often each fault strikes, in parts per thousand of the frames received.
package struct Faults: Sendable {
  package var loss = 0
  package var duplication = 0
  /// The frame arrives after the rest of its burst.
  package var reordering = 0
  /// One bit is flipped, anywhere in the frame.
  package var corruption = 0
  /// The frame loses some of its last bytes.
  package var truncation = 0

  package init() {}
}

/// A device that wraps a device and does to received frames what bad networks do.
///
/// Everything follows from the seed: the same seed and the same traffic give the same faults.
package struct FaultyDevice<Inner: FrameDevice & ~Copyable>: FrameDevice, ~Copyable {
  package var inner: Inner
  package var faults: Faults
  private var random: SplitMix64
  private var scratch = Burst()

  package init(_ inner: consuming Inner, faults: Faults, seed: UInt64) {
    self.inner = inner
    self.faults = faults
    random = SplitMix64(seed: seed)
  }

  package var portCount: Int { inner.portCount }

  package mutating func receive(port: Int, into burst: inout Burst) {
    inner.receive(port: port, into: &scratch)
    var late = Burst()
    while var frame = scratch.takeFirst() {
      if strikes(faults.loss) {
        inner.recycle(frame)
        continue
      }
      if strikes(faults.corruption), frame.count > 0 {
        let bit = Int(random.next() % UInt64(frame.count * 8))
        var room = frame.room
        room.storeByte(room.byte(at: bit / 8) ^ UInt8(1 << (bit % 8)), at: bit / 8)
      }
      if strikes(faults.truncation), frame.count > 0 {
        frame.resize(to: Int(random.next() % UInt64(frame.count)))
      }
      // A copy needs a place in the burst beside those still to come.
      let taken = burst.count + late.count + 1 + scratch.count
      if strikes(faults.duplication), taken < FramesLimits.framesPerBurst,
        let copy = duplicate(frame)
      {
        late.append(copy)
      }
      if strikes(faults.reordering) { late.append(frame) } else { burst.append(frame) }
    }
    while let frame = late.takeFirst() { burst.append(frame) }
  }

  package mutating func transmit(port: Int, _ burst: inout Burst) -> TransmitOutcome {
    inner.transmit(port: port, &burst)
  }

  package mutating func allocate() -> Frame? { inner.allocate() }
  package mutating func recycle(_ frame: consuming Frame) { inner.recycle(frame) }

  private mutating func strikes(_ perThousand: Int) -> Bool {
    perThousand > 0 && random.next() % 1000 < UInt64(perThousand)
  }

  private mutating func duplicate(_ frame: borrowing Frame) -> Frame? {
    guard var copy = inner.allocate() else { return nil }
    var room = copy.room
    room.copy(frame.bytes, at: 0)
    copy.resize(to: frame.count)
    return copy
  }
}
