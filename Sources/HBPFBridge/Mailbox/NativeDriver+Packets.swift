import DPUCore

/// The way of a packet: `submit` for each, `ring` once for the batch, `poll` until nothing comes,
/// `read` and `release` for each completion, `acknowledge` once.
extension NativeDriver where Window: ~Copyable, Patience: ~Copyable {
  /// Whether the device has a program to run.
  package var canRun: Bool { isLoaded }

  /// Gives a packet to the device, from `ring` on. False when no slot is free; then poll. `tag` comes
  /// back with its completion. A packet has at most `HBPFLimits.stateOffset` bytes.
  package mutating func submit(_ packet: RawSpan, tag: UInt64, now: UInt64) -> Bool {
    precondition(packet.byteCount <= HBPFLimits.stateOffset)
    guard freeSlots > 0 else { return false }
    while slots[nextSlot].isBusy { nextSlot = nextSlot + 1 == slotCount ? 0 : nextSlot + 1 }
    let index = nextSlot
    nextSlot = index + 1 == slotCount ? 0 : index + 1
    freeSlots -= 1
    // The slot's number lets nobody confuse two packets; the rest tells them from earlier ones.
    sequence &+= 1
    let cookie = sequence << 8 | UInt32(index)
    let dirty = slots[index].dirtyBytes
    slots[index] = Slot(
      isBusy: true, cookie: cookie, tag: tag, since: now, byteCount: packet.byteCount,
      dirtyBytes: HBPFLimits.stateOffset)
    store(packet, slot: index, dirtyBytes: dirty)
    let place = NativePage.Ring.submit + Int(tail & 0xff) * NativePage.Ring.entryBytes
    window.store(UInt64(cookie), at: place)
    window.store(UInt64(index) | UInt64(packet.byteCount) << 16, at: place + 8)
    tail &+= 1
    return true
  }

  /// Whole words; what an earlier packet left behind this one is zeroed.
  private func store(_ packet: RawSpan, slot: Int, dirtyBytes: Int) {
    let base = NativePage.slots + slot * NativePage.slotBytes
    let count = packet.byteCount
    var at = 0
    while at + 8 <= count {
      window.store(packet.leUInt64(at: at), at: base + at)
      at += 8
    }
    if at < count {
      var last: UInt64 = 0
      for index in at..<count {
        last |= UInt64(packet.byte(at: index)) << UInt64(8 * (index - at))
      }
      window.store(last, at: base + at)
      at += 8
    }
    while at < dirtyBytes {
      window.store(0, at: base + at)
      at += 8
    }
  }

  /// Tells the device of what was submitted since the last time.
  package mutating func ring() {
    guard rung != tail else { return }
    window.fence()
    window.store(UInt64(tail), at: NativePage.Register.submitTail)
    rung = tail
  }

  /// The next completion; nil when there is none yet.
  package mutating func poll() -> Completion? {
    let place = NativePage.Ring.completion + Int(head & 0xff) * NativePage.Ring.entryBytes
    let second = window.load(place + 8)
    // In the first lap the phase is 1, in the next 0, and so on.
    let phase = UInt64(~(head >> 8) & 1)
    guard second >> 63 == phase else { return nil }
    window.fence()
    let first = window.load(place)
    let cookie = UInt32(truncatingIfNeeded: first)
    let index = Int(cookie & 0xff)
    // After a reset, entries of an earlier life may look new. Their cookies do not.
    guard index < slotCount, slots[index].isBusy, !slots[index].isCompleted,
      slots[index].cookie == cookie
    else { return nil }
    head &+= 1
    slots[index].isCompleted = true
    let fault = Int(second >> 16 & 0xff)
    return Completion(
      slot: index, tag: slots[index].tag,
      verdict: fault == 0 ? Verdict(r0: first >> 32) : nil, fault: fault,
      row: Int(second >> 24 & 0x1fff), byteCount: slots[index].byteCount,
      cycles: Int(second >> 40 & 0x7f_ffff))
  }

  /// What the program made of a packet; between its completion and `release`.
  package func read(_ completion: Completion, into bytes: inout MutableRawSpan) {
    let base = NativePage.slots + completion.slot * NativePage.slotBytes
    let count = min(bytes.byteCount, completion.byteCount)
    var at = 0
    while at + 8 <= count {
      bytes.storeLE(window.load(base + at), at: at)
      at += 8
    }
    guard at < count else { return }
    let last = window.load(base + at)
    for index in at..<count {
      bytes.storeByte(UInt8(truncatingIfNeeded: last >> UInt64(8 * (index - at))), at: index)
    }
  }

  /// The slot is free again.
  package mutating func release(_ completion: Completion) {
    guard slots[completion.slot].isCompleted else { return }
    slots[completion.slot].isBusy = false
    slots[completion.slot].isCompleted = false
    freeSlots += 1
  }

  /// Tells the device which completions it may write over.
  package mutating func acknowledge() {
    window.store(UInt64(head), at: NativePage.Register.completionHead)
  }

  /// Whether a packet has been with the device for longer than `limit` nanoseconds.
  package func isOverdue(now: UInt64, limit: UInt64) -> Bool {
    guard freeSlots < slotCount else { return false }
    for index in 0..<slotCount where slots[index].isBusy && !slots[index].isCompleted {
      if now &- slots[index].since > limit { return true }
    }
    return false
  }
}
