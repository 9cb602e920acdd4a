import Testing

@testable import DPUCore

@Suite struct StorageTests {
  @Test func theCheckValueOfCRC32() {
    // That of the catalogue of CRC algorithms, over the digits 1 to 9.
    #expect(CRC32.of("123456789".utf8) == 0xcbf4_3926)
    var rows = CRC32()
    rows.add(0x3837_3635_3433_3231 as UInt64)
    rows.add(UInt8(ascii: "9"))
    #expect(rows.value == 0xcbf4_3926)
  }

  @Test(arguments: [0, 1, 2, 3, 64, 1_000]) func anArrayIsFilledToItsEnds(count: Int) {
    var array = FixedArray<UInt16>(repeating: 7, count: count + 2)
    array.fill(1..<1 + count, with: 9)
    let values = (0..<array.count).map { array[$0] }
    #expect(values == [7] + Array(repeating: 9, count: count) + [7])
  }

  @Test func aStaleHandleMatchesNothing() {
    var slab = Slab<Int>(repeating: 0, capacity: 2)
    let first = slab.insert(10)!
    let second = slab.insert(20)!
    let refused = slab.insert(30)
    #expect(refused == nil)
    slab.remove(first)
    let third = slab.insert(40)!
    #expect(third.index == first.index)
    let known = [first, second, third, .none].map { slab.contains($0) }
    #expect(known == [false, true, true, false])
    slab[second] += 1
    let values = [slab[second], slab[third]]
    #expect(values == [21, 40])
  }

  @Test func aBlockReturnsWithItsLastReference() {
    var pool = BlockPool(blockCount: 2, blockSize: 64)
    let a = pool.allocate()!
    pool.retain(a)
    var bytes = pool.mutableBytes(a, 0..<4)
    bytes.storeBE(UInt32(0x0102_0304), at: 0)
    pool.release(a)
    let stored = pool.bytes(a, 2..<4).beUInt16(at: 0)
    let freeWhileShared = pool.freeCount
    #expect(stored == 0x0304 && freeWhileShared == 1)
    pool.release(a)
    let (free, low) = (pool.freeCount, pool.lowWater)
    #expect(free == 2 && low == 1)
    let taken = [pool.allocate(), pool.allocate(), pool.allocate()].map { $0 != nil }
    #expect(taken == [true, true, false])
  }

  @Test func aRingKeepsOrderAndRefusesWhenFull() {
    let ring = SPSCRing(repeating: 0, capacity: 3)
    #expect(ring.capacity == 4)
    for round in 0..<5 {
      for i in 0..<4 { #expect(ring.push(round * 4 + i)) }
      #expect(!ring.push(99) && ring.count == 4)
      for i in 0..<4 { #expect(ring.pop() == round * 4 + i) }
      #expect(ring.pop() == nil)
    }
  }

  /// The vectors of the SipHash paper's reference: key 00..0f, message 00..len-1.
  @Test func sipHashMatchesItsReferenceVectors() {
    let expected: [Int: UInt64] = [
      0: 0x726f_db47_dd0e_0e31, 1: 0x74f8_39c5_93dc_67fd, 8: 0x93f5_f579_9a93_2462,
      15: 0xa129_ca61_49be_45e5,
    ]
    for (length, value) in expected {
      let message = (0..<length).map { UInt8($0) }
      var hash = SipHash(key0: 0x0706_0504_0302_0100, key1: 0x0f0e_0d0c_0b0a_0908)
      hash.combine(bytes: message.span.bytes)
      let result = hash.finish()
      #expect(result == value)
    }
  }

  @Test func aStaleSlabHandleTraps() async {
    await #expect(processExitsWith: .failure) {
      var slab = Slab<Int>(repeating: 0, capacity: 1)
      let handle = slab.insert(1)!
      slab.remove(handle)
      slab.remove(handle)
    }
  }
}
