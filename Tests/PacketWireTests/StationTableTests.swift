import PacketWire
import Testing

@Suite struct StationTableTests {
  private let a = MACAddress(0x02, 0, 0, 0, 0, 0x0a)
  private let b = MACAddress(0x02, 0, 0, 0, 0, 0x0b)

  @Test func aStationIsFoundWhereItWasLastSeen() {
    var table = StationTable(capacity: 256)
    table.learn(a, on: 0)
    table.learn(b, on: 1)
    let before = [table.port(of: a), table.port(of: b)]
    table.learn(a, on: 1)
    let after = table.port(of: a)
    #expect(before == [0, 1] && after == 1)
  }

  @Test func whoWasNotSeenIsNowhere() {
    let table = StationTable(capacity: 256)
    let ports = [table.port(of: a), table.port(of: .zero), table.port(of: .broadcast)]
    #expect(ports == [nil, nil, nil])
  }

  @Test func aGroupIsNotAStation() {
    var table = StationTable(capacity: 1)
    table.learn(a, on: 1)
    let groups = [MACAddress.broadcast, MACAddress(0x01, 0, 0x5e, 0, 0, 1)]
    for group in groups { table.learn(group, on: 0) }
    let ports = groups.map { table.port(of: $0) }
    let known = table.port(of: a)
    #expect(ports == [nil, nil] && known == 1)
  }

  /// Never a wrong port: who has no place any more is sought on all.
  @Test func twoInOnePlaceForgetEachOther() {
    var table = StationTable(capacity: 1)
    table.learn(a, on: 0)
    table.learn(b, on: 1)
    var ports = [table.port(of: a), table.port(of: b)]
    #expect(ports == [nil, 1])
    table.learn(a, on: 0)
    ports = [table.port(of: a), table.port(of: b)]
    #expect(ports == [0, nil])
  }

  /// Cards of one maker, and machines of one host, have addresses in a row.
  @Test func mostAddressesInARowHavePlacesOfTheirOwn() {
    var table = StationTable(capacity: 256)
    let row = (0..<128).map { MACAddress(0x5254_0012_3400 + $0) }
    for (i, mac) in row.enumerated() { table.learn(mac, on: i & 1) }
    var known = 0
    for (i, mac) in row.enumerated() {
      guard let port = table.port(of: mac) else { continue }
      known += 1
      #expect(port == i & 1)
    }
    // Chance would leave 101.
    #expect(known > 90, "\(known)")
  }

  @Test func theCapacityIsAPowerOfTwo() async {
    await #expect(processExitsWith: .failure) { _ = StationTable(capacity: 100) }
  }
}
