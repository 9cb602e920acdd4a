import DPUCore
import Testing

@testable import TCPLite

@Suite struct HandshakeTests {
  @Test func opensCarriesDataBothWaysAndCloses() {
    let bench = Bench()
    let call = Call(bench)
    let c = call.connection
    #expect(bench.turn() == [])
    var out = bench.exchange(call.segment("PA", "hello"))
    #expect(out.map(\.flags) == ["A"])
    #expect(out[0].acknowledgment == call.client &+ 5)
    #expect(bench.events() == [.readable])
    #expect(bench.text(c) == "hello")

    #expect(bench.send(c, Array("world".utf8)) == 5)
    out = bench.turn()
    #expect(out.map(\.flags) == ["PA"])
    #expect(out[0].sequence == call.server && out[0].payload == Array("world".utf8))
    #expect(bench.exchange(call.segment(at: 5, acking: 5)) == [])

    out = bench.exchange(call.segment("FA", at: 5, acking: 5))
    #expect(out.map(\.acknowledgment) == [call.client &+ 6])
    #expect(bench.events() == [.peerClosed])
    bench.stack.close(c)
    out = bench.turn()
    #expect(out.map(\.flags) == ["FA"])
    #expect(bench.exchange(call.segment(at: 6, acking: 6)) == [])
    #expect(bench.events() == [.closed(.finished)])
    let left = (bench.stack.connectionCount, bench.stack.pool.freeCount)
    #expect(left == (0, bench.stack.pool.capacity))
  }
}
