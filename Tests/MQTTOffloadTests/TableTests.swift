import DPUCore
import Testing

@testable import MQTTOffload

/// The tables the offload stands on.
@Suite struct TableTests {
  @Test func creditTellsWhenTheOtherSideMayHaveRunDry() {
    var ledger = CreditLedger(window: 100)
    var dry = ledger.receive(60)
    #expect(!dry && ledger.outstanding == 40)
    ledger.grant(30)
    // The other side may not have known of the 30 when it sent up to 100.
    dry = ledger.receive(40)
    #expect(dry && ledger.outstanding == 30)
    dry = ledger.receive(10)
    #expect(!dry)
    ledger.grant(10)
    dry = ledger.receive(25)
    #expect(!dry, "it went beyond the 130 of before, so it knew of the rest")
    dry = ledger.receive(5)
    #expect(dry && ledger.outstanding == 0)
  }

  @Test func pingsAreAnsweredInOrder() {
    var ledger = PingLedger()
    let owners: [PingLedger.Owner] = [.client, .fence, .proof, .client, .keepAlive]
    for _ in 0..<20 {
      for owner in owners { ledger.sent(by: owner) }
      for owner in owners {
        let answered = ledger.answered()
        #expect(answered == owner)
      }
    }
    let nobody = ledger.answered()
    #expect(nobody == nil)
    for _ in 0..<OffloadLimits.pingsMax { ledger.sent(by: .proof) }
    #expect(ledger.isFull)
  }

  @Test func aSetWalksItsMembersOnly() {
    var set = SessionSet(capacity: 10_000)
    let members: Set<UInt32> = [0, 1, 63, 64, 4095, 4096, 8191, 9999]
    for member in members { set.insert(member) }
    set.insert(64)
    var found: Set<UInt32> = []
    var next = set.first(from: 0)
    while let member = next {
      found.insert(member)
      next = set.first(from: member + 1)
    }
    let count = set.count
    #expect(found == members && count == members.count)
    set.remove(64)
    set.remove(65)
    let behind = set.first(from: 64)
    #expect(behind == 4095)
    set.removeAll()
    let none = set.first(from: 0)
    #expect(none == nil)
  }

  @Test func keptBytesComeBackInOrder() {
    var random = SplitMix64(seed: 5)
    var store = ChainStore(blocks: 8)
    var chain = Chain()
    var model: [UInt8] = []
    for step in 0..<2000 {
      if Bool.random(using: &random) {
        let bytes = (0..<Int.random(in: 0...3000, using: &random)).map { _ in
          UInt8(truncatingIfNeeded: step)
        }
        let before = chain.count
        if store.append(bytes.span.bytes, to: &chain) {
          model += bytes
        } else {
          #expect(chain.count == before, "all or nothing")
        }
      } else {
        let front = bytes(store.front(chain))
        let count = Int.random(in: 0...front.count, using: &random)
        #expect(Array(front.prefix(count)) == Array(model.prefix(count)))
        store.dropFirst(count, of: &chain)
        model.removeFirst(count)
      }
      #expect(chain.count == model.count)
    }
    store.release(&chain)
    let free = store.freeBlocks
    #expect(free == 8)
  }

  private func bytes(_ span: RawSpan) -> [UInt8] {
    (0..<span.byteCount).map { span.byte(at: $0) }
  }

  @Test func subscribersAreFoundByNameAndForgottenByAge() {
    var table = SubscriberTable(capacity: 3)
    let a = table.add(session: 1, clientHash: 100)!
    let b = table.add(session: 2, clientHash: 104)!
    let c = table.add(session: 3, clientHash: 0)!
    let full = table.isFull
    let refused = table.add(session: 4, clientHash: 5)
    #expect(full && refused == nil)
    table.park(b)
    table.park(a)
    let oldest = table.longestAbsent
    #expect(oldest == b)
    table.attach(b, to: 7)
    let rest = (table.longestAbsent, table.absentCount, table[b].session)
    #expect(rest == (a, 1, 7))
    table.remove(a)
    table.remove(c)
    let found = [100, 104, 0].map { table.find(clientHash: $0) }
    #expect(found == [nil, b, nil])
  }

  @Test func verdictsHoldForTheirReceiversAndTheirTime() {
    var table = VerdictTable(capacity: 16)
    let end = Instant(nanoseconds: 1000)
    table.record(7, receivers: 1, .same, until: end)
    let now = Instant(nanoseconds: 999)
    let cases = [
      table.find(7, receivers: 1, now: now)?.finding,
      table.find(7, receivers: 2, now: now)?.finding,
      table.find(7, receivers: 1, now: end)?.finding,
      table.find(8, receivers: 1, now: now)?.finding,
    ]
    #expect(cases == [.same, nil, nil, nil])
    table.record(7, receivers: 1, .different, until: end)
    let once = table.find(7, receivers: 1, now: now)
    #expect(once == nil, "the first difference may be chance")
    table.record(7, receivers: 1, .different, until: end)
    let twice = table.find(7, receivers: 1, now: now)?.finding
    #expect(twice == .different)
  }

  @Test func everyCounterHasItsOwnName() {
    let names = Set(MQTTCounter.allCases.map { "\($0.name)" })
    #expect(names.count == MQTTCounter.allCases.count)
    for key in MQTTCounter.allCases { #expect("\(key)" == "\(key.name)") }
  }
}
