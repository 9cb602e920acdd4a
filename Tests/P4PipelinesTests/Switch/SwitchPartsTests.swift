import DPUCore
import Testing

@testable import P4Pipelines

struct SwitchPartsTests {
  @Test func sessionsAreNamedByFifteenBits() {
    var sessions = CloneSessions(capacity: 2)
    same(sessions[5], nil)
    same(sessions.set(5, CloneSession(port: 3)), true)
    same(sessions.set(0x7fff, CloneSession(group: 1, truncation: 64)), true)
    same(sessions.set(6, CloneSession(port: 1)), false)
    same(sessions.set(5, CloneSession(port: 4)), true)
    same(sessions[5]?.port, 4)
    same(sessions[0x8005]?.port, 4)
    same(sessions[0xffff]?.truncation, 64)
    same(sessions.remove(5), true)
    same(sessions.remove(5), false)
    same(sessions[5], nil)
    same(sessions.set(6, CloneSession(port: 1)), true)
    same(sessions[6]?.port, 1)
  }

  @Test func aWaitingRingKeepsOrderAndFields() {
    var ring = WaitingRing(capacity: 5, fieldBytes: 8)
    var next: UInt16 = 0
    var expected: UInt16 = 0
    for round in 0..<20 {
      while ring.room > 0 {
        unsafe UnsafeMutablePointer<UInt64>(bitPattern: ring.nextFields)!.pointee = UInt64(next)
        ring.push(WaitingPacket(port: next))
        next += 1
      }
      same(ring.count, 5)
      for _ in 0..<(round % 5 + 1) {
        let packet = ring.pop()
        let fields = ring.fieldsOfLast
        same(packet.port, expected)
        same(unsafe UnsafePointer<UInt64>(bitPattern: fields)!.pointee, UInt64(expected))
        expected += 1
      }
    }
  }

  private func add(_ byte: UInt8, to ring: inout DigestRing, at time: UInt64) -> DigestRing.Outcome
  {
    guard let address = ring.next else { return .full }
    for index in 0..<11 {
      unsafe UnsafeMutablePointer<UInt8>(bitPattern: address + UInt(index))!.pointee = byte
    }
    return ring.commit(DigestHeader(list: 0, microseconds: time, byteCount: 11))
  }

  @Test func digestsAreToldInOrderAndBounded() {
    var ring = DigestRing(capacity: 3, bytes: 11, lists: 1)
    for byte in [1, 1, 2] as [UInt8] { same(add(byte, to: &ring, at: 5), .told) }
    same(add(3, to: &ring, at: 5), .full)
    var seen: [UInt8] = []
    for _ in 0..<2 {
      let taken = ring.take { header, bytes in
        same(header, DigestHeader(list: 0, microseconds: 5, byteCount: 11))
        same(bytes.byteCount, 11)
        seen.append(bytes.byte(at: 10))
      }
      same(taken, true)
    }
    same(add(4, to: &ring, at: 6), .told)
    while ring.take({ _, bytes in seen.append(bytes.byte(at: 0)) }) {}
    same(seen, [1, 1, 2, 4])
  }

  @Test func aDigestIsToldOnceUntilAcknowledgedOrTimedOut() {
    var ring = DigestRing(capacity: 8, bytes: 11, lists: 1)
    ring.setTimeout(list: 0, milliseconds: 1)
    same(add(1, to: &ring, at: 100), .told)
    same(add(1, to: &ring, at: 1099), .suppressed)
    same(add(2, to: &ring, at: 1099), .told)
    same(add(1, to: &ring, at: 1100), .told)
    same(add(1, to: &ring, at: 1101), .suppressed)
    ring.acknowledge(list: 0)
    same(add(1, to: &ring, at: 1102), .told)
    same(ring.count, 4)
  }
}
