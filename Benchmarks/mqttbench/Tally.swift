/// Which subscriber has received which message: what is lost, repeated or out of order.
struct Tally {
  private let words: Int
  private let messages: Int
  private let subscribers: Int
  /// One bit per subscriber and message.
  private var received: [UInt64]
  private var highest: [Int]
  /// Subscribers that still wait for a message, per message.
  private var missing: [Int32]

  private(set) var deliveries = 0
  private(set) var duplicated = 0
  private(set) var reordered = 0

  init(subscribers: Int, messages: Int) {
    self.subscribers = subscribers
    self.messages = messages
    words = (messages + 63) / 64
    received = Array(repeating: 0, count: words * subscribers)
    highest = Array(repeating: -1, count: subscribers)
    missing = Array(repeating: Int32(subscribers), count: messages)
  }

  /// True when `subscriber` was the last one to get `message`.
  mutating func record(_ message: Int, at subscriber: Int) -> Bool {
    let word = subscriber * words + message / 64
    let bit = UInt64(1) << UInt64(message % 64)
    guard received[word] & bit == 0 else {
      duplicated += 1
      return false
    }
    received[word] |= bit
    deliveries += 1
    if message < highest[subscriber] { reordered += 1 } else { highest[subscriber] = message }
    missing[message] -= 1
    return missing[message] == 0
  }

  /// Deliveries that did not come, of the first `published` messages.
  func lost(published: Int) -> Int { published * subscribers - deliveries }
}
