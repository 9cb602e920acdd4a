/// The few MQTT packets a QoS 0 load generator sends and reads.

/// What stands at the start of each message: which run it belongs to and which message it is.
enum Payload {
  static let headerBytes = 16

  static func write(run: UInt64, sequence: UInt64, into packet: inout [UInt8], at offset: Int) {
    for index in 0..<8 {
      packet[offset + index] = UInt8(truncatingIfNeeded: run >> (8 * index))
      packet[offset + 8 + index] = UInt8(truncatingIfNeeded: sequence >> (8 * index))
    }
  }
}

enum PacketType: UInt8 {
  case connack = 2
  case publish = 3
  case suback = 9
  case disconnect = 14
}

/// Builders; `v5` adds the (empty) property lists of MQTT 5.0.
enum Packets {
  static func connect(clientIdentifier: String, v5: Bool) -> [UInt8] {
    let keepAliveSeconds = 600
    var body = text("MQTT")
    body += [v5 ? 5 : 4, 0x02, UInt8(keepAliveSeconds >> 8), UInt8(keepAliveSeconds & 0xFF)]
    if v5 { body.append(0) }
    return packet(0x10, body + text(clientIdentifier))
  }

  static func subscribe(_ filter: String, v5: Bool) -> [UInt8] {
    packet(0x82, [0, 1] + (v5 ? [0] : []) + text(filter) + [0])
  }

  /// The packet and where its payload begins.
  static func publish(topic: String, payloadBytes: Int, v5: Bool) -> (bytes: [UInt8], payload: Int)
  {
    let head = text(topic) + (v5 ? [0] : [])
    let bytes = packet(0x30, head + [UInt8](repeating: 0x2E, count: payloadBytes))
    return (bytes, bytes.count - payloadBytes)
  }

  static let disconnect: [UInt8] = [0xE0, 0]

  private static func packet(_ first: UInt8, _ body: [UInt8]) -> [UInt8] {
    var bytes = [first]
    var length = body.count
    repeat {
      bytes.append(UInt8(length & 0x7F) | (length > 0x7F ? 0x80 : 0))
      length >>= 7
    } while length > 0
    return bytes + body
  }

  private static func text(_ string: String) -> [UInt8] {
    let bytes = [UInt8](string.utf8)
    return [UInt8(bytes.count >> 8), UInt8(bytes.count & 0xFF)] + bytes
  }
}

/// One packet as it lies in the receive buffer.
struct ReceivedPacket {
  let first: UInt8
  let body: UnsafeRawBufferPointer
  let totalBytes: Int

  /// nil while the packet is incomplete.
  init?(_ bytes: UnsafeRawBufferPointer) {
    var length = 0
    var at = 1
    while true {
      guard at < bytes.count, at <= 4 else { return nil }
      length |= Int(bytes[at] & 0x7F) << (7 * (at - 1))
      at += 1
      if bytes[at - 1] < 0x80 { break }
    }
    guard at + length <= bytes.count else { return nil }
    first = bytes[0]
    body = UnsafeRawBufferPointer(rebasing: bytes[at..<at + length])
    totalBytes = at + length
  }

  /// Run and sequence number of a QoS 0 PUBLISH of ours; nil when it is something else.
  func message(v5: Bool) -> (run: UInt64, sequence: UInt64)? {
    guard body.count >= 2 else { return nil }
    var at = 2 + (Int(body[0]) << 8 | Int(body[1]))
    if v5 {
      // Our messages carry no properties of 128 bytes or more: the length is one byte.
      guard at < body.count, body[at] < 0x80 else { return nil }
      at += 1 + Int(body[at])
    }
    guard at + Payload.headerBytes <= body.count else { return nil }
    return (
      UInt64(littleEndian: body.loadUnaligned(fromByteOffset: at, as: UInt64.self)),
      UInt64(littleEndian: body.loadUnaligned(fromByteOffset: at + 8, as: UInt64.self))
    )
  }
}
