package import DPUCore

/// What a packet must look like: some of its half bytes may be anything, and more may follow.
package struct PacketPattern: Equatable, Sendable {
  /// 0...15, or `any`.
  package var nibbles: [UInt8]
  /// Nothing may follow.
  package var isExact: Bool

  package static let any: UInt8 = 16

  package init(nibbles: [UInt8], isExact: Bool) {
    self.nibbles = nibbles
    self.isExact = isExact
  }

  /// Exactly these bytes, where those in `unchecked` may be anything.
  package init(_ bytes: [UInt8], unchecked: [Range<Int>] = []) {
    nibbles = []
    nibbles.reserveCapacity(2 * bytes.count)
    isExact = true
    for index in bytes.indices {
      let isFree = unchecked.contains { $0.contains(index) }
      nibbles.append(isFree ? Self.any : bytes[index] >> 4)
      nibbles.append(isFree ? Self.any : bytes[index] & 15)
    }
  }

  /// The first half byte that is wrong, missing or too much; nil when the packet is as wanted.
  package func firstDifference(in packet: some RandomAccessCollection<UInt8>) -> Int? {
    var index = 0
    for byte in packet {
      for nibble in [byte >> 4, byte & 15] {
        if index == nibbles.count { return isExact ? index : nil }
        if nibbles[index] != Self.any && nibbles[index] != nibble { return index }
        index += 1
      }
    }
    return index < nibbles.count ? index : nil
  }

  /// As it stands in a script: `0a**` or `0a01$`.
  package var text: Text {
    var text = Text()
    for nibble in nibbles {
      if nibble == Self.any {
        text.append(byte: UInt8(ascii: "*"))
      } else {
        text.append(UInt64(nibble), radix: 16, width: 1)
      }
    }
    if isExact { text.append(byte: UInt8(ascii: "$")) }
    return text
  }
}
