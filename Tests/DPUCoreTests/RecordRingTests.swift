import DPUCore
import Testing

@Suite struct RecordRingTests {
  private func push(_ ring: RecordRing<Int>, _ bytes: [UInt8], _ header: Int = 0) -> Bool {
    ring.push(bytes.span.bytes, header)
  }

  private func take(_ ring: RecordRing<Int>) -> (header: Int, bytes: [UInt8])? {
    var taken: (Int, [UInt8])?
    let isThere = ring.take { header, bytes in
      taken = (header, (0..<bytes.byteCount).map { bytes.byte(at: $0) })
    }
    return isThere ? taken : nil
  }

  @Test func recordsComeOutInOrderAndWhatIsTooMuchIsRefused() {
    let ring = RecordRing(0, capacity: 4, placeBytes: 16)
    for round in 0..<20 {
      for index in 0..<4 { #expect(push(ring, [UInt8(round), UInt8(index)], index)) }
      #expect(!push(ring, [9]))
      for index in 0..<4 {
        let record = take(ring)
        #expect(record?.header == index)
        #expect(record?.bytes == [UInt8(round), UInt8(index)])
      }
      #expect(take(ring) == nil)
    }
  }

  @Test func aRecordThatIsTooLongIsRefused() {
    let ring = RecordRing(0, capacity: 2, placeBytes: 100)
    #expect(!push(ring, Array(repeating: 1, count: 101)))
    let longest = Array(repeating: UInt8(1), count: 100)
    #expect(push(ring, longest))
    #expect(take(ring)?.bytes == longest)
  }
}
