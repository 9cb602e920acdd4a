import DPUCore
import Glibc
import Testing

@testable import ControlPlane

@Suite struct AddressTests {
  /// What the C library makes of the same text.
  static func library(_ text: String) -> Address? {
    var four = in_addr()
    if inet_pton(AF_INET, text, &four) == 1 {
      return Address(ipv4: UInt32(bigEndian: four.s_addr))
    }
    var six = in6_addr()
    guard inet_pton(AF_INET6, text, &six) == 1 else { return nil }
    return withUnsafeBytes(of: &six) {
      Address(
        high: UInt64(bigEndian: $0.load(as: UInt64.self)),
        low: UInt64(bigEndian: $0.load(fromByteOffset: 8, as: UInt64.self)))
    }
  }

  @Test(arguments: [
    "10.77.0.1", "0.0.0.0", "255.255.255.255", "256.1.1.1", "1.2.3", "1.2.3.4.5", "1..2.3",
    "1.2.3.4.", ".1.2.3", "01.2.3.4", "1.2.3.0", "", " 1.2.3.4", "1.2.3.4 ", "a.b.c.d", "1.2.3.-4",
    "::", "::1", "1::", "fd77::1", "1:2:3:4:5:6:7:8", "1:2:3:4:5:6:7", "1:2:3:4:5:6:7:8:9",
    "1:2:3:4:5:6:7::", "::2:3:4:5:6:7:8", "1:2:3:4::5:6:7:8", "1::2::3", ":::", ":1", "1:",
    "12345::",
    "g::", "::ffff:1.2.3.4", "::1.2.3.4", "1:2:3:4:5:6:1.2.3.4", "1:2:3:4:5:6:7:1.2.3.4",
    "::1.2.3.4:5", "::1.2.3", "FE80::ABCD", "fe80::1%eth0",
  ])
  func isReadAsTheLibraryReadsIt(text: String) {
    #expect(Address(Text(text)) == Self.library(text))
  }

  @Test(arguments: [
    ("0:0:0:0:0:0:0:0", "::"), ("0:0:0:0:0:0:0:1", "::1"), ("1:0:0:0:0:0:0:0", "1::"),
    ("2001:DB8:0:0:1:0:0:1", "2001:db8::1:0:0:1"), ("2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1"),
    ("1:0:0:2:0:0:0:3", "1:0:0:2::3"), ("::ffff:10.77.0.1", "10.77.0.1"),
  ])
  func isWrittenByRFC5952(text: String, expected: String) {
    #expect(Address(Text(text))?.text.string == expected)
  }

  @Test func networks() throws {
    func address(_ text: String) throws -> Address { try #require(Address(Text(text))) }
    let inside = try address("10.77.0.200").isInNetwork(of: address("10.77.0.1"), prefix: 24)
    let outside = try address("10.77.1.1").isInNetwork(of: address("10.77.0.1"), prefix: 24)
    #expect(inside && !outside)
    for (prefix, expected) in [(63, true), (64, true), (65, false), (128, false)] {
      let same = try address("fd77::8000:0:0:1").isInNetwork(of: address("fd77::1"), prefix: prefix)
      #expect(same == expected)
    }
    let mixed = try address("10.77.0.1").isInNetwork(of: address("::1"), prefix: 1)
    #expect(!mixed)
  }

  @Test func hardwareAddresses() {
    #expect(HardwareAddress("02:00:5E:10:00:ff")?.rawValue == 0x0200_5e10_00ff)
    #expect(HardwareAddress("02:00:5E:10:00:ff")?.text == "02:00:5e:10:00:ff")
    for wrong in ["", "02-00-5e-10-00-ff", "02:00:5e:10:00:fg", "02:00:5e:10:00:ff:"] {
      #expect(HardwareAddress(Text(wrong)) == nil)
    }
  }
}
