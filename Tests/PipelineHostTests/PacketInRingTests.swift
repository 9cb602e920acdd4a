import DPUCore
import Testing

@testable import PipelineHost

@Suite struct PacketInRingTests {
  private func push(_ ring: PacketInRing, _ bytes: [UInt8], slot: Int = 0) -> Bool {
    ring.push(bytes.span.bytes, slot: slot, now: .zero)
  }

  private func take(_ ring: PacketInRing) -> (slot: Int, bytes: [UInt8])? {
    var taken: (Int, [UInt8])?
    let isThere = ring.take { header, bytes in
      taken = (header.slot, (0..<bytes.byteCount).map { bytes.byte(at: $0) })
    }
    return isThere ? taken : nil
  }

  @Test func packetsComeOutInOrderAndWhatIsTooMuchIsRefused() {
    let ring = PacketInRing(capacity: 4)
    for round in 0..<20 {
      for index in 0..<4 { #expect(push(ring, [UInt8(round), UInt8(index)], slot: index)) }
      #expect(!push(ring, [9]))
      for index in 0..<4 {
        let packet = take(ring)
        #expect(packet?.slot == index)
        #expect(packet?.bytes == [UInt8(round), UInt8(index)])
      }
      #expect(take(ring) == nil)
    }
  }

  @Test func aPacketThatIsTooLongIsRefused() {
    let ring = PacketInRing(capacity: 2)
    #expect(!push(ring, Array(repeating: 1, count: PipelineLimits.packetBytes + 1)))
    let longest = Array(repeating: UInt8(1), count: PipelineLimits.packetBytes)
    #expect(push(ring, longest))
    #expect(take(ring)?.bytes == longest)
  }
}
