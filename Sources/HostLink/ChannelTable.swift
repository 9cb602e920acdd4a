import DPUCore

/// One end of a channel: its credit both ways, and what still has to be said about it.
package struct LinkChannel: BitwiseCopyable {
  /// What waits for room in the ring.
  struct Pending: OptionSet, BitwiseCopyable {
    let rawValue: UInt8
    static let credit = Pending(rawValue: 1)
    static let shut = Pending(rawValue: 2)
    static let close = Pending(rawValue: 4)
  }

  var generation: UInt32 = 0
  var isTaken = false
  var pending: Pending = []
  /// In the list of channels with something pending.
  var isListed = false
  var closeReason = CloseReason.finished
  /// Bytes we may still send.
  var sendCredit: UInt32 = 0
  /// Bytes the other side may still send.
  var receiveCredit: UInt32 = 0
  /// Bytes that were used up here and not yet granted anew to the other side.
  var grantable: UInt32 = 0
  var nextPending: UInt32 = .max
  /// Whatever the owner of the endpoint keeps with a channel.
  var tag: UInt32 = 0
}

/// The channels of one end, by the index in their handle; and the list of those that have
/// something to say and found no room in the ring.
struct ChannelTable: ~Copyable {
  private var channels: FixedArray<LinkChannel>
  private var firstPending: UInt32 = .max
  private var lastPending: UInt32 = .max
  private(set) var count = 0

  init(capacity: Int) {
    channels = FixedArray(repeating: LinkChannel(), count: capacity)
  }

  var capacity: Int { channels.count }
  var hasPending: Bool { firstPending != .max }

  /// False when the slot is taken or does not exist.
  mutating func insert(_ handle: SlabHandle, sendCredit: UInt32, receiveCredit: UInt32) -> Bool {
    guard Int(handle.index) < channels.count, !channels[handle.index].isTaken else { return false }
    // A slot still listed for its last life keeps its place in the list.
    let old = channels[handle.index]
    channels[handle.index] = LinkChannel(
      generation: handle.generation, isTaken: true, isListed: old.isListed,
      sendCredit: sendCredit, receiveCredit: receiveCredit, nextPending: old.nextPending)
    count += 1
    return true
  }

  /// Lives here: neither closed by us nor by the other side.
  @inline(__always)
  func isOpen(_ handle: SlabHandle) -> Bool {
    guard Int(handle.index) < channels.count else { return false }
    let channel = channels[handle.index]
    return channel.isTaken && channel.generation == handle.generation
      && !channel.pending.contains(.close)
  }

  mutating func remove(_ index: UInt32) {
    channels[index].isTaken = false
    channels[index].pending = []
    count -= 1
  }

  mutating func removeAll() {
    for index in 0..<channels.count { channels[index] = LinkChannel() }
    firstPending = .max
    lastPending = .max
    count = 0
  }

  subscript(index: UInt32) -> LinkChannel {
    @inline(__always) get { channels[index] }
    @inline(__always) _modify { yield &channels[index] }
  }

  // MARK: What waits for room

  mutating func addPending(_ index: UInt32, _ what: LinkChannel.Pending) {
    channels[index].pending.insert(what)
    guard !channels[index].isListed else { return }
    channels[index].isListed = true
    channels[index].nextPending = .max
    if firstPending == .max {
      firstPending = index
    } else {
      channels[lastPending].nextPending = index
    }
    lastPending = index
  }

  var nextPending: UInt32? { firstPending == .max ? nil : firstPending }

  mutating func dropFirstPending() {
    let index = firstPending
    firstPending = channels[index].nextPending
    if firstPending == .max { lastPending = .max }
    channels[index].isListed = false
    channels[index].nextPending = .max
  }
}
