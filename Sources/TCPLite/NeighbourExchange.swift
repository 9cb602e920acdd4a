package import DPUCore
import PacketWire

/// Carries answers about neighbours (ARP replies, neighbour advertisements) to the other workers.
///
/// A device spreads flows over its queues by a hash, so the answer to one worker's question may
/// arrive at another, which has not asked and would throw it away.
package struct NeighbourExchange: ~Copyable {
  /// A copy of the frame: an ARP reply takes 42 bytes, an advertisement 86.
  package struct Answer: BitwiseCopyable {
    static let capacity = 96
    var bytes = InlineArray<96, UInt8>(repeating: 0)
    var count = 0
  }

  private var outgoing: FixedArray<SPSCRing<Answer>>
  private var incoming: FixedArray<SPSCRing<Answer>>

  /// The rings between `count` workers: `[a][b]` goes from worker `a` to worker `b`.
  package static func rings(_ count: Int) -> [[SPSCRing<Answer>]] {
    (0..<count).map { _ in
      (0..<count).map { _ in
        SPSCRing(repeating: Answer(), capacity: TCPLimits.neighbourAnswers)
      }
    }
  }

  /// The end of one worker. The ring from it to itself stays unused.
  package init(worker: Int, rings: [[SPSCRing<Answer>]]) {
    let own = rings[worker][worker]
    outgoing = FixedArray(repeating: own, count: rings.count - 1)
    incoming = FixedArray(repeating: own, count: rings.count - 1)
    var place = 0
    for other in rings.indices where other != worker {
      outgoing[place] = rings[worker][other]
      incoming[place] = rings[other][worker]
      place += 1
    }
  }

  /// Passes `frame` on if it is an answer. A full ring loses it: the other worker asks again.
  @inline(__always)
  package func share(_ frame: RawSpan) {
    if outgoing.count > 0, frame.byteCount <= Answer.capacity, Self.isAnswer(frame) { send(frame) }
  }

  /// Hands what the others have received to the stack.
  @inline(__always)
  package func receive(into stack: inout TCPStack, now: Instant) {
    for i in 0..<incoming.count {
      while let answer = incoming[i].pop() {
        let bytes = answer.bytes
        _ = unsafe stack.receive(bytes.span.bytes.extracting(0..<answer.count), now: now)
      }
    }
  }

  private func send(_ frame: RawSpan) {
    var answer = Answer()
    answer.count = frame.byteCount
    for i in 0..<answer.count { answer.bytes[i] = frame.byte(at: i) }
    for i in 0..<outgoing.count { _ = outgoing[i].push(answer) }
  }

  @inline(__always)
  private static func isAnswer(_ frame: RawSpan) -> Bool {
    guard let ethernet = try? EthernetView(frame) else { return false }
    if ethernet.type == EtherType.arp {
      guard let arp = try? ARPView(ethernet.payload) else { return false }
      return arp.operation == ARPPacket.reply
    }
    guard ethernet.type == EtherType.ipv6, let ip = try? IPv6View(ethernet.payload),
      case .found(IPProtocol.icmpv6, let offset) = ip.upperLayer
    else { return false }
    let message = ip.payload(from: offset)
    return message.byteCount > 0 && message.byte(at: 0) == ICMPv6View.neighbourAdvertisement
  }
}
