import DPUCore

/// Frames that answer without a connection (ARP, echo, RST), written and waiting to be sent.
struct ReplyQueue: ~Copyable {
  // Not private: the compiler needs its metadata where a queue is destroyed.
  package struct Reply: BitwiseCopyable {
    var block = Block.none
    var byteCount = 0
  }

  private var replies: FixedArray<Reply>
  private var head = 0
  private(set) var count = 0

  init(capacity: Int) { replies = FixedArray(repeating: Reply(), count: capacity) }

  var isFull: Bool { count == replies.count }
  var first: Reply? { count == 0 ? nil : replies[head] }

  mutating func append(_ block: Block, byteCount: Int) {
    replies[(head + count) % replies.count] = Reply(block: block, byteCount: byteCount)
    count += 1
  }

  mutating func removeFirst() {
    head = (head + 1) % replies.count
    count -= 1
  }
}

/// The checksum of the range last shared, so that a message for a thousand connections is
/// summed once. It holds a reference, so the block cannot become another's meanwhile.
struct SharedSum {
  var block = Block.none
  var range = 0..<0
  var sum: UInt16 = 0
}
