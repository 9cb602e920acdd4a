import DPUCore
import Frames
import Testing

@Suite struct BurstTests {
  @Test func framesLeaveInTheOrderTheyCame() {
    var device = MemoryDevice(portCount: 1)
    var burst = Burst()
    for length in 1...3 {
      var frame = device.allocate()!
      frame.resize(to: length)
      burst.append(frame)
    }
    #expect(burst.count == 3)
    #expect(burst.byteCount == 6)
    for length in 1...3 {
      let frame = burst.takeFirst()!
      #expect(frame.count == length)
      device.recycle(frame)
    }
    #expect(burst.count == 0)
    let nothing = burst.takeFirst() == nil
    #expect(nothing)
  }

  @Test func anEmptiedBurstTakesThirtyTwoAgain() {
    var device = MemoryDevice(portCount: 1)
    var burst = Burst()
    for _ in 0..<3 {
      for _ in 0..<32 { burst.append(device.allocate()!) }
      #expect(burst.count == 32)
      while let frame = burst.takeFirst() { device.recycle(frame) }
    }
    #expect(device.freeBuffers == 256)
  }

  @Test func droppingAFrameStopsTheProgram() async {
    await #expect(processExitsWith: .failure) {
      var device = MemoryDevice(portCount: 1)
      _ = device.allocate()
    }
  }

  @Test func aFullBurstRefusesAnother() async {
    await #expect(processExitsWith: .failure) {
      var device = MemoryDevice(portCount: 1)
      var burst = Burst()
      for _ in 0..<33 { burst.append(device.allocate()!) }
    }
  }
}

@Suite struct FrameTests {
  @Test func aHeaderGrowsIntoTheHeadroomAndShrinksAgain() {
    var device = MemoryDevice(portCount: 1)
    device.inject([1, 2, 3], port: 0)
    var burst = Burst()
    device.receive(port: 0, into: &burst)
    var frame = burst.takeFirst()!
    let room = Int(frame.handle.room)
    #expect(Int(frame.handle.headroom) == MemoryDevice.headroom)
    frame.advance(by: -2)
    var bytes = frame.room
    bytes.storeByte(9, at: 0)
    bytes.storeByte(8, at: 1)
    #expect(frame.count == 5)
    #expect(Int(frame.handle.room) == room + 2)
    #expect(Int(frame.handle.headroom) == MemoryDevice.headroom - 2)
    frame.advance(by: 1)
    burst.append(frame)
    _ = device.transmit(port: 0, &burst)
    #expect(device.takeSent(port: 0) == [[8, 1, 2, 3]])
    #expect(device.freeBuffers == 256)
  }

  @Test func movingBeyondTheHeadroomStopsTheProgram() async {
    await #expect(processExitsWith: .failure) {
      var device = MemoryDevice(portCount: 1)
      var frame = device.allocate()!
      frame.advance(by: -(MemoryDevice.headroom + 1))
      device.recycle(frame)
    }
  }
}

@Suite struct MemoryDeviceTests {
  @Test func whatIsInjectedIsReceivedAndWhatIsSentCanBeSeen() {
    var device = MemoryDevice(portCount: 2)
    device.inject([1, 2, 3], port: 0)
    device.inject([4], port: 0)
    var burst = Burst()
    device.receive(port: 1, into: &burst)
    #expect(burst.count == 0)
    device.receive(port: 0, into: &burst)
    #expect(burst.count == 2)
    let outcome = device.transmit(port: 1, &burst)
    #expect(outcome.sentFrames == 2 && outcome.sentBytes == 4 && outcome.unsentFrames == 0)
    #expect(device.takeSent(port: 1) == [[1, 2, 3], [4]])
    #expect(device.takeSent(port: 1) == [])
    #expect(device.freeBuffers == 256)
  }

  @Test func aFullQueueGivesTheRestBack() {
    var device = MemoryDevice(portCount: 1)
    device.transmitRoom = 2
    var burst = Burst()
    for _ in 0..<5 { burst.append(device.allocate()!) }
    let outcome = device.transmit(port: 0, &burst)
    #expect(outcome.sentFrames == 2 && outcome.unsentFrames == 3)
    #expect(burst.count == 0)
    #expect(device.freeBuffers == 256)
  }

  @Test func anEmptyPoolGivesNothingAndLosesNothing() {
    var device = MemoryDevice(portCount: 1, bufferCount: 2)
    for i in 0..<3 { device.inject([UInt8(i)], port: 0) }
    var burst = Burst()
    device.receive(port: 0, into: &burst)
    #expect(burst.count == 2)
    let none = device.allocate() == nil
    #expect(none)
    _ = device.transmit(port: 0, &burst)
    device.receive(port: 0, into: &burst)
    #expect(burst.count == 1)
    _ = device.transmit(port: 0, &burst)
    #expect(device.takeSent(port: 0) == [[0], [1], [2]])
  }
}

@Suite struct FaultyDeviceTests {
  /// Sends 400 numbered frames of 16 bytes through the faults and returns what came out.
  private func run(_ faults: Faults, seed: UInt64) -> [[UInt8]] {
    var device = FaultyDevice(MemoryDevice(portCount: 1), faults: faults, seed: seed)
    var burst = Burst()
    for round in 0..<20 {
      for i in 0..<20 {
        let number = round * 20 + i
        let bytes = [UInt8(number >> 8), UInt8(number & 255)] + [UInt8](repeating: 0x55, count: 14)
        device.inner.inject(bytes, port: 0)
      }
      device.receive(port: 0, into: &burst)
      let outcome = device.transmit(port: 0, &burst)
      #expect(outcome.unsentFrames == 0)
    }
    #expect(device.inner.freeBuffers == 256)
    return device.inner.takeSent(port: 0)
  }

  @Test func withoutFaultsNothingChanges() {
    #expect(run(Faults(), seed: 1).count == 400)
  }

  @Test func theSameSeedGivesTheSameFaults() {
    var faults = Faults()
    faults.loss = 100
    faults.corruption = 100
    faults.duplication = 100
    faults.reordering = 100
    faults.truncation = 100
    #expect(run(faults, seed: 7) == run(faults, seed: 7))
    #expect(run(faults, seed: 7) != run(faults, seed: 8))
  }

  @Test func eachFaultDoesItsOwn() {
    let clean = run(Faults(), seed: 3)
    var faults = Faults()
    faults.loss = 200
    let lossy = run(faults, seed: 3)
    #expect((280...360).contains(lossy.count))
    faults = Faults()
    faults.duplication = 200
    #expect((440...520).contains(run(faults, seed: 3).count))
    faults = Faults()
    faults.reordering = 200
    let reordered = run(faults, seed: 3)
    #expect(reordered != clean)
    #expect(Set(reordered) == Set(clean))
    faults = Faults()
    faults.corruption = 200
    let corrupted = run(faults, seed: 3)
    #expect(corrupted.count == 400)
    let flipped = zip(corrupted, clean).map { a, b in
      zip(a, b).map { ($0 ^ $1).nonzeroBitCount }.reduce(0, +)
    }
    #expect(flipped.allSatisfy { $0 <= 1 })
    #expect((40...120).contains(flipped.reduce(0, +)))
    faults = Faults()
    faults.truncation = 200
    #expect((40...120).contains(run(faults, seed: 3).count { $0.count < 16 }))
  }
}
