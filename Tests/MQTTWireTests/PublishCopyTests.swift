import DPUCore
import Testing

@testable import MQTTWire

/// The copies that receivers get of one message.
@Suite struct PublishCopyTests {
  /// A publisher of 5.0: alias 7, user property a=b, expiry 60, content type t, user a=c.
  static let message = packet(
    "3028 'x/y' 1a 230007 26 'a' 'b' 02 0000003c 03 't' 26 'a' 'c' 7061796c6f6164 31")

  func copy(
    of message: [UInt8], _ from: ProtocolVersion, to version: ProtocolVersion,
    _ identifiers: [UInt32], expiry: UInt32?, topic: String = "x/y"
  ) throws -> [UInt8] {
    let view = try PublishView(message.span.bytes, version: from, from: .client)
    let name = Array(topic.utf8)
    let copy = PublishCopy(
      of: view, topic: name.span.bytes, for: version, messageExpiryInterval: expiry)
    let size = copy.encodedSize(subscriptionIdentifiers: identifiers.span)
    let whole = written(size) { copy.write(into: &$0, subscriptionIdentifiers: identifiers.span) }
    let header = written(copy.headerSize(subscriptionIdentifiers: identifiers.span)) {
      copy.writeHeader(into: &$0, subscriptionIdentifiers: identifiers.span)
    }
    #expect(whole == header + array(view.payload))
    return whole
  }

  @Test func anOlderReceiverGetsNoProperties() throws {
    for version in [ProtocolVersion.v31, .v311] {
      let bytes = try copy(of: Self.message, .v5, to: version, [3], expiry: 60)
      #expect(bytes == packet("300d 'x/y' 7061796c6f6164 31"))
    }
  }

  @Test func propertiesAreForwardedInOrderWithoutTheAlias() throws {
    let bytes = try copy(of: Self.message, .v5, to: .v5, [], expiry: 59)
    #expect(
      bytes
        == packet(
          "3025 'x/y' 17 26 'a' 'b' 03 't' 26 'a' 'c' 02 0000003b 7061796c6f6164 31"))
  }

  @Test func subscriptionIdentifiersStandInFront() throws {
    let bytes = try copy(of: Self.message, .v5, to: .v5, [1, 200], expiry: nil)
    #expect(
      bytes
        == packet(
          "3025 'x/y' 17 0b01 0bc801 26 'a' 'b' 03 't' 26 'a' 'c' 7061796c6f6164 31"))
  }

  @Test func anOlderPublisherHasNoPropertiesToForward() throws {
    let bytes = try copy(of: packet("3003 'q' 68"), .v311, to: .v5, [5], expiry: nil, topic: "q")
    #expect(bytes == packet("3006 'q' 02 0b05"))
  }

  @Test func theNameReplacesAnAlias() throws {
    let bytes = try copy(
      of: packet("3007 '' 03 230001 68"), .v5, to: .v5, [], expiry: nil, topic: "long/name")
    #expect(bytes == packet("300d 'long/name' 00 68"))
  }

  /// What mosquitto 2.0.11 wrote to a 5.0 subscriber with identifier 200 for this message.
  @Test func theCopyIsTheOneThatMosquittoWrites() throws {
    let published = packet(
      "3025 'x/y' 1c 230007 26 'a' 'b' 02 0000003c 03 't' 26 'a' 'c' 0101 706179")
    let bytes = try copy(of: published, .v5, to: .v5, [200], expiry: 60)
    #expect(
      bytes
        == packet(
          "3025 'x/y' 1c 0bc801 26 'a' 'b' 03 't' 26 'a' 'c' 0101 02 0000003c 706179"))
  }
}
