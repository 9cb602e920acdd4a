// Walks through the blocks of a section. Block numbers, lanes and masks come from instructions
// that `CodeCheck` has proved sound; see Bank.swift for why plain pointers are safe here.

extension Machine {
  /// Runs a section for the packets of `mask`.
  ///
  /// Packets wait at blocks. Always the lowest block with packets runs, for all of them at once, so
  /// that packets that took different ways meet again where the ways join.
  mutating func run<Observer: PipelineObserver & ~Copyable>(
    _ section: PipelineSection, bank number: Int, _ mask: UInt64, _ observer: inout Observer
  ) {
    let range = sections[section.rawValue]
    if range.isEmpty || mask == 0 { return }
    if range.hasLoops { each(mask) { unsafe scratch.steps[$0] = 0 } }
    let bank = memory.bank(number)
    post(mask, to: range.entry)
    runReady(from: range.first, to: range.end, bank, isInRegion: false, &observer)
  }

  /// Runs blocks `first..<end` until no packet waits for any of them.
  private mutating func runReady<Observer: PipelineObserver & ~Copyable>(
    from first: Int, to end: Int, _ bank: Bank, isInRegion: Bool, _ observer: inout Observer
  ) {
    while let block = nextReady(from: first, to: end) {
      let code = unsafe image.blocks.base[block]
      if !isInRegion && code.region != 0 {
        runRegion(unsafe image.regions.base[Int(code.region) &- 1], bank, &observer)
        continue
      }
      let waiting = take(block)
      let last = Int(code.first) &+ Int(code.count) &- 1
      var running = waiting
      if Observer.isObserving {
        for index in Int(code.first)..<last {
          let before = running
          running = execute(index, index &+ 1, bank, running)
          observer.ran(index, packets: before, self, bank: bank.number)
        }
      } else {
        running = execute(Int(code.first), last, bank, running)
      }
      if running == 0 { continue }
      leave(block, unsafe image.instructions.base[last], bank, running, &observer)
      if Observer.isObserving { observer.ran(last, packets: running, self, bank: bank.number) }
    }
  }

  /// Runs a serial region: in rounds, each with packets that share no state, until all that wait
  /// for one of its blocks have left it. Within a cell of shared state packets keep their order:
  /// one that meets an earlier packet's index waits for a later round, and so do all behind it with
  /// that index.
  private mutating func runRegion<Observer: PipelineObserver & ~Copyable>(
    _ region: RegionImage, _ bank: Bank, _ observer: inout Observer
  ) {
    let first = Int(region.first), end = Int(region.end)
    var rest: UInt64 = 0
    // Mostly packets enter by one block or two: only those from the first to the last are gone
    // through again in every round.
    var firstEntry = end, lastEntry = first
    while let block = nextReady(from: first, to: end) {
      let waiting = take(block)
      unsafe scratch.parked[block] = waiting
      rest |= waiting
      firstEntry = min(firstEntry, block)
      lastEntry = block
    }
    while rest != 0 {
      let turn = nextTurn(of: rest, region, bank)
      rest &= ~turn
      var block = firstEntry &- 1
      while block < lastEntry {
        block &+= 1
        let packets = unsafe scratch.parked[block] & turn
        if packets == 0 { continue }
        unsafe scratch.parked[block] &= ~turn
        post(packets, to: block)
      }
      runReady(from: first, to: end, bank, isInRegion: true, &observer)
    }
  }

  /// The packets that may run together, among those of `rest`: the first one, or the first of each
  /// index when the region's state is all at the index in one lane.
  @inline(__always)
  private mutating func nextTurn(of rest: UInt64, _ region: RegionImage, _ bank: Bank) -> UInt64 {
    if region.conflictLane == Instruction.none || rest & (rest &- 1) == 0 {
      return rest & (0 &- rest)
    }
    let indices = bank.lane(region.conflictLane)
    // Indices that fall together modulo 512 count as the same: packets wait in vain then, but in
    // the same order.
    var seen = InlineArray<8, UInt64>(repeating: 0)
    var turn: UInt64 = 0
    each(rest) { packet in
      let index = indices[packet]
      let word = Int(truncatingIfNeeded: index &>> 6 & 7)
      let bit: UInt64 = 1 &<< (index & 63)
      if seen[word] & bit == 0 {
        seen[word] |= bit
        turn |= 1 &<< UInt64(truncatingIfNeeded: packet)
      }
    }
    return turn
  }

  // MARK: Waiting

  @inline(__always)
  private mutating func post(_ packets: UInt64, to block: Int) {
    if packets == 0 { return }
    unsafe scratch.pending[block] |= packets
    unsafe scratch.ready[block &>> 6] |= 1 &<< UInt64(truncatingIfNeeded: block & 63)
  }

  @inline(__always)
  private mutating func take(_ block: Int) -> UInt64 {
    let packets = unsafe scratch.pending[block]
    unsafe scratch.pending[block] = 0
    unsafe scratch.ready[block &>> 6] &= ~(1 &<< UInt64(truncatingIfNeeded: block & 63))
    return packets
  }

  @inline(__always)
  private mutating func nextReady(from first: Int, to end: Int) -> Int? {
    var word = first &>> 6
    var bits = unsafe scratch.ready[word] & ~0 &<< UInt64(truncatingIfNeeded: first & 63)
    let last = (end &- 1) &>> 6
    while bits == 0 {
      word &+= 1
      if word > last { return nil }
      bits = unsafe scratch.ready[word]
    }
    let block = word &<< 6 &+ bits.trailingZeroBitCount
    return block < end ? block : nil
  }

  // MARK: Leaving a block

  @inline(__always)
  private mutating func leave<Observer: PipelineObserver & ~Copyable>(
    _ block: Int, _ op: Instruction, _ bank: Bank, _ running: UInt64, _ observer: inout Observer
  ) {
    switch op.opcode {
    case .jump:
      go(running, from: block, to: op.d, bank)
    case .branch:
      let isSet = bank.mask(op.a)
      go(running & isSet, from: block, to: op.b, bank)
      go(running & ~isSet, from: block, to: op.c, bank)
    case .select:
      let keys = bank.lane(op.a)
      select(block, op, bank, running) { rest, each in
        thoseInPairs(of: rest) { keys[$0] & each.mask == each.value }
      }
    case .selectField:
      select(block, op, bank, running) { rest, each in
        each.value & ~each.mask == 0
          ? bank.equalField(rest, op.a, op.shift, op.mask & each.mask, equal: each.value) : 0
      }
    case .apply:
      let hits = lookup(op.a, bank, running)
      if Observer.isObserving {
        observer.applied(Int(op.a), packets: running, hits: hits, self, bank: bank.number)
      }
      dispatch(block, op.a, bank, running)
    default:
      // `finish`: these packets wait for nothing any more.
      break
    }
  }

  /// Sends packets on. Jumps back are counted per packet, so that a packet's fate does not depend
  /// on those it runs with.
  @inline(__always)
  private mutating func go(_ packets: UInt64, from block: Int, to target: UInt32, _ bank: Bank) {
    if Int(target) > block {
      post(packets, to: Int(target))
    } else {
      post(goBack(packets, bank), to: Int(target))
    }
  }

  /// Those of `packets` that may jump back once more; the others are taken out.
  @inline(never)
  private mutating func goBack(_ packets: UInt64, _ bank: Bank) -> UInt64 {
    var stopped: UInt64 = 0
    each(packets) { packet in
      unsafe scratch.steps[packet] &+= 1
      if unsafe scratch.steps[packet] > UInt32(CodeLimits.parserSteps) {
        stopped |= 1 &<< UInt64(truncatingIfNeeded: packet)
        bank.requests.set(.stepLimit, packet, value: 0, list: -1)
      }
    }
    bank.requests.add(.stepLimit, stopped)
    return packets & ~stopped
  }

  /// Case by case rather than packet by packet: mostly all packets are gone after the first few.
  @inline(__always)
  private mutating func select(
    _ block: Int, _ op: Instruction, _ bank: Bank, _ running: UInt64,
    _ find: (UInt64, PipelineCode.SelectCase) -> UInt64
  ) {
    var rest = running
    var index = Int(op.b)
    let end = index &+ Int(op.c)
    while index < end && rest != 0 {
      let each = unsafe image.selectCases.base[index]
      let found = find(rest, each)
      if found != 0 { go(found, from: block, to: each.block, bank) }
      rest &= ~found
      index &+= 1
    }
    if rest != 0 { go(rest, from: block, to: op.d, bank) }
  }

  /// Sends each packet to the block of the action in its record.
  private mutating func dispatch(_ block: Int, _ number: UInt32, _ bank: Bank, _ running: UInt64) {
    let table = unsafe image.tables.base[Int(number)]
    let lane = bank.lane(table.recordLane)
    let store = unsafe tables.records
    let index = unsafe image.numbers.base + Int(table.actionIndex.first)
    let indexCount = UInt64(table.actionIndex.count)
    let blocks = Int(table.actionBlocks.count)
    // PlaceImage `blocks` is for records without an action of this table.
    var place = 0
    while place <= blocks {
      unsafe scratch.actionMasks[place] = 0
      place &+= 1
    }
    each(running) { packet in
      let action = unsafe store[Int(truncatingIfNeeded: lane[packet])]
      var place = blocks
      if action < indexCount {
        place = min(blocks, unsafe Int(index[Int(truncatingIfNeeded: action)]))
      }
      unsafe scratch.actionMasks[place] |= 1 &<< UInt64(truncatingIfNeeded: packet)
    }
    place = 0
    while place < blocks {
      let packets = unsafe scratch.actionMasks[place]
      if packets != 0 {
        go(
          packets, from: block,
          to: unsafe image.numbers.base[Int(table.actionBlocks.first) &+ place], bank)
      }
      place &+= 1
    }
    let packets = unsafe scratch.actionMasks[blocks]
    if packets != 0 { go(packets, from: block, to: table.noActionBlock, bank) }
  }
}

/// The sections of a program, in the order in which a packet meets them.
package enum PipelineSection: Int, CaseIterable, BitwiseCopyable, Sendable {
  case parser, verify, ingress, egress, update
}

/// Blocks of a section.
struct SectionImage: BitwiseCopyable {
  var entry = 0
  var first = 0
  var end = 0
  /// Some block jumps to one with a lower number, or to itself.
  var hasLoops = false
  var isEmpty: Bool { first == end }

  init(_ section: PipelineCode.Section, of code: PipelineCode) {
    entry = section.entry
    first = section.blocks.lowerBound
    end = section.blocks.upperBound
    for block in section.blocks {
      for target in code.successors(of: block) where target <= block { hasLoops = true }
    }
  }
}
