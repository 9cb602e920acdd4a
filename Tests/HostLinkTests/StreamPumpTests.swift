import DPUCore
import Testing

@testable import HostLink

/// One ring pair and a pump at it; the test is the other side of the stream.
private struct PumpedEnd: ~Copyable {
  let memory = SharedMemory()
  var end: DPULink
  var pump: StreamPump
  var toShim = BytePipe(capacity: 1 << 20)
  var fromShim = BytePipe(capacity: 1 << 20)

  init() {
    end = DPULink(channelsMax: 4)
    pump = StreamPump(memory.link, role: .firmware)
    end.apply(.attach(memory.link, generation: 7, doorbell: -1), now: .zero)
    _ = end.finishTurn()
  }

  mutating func send() throws(LinkFailure) -> StreamPump.Sent {
    let (result, pipe) = try sending(toShim)
    toShim = pipe
    return result
  }

  private mutating func sending(
    _ start: BytePipe
  ) throws(LinkFailure) -> (StreamPump.Sent, BytePipe) {
    var pipe = start
    return (try pump.send { pipe.write($0) }, pipe)
  }

  mutating func receive(untilEnd: Bool = false) throws(LinkFailure) -> StreamPump.Received {
    var pipe = fromShim
    defer { fromShim = pipe }
    return try pump.receive(untilEnd: untilEnd) { pipe.read($0) }
  }
}

/// A frame as it stands in a ring.
private func frame(_ header: FrameHeader, _ body: [UInt8] = []) -> [UInt8] {
  var header = header
  header.length = UInt16(body.count)
  var bytes = [UInt8](repeating: 0, count: FrameHeader.footprint(body.count))
  for index in 0..<8 {
    bytes[index] = UInt8(truncatingIfNeeded: header.word0 >> UInt64(8 * index))
    bytes[8 + index] = UInt8(truncatingIfNeeded: header.channel >> UInt64(8 * index))
  }
  bytes.replaceSubrange(16..<16 + body.count, with: body)
  return bytes
}

private func hello() -> [UInt8] {
  let greeting = Hello(role: .shim, generation: 7, channels: 4, ringBytes: 1 << 17)
  return greeting.frame.span.bytes.array
}

@Suite struct StreamPumpTests {
  @Test func aFrameIsShownWhenItIsWhole() throws {
    var end = PumpedEnd()
    let bytes = hello() + frame(FrameHeader(.ping))
    for (index, byte) in bytes.enumerated() {
      let before = end.end.nextEvent()
      check(before, is: nil)
      end.fromShim.put([byte])
      let result = try end.receive()
      check(result, is: .drained)
      if index == hello().count - 1 {
        check(end.end.nextEvent(), is: .up)
      }
    }
    // The PING is answered.
    _ = end.end.nextEvent()
    _ = end.end.finishTurn()
    let sent = try end.send()
    check(sent, is: .all)
    check(end.toShim.bytes.count, is: 48 + 16)
    check(end.toShim.bytes[48], is: FrameKind.pong.rawValue)
  }

  @Test func whatTheStreamDoesNotTakeStaysInTheRing() throws {
    var end = PumpedEnd()
    end.toShim.capacity = 10
    var result = try end.send()
    check(result, is: .blocked)
    check(end.toShim.bytes.count, is: 10)
    check(end.pump.hasUnsent)
    end.toShim.capacity = 1_000
    result = try end.send()
    check(result, is: .all)
    check(!end.pump.hasUnsent)
    let greeting = Hello(role: .firmware, generation: 7, channels: 4, ringBytes: 1 << 17)
    check(end.toShim.bytes, is: greeting.frame.span.bytes.array)
  }

  /// Nothing is lost and nothing overtakes when the reader of the ring pauses.
  @Test func aFullRingStopsTheReadingUntilThereIsRoom() throws {
    var end = PumpedEnd()
    end.fromShim.capacity = 1 << 24
    end.fromShim.put(hello())
    let count = 20_000
    for number in 0..<count {
      end.fromShim.put(frame(FrameHeader(.certificate, argument: UInt32(number))))
    }
    var seen = 0
    var timesFull = 0
    while seen < count {
      let result = try end.receive()
      if result == .full { timesFull += 1 }
      while let event = end.end.nextEvent() {
        guard case .certificate(let flags) = event else { continue }
        check(Int(flags.rawValue), is: seen)
        seen += 1
      }
      _ = end.end.finishTurn()
    }
    check(timesFull > 1)
  }

  @Test func theEndIsSeenOnceEverythingBeforeItIsTaken() throws {
    var end = PumpedEnd()
    end.fromShim.put(hello() + frame(FrameHeader(.certificate, argument: 9)) + [1, 2, 3])
    end.fromShim.isEnded = true
    // Without knowing of the end, a short read is the last of the turn.
    var result = try end.receive()
    check(result, is: .drained)
    result = try end.receive(untilEnd: true)
    check(result, is: .ended)
    check(end.end.nextEvent(), is: .up)
    check(end.end.nextEvent(), is: .certificate(CertificateFlags(rawValue: 9)))
    // Half a frame is no frame.
    check(end.end.nextEvent(), is: nil)
  }

  @Test func aBrokenStreamIsAnEnd() throws {
    var end = PumpedEnd()
    end.fromShim.isEnded = true
    end.fromShim.endResult = -104
    end.toShim.isEnded = true
    let received = try end.receive()
    check(received, is: .ended)
    let sent = try end.send()
    check(sent, is: .ended)
  }

  @Test func aFrameThatNeverBecomesWholeIsRefused() {
    for length in [HostLinkLimits.payloadMax + 1, 0xffff] {
      var end = PumpedEnd()
      var bytes = frame(FrameHeader(.data))
      bytes[2] = UInt8(length & 0xff)
      bytes[3] = UInt8(length >> 8)
      end.fromShim.put(hello() + bytes)
      do throws(LinkFailure) {
        _ = try end.receive()
        Issue.record("length \(length) was taken")
      } catch {
        check(error, is: .badLength)
      }
    }
  }

  @Test func aFrameAcrossTheEndOfTheRingIsRefused() throws {
    var end = PumpedEnd()
    end.fromShim.capacity = 1 << 20
    end.fromShim.put(hello())
    let pings = ((1 << 17) - 48) / 16 - 1
    for _ in 0..<pings { end.fromShim.put(frame(FrameHeader(.pong))) }
    _ = try end.receive()
    while end.end.nextEvent() != nil {}
    _ = end.end.finishTurn()
    // Sixteen bytes are left before the ring's end.
    end.fromShim.put(frame(FrameHeader(.data, channel: 1), [1]))
    do throws(LinkFailure) {
      _ = try end.receive()
      Issue.record("it was taken")
    } catch {
      check(error, is: .badLength)
    }
  }

  @Test func theBellRingsForASleepingReaderAlone() throws {
    var end = PumpedEnd()
    end.fromShim.put(hello())
    _ = try end.receive()
    check(!end.pump.takeBell())
    while end.end.nextEvent() != nil {}
    _ = end.end.finishTurn()
    let sleeps = end.end.prepareToSleep()
    check(sleeps)
    // Half a frame wakes nobody.
    let ping = frame(FrameHeader(.ping))
    end.fromShim.put(Array(ping[..<8]))
    _ = try end.receive()
    check(!end.pump.takeBell())
    end.fromShim.put(Array(ping[8...]))
    _ = try end.receive()
    check(end.pump.takeBell())
    check(!end.pump.takeBell())
  }

  @Test func theWriterRingsForASleepingPump() throws {
    var end = PumpedEnd()
    check(!end.pump.prepareToSleep())
    _ = try end.send()
    check(end.pump.prepareToSleep())
    end.fromShim.put(hello() + frame(FrameHeader(.ping)))
    _ = try end.receive()
    while end.end.nextEvent() != nil {}
    let rings = end.end.finishTurn()
    check(rings)
    end.pump.awake()
    check(end.pump.hasUnsent)
  }

  /// Whatever comes, the pump refuses it or shows whole frames; the reader decides on the rest.
  @Test(arguments: 0..<300)
  func randomBytesEndTheLinkOrMeanNothing(seed: UInt64) {
    var random = SplitMix64(seed: seed)
    var end = PumpedEnd()
    end.fromShim.capacity = 1 << 20
    if seed % 3 != 0 { end.fromShim.put(hello()) }
    for _ in 0..<60 {
      if Bool.random(using: &random) {
        let body = [UInt8](repeating: 3, count: Int.random(in: 0...700, using: &random))
        var header = FrameHeader(.data, channel: 1 << 32)
        header.kind = UInt8.random(in: 0...15, using: &random)
        end.fromShim.put(frame(header, body))
      }
      if Int.random(in: 0..<9, using: &random) == 0 {
        for _ in 0..<Int.random(in: 1...40, using: &random) {
          end.fromShim.put([UInt8.random(in: 0...255, using: &random)])
        }
      }
      end.fromShim.pieceMax = Int.random(in: 1...900, using: &random)
      guard (try? end.receive()) != nil else { return }
      while let event = end.end.nextEvent() {
        if case .data(let channel, let count) = event {
          check(end.end.eventBytes.byteCount, is: count)
          end.end.grant(channel, count)
        }
      }
      _ = end.end.finishTurn()
    }
  }
}

@Suite struct StreamRecordTests {
  @Test func recordsAreReadAsTheyWereWritten() throws {
    let opening = StreamOpening(.frames, worker: 3, generation: 0xdead_beef)
    try check(StreamOpening(opening.record.content), is: opening)
    let statement = CertificateRecord(
      .statement, flags: [.kernelConnection, .otherListener], number: 1 << 40)
    try check(CertificateRecord(statement.record.content), is: statement)
    let greeting = Hello(role: .firmware, generation: 5, channels: 9, ringBytes: 1 << 20)
    try check(Hello(frame: StreamRecord(greeting: greeting).content), is: greeting)
  }

  @Test func aRecordComesAndGoesInPieces() {
    var leaving = StreamOpening(.control).record
    var coming = StreamRecord(wanted: StreamOpening.byteCount)
    var wire = BytePipe()
    for piece in [3, 1, 5] {
      wire.pieceMax = piece
      let sent = leaving.send { wire.write($0) }
      check(sent, is: .partial)
    }
    let blocked = leaving.send { _ in -11 }
    check(blocked, is: .partial)
    wire.pieceMax = .max
    let rest = leaving.send { wire.write($0) }
    check(rest, is: .whole)
    check(wire.bytes, is: StreamOpening(.control).record.content.array)
    wire.pieceMax = 1
    while !coming.isWhole {
      let received = coming.receive { wire.read($0) }
      check(received != .ended)
    }
    check(coming.content.array, is: leaving.content.array)
    let end = StreamRecord(wanted: 16)
    var ended = end
    check(ended.receive { _ in 0 }, is: .ended)
  }

  @Test func otherFirstBytesAreRefused() {
    let good = StreamOpening(.control).record.content.array
    for index in [0, 1, 2, 3, 4, 5, 6] {
      var bytes = good
      bytes[index] ^= 0x40
      check((try? StreamOpening(bytes.span.bytes)) == nil)
    }
    check((try? StreamOpening(Array(good[..<15]).span.bytes)) == nil)
    for kind in [0, 4, 255] as [UInt8] {
      var bytes = CertificateRecord(.farewell).record.content.array
      bytes[0] = kind
      check((try? CertificateRecord(bytes.span.bytes)) == nil)
    }
  }
}
