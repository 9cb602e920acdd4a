import DPUCore
import HBPFBridge
import Testing

@Suite struct DisassemblerTests {
  /// One instruction as hex, and how tools of others write it.
  @Test(arguments: [
    ("b701000005000000", "r1 = 5"), ("b4010000fbffffff", "w1 = -5"),
    ("0f12000000000000", "r2 += r1"), ("1c12000000000000", "w2 -= w1"),
    ("3f12010000000000", "r2 s/= r1"), ("9412010003000000", "w2 s%= 3"),
    ("c70200003f000000", "r2 s>>= 63"), ("a702000000ff0000", "r2 ^= 65280"),
    ("8702000000000000", "r2 = -r2"), ("8402000000000000", "w2 = -w2"),
    ("bf23080000000000", "r3 = (s8)r2"), ("bc23100000000000", "w3 = (s16)w2"),
    ("d403000010000000", "r3 = le16 r3"), ("dc03000020000000", "r3 = be32 r3"),
    ("d703000040000000", "r3 = bswap64 r3"),
    ("7920f8ff00000000", "r0 = *(u64 *)(r2 - 8)"), ("7120000000000000", "r0 = *(u8 *)(r2 + 0)"),
    ("8920040000000000", "r0 = *(s16 *)(r2 + 4)"), ("6302fcff00000000", "*(u32 *)(r2 - 4) = r0"),
    ("6a02100007000000", "*(u16 *)(r2 + 16) = 7"),
    ("db12080000000000", "lock *(u64 *)(r2 + 8) += r1"),
    ("c312080050000000", "lock *(u32 *)(r2 + 8) &= w1"),
    ("db120800a1000000", "r1 = atomic_fetch_xor((u64 *)(r2 + 8), r1)"),
    ("c312080041000000", "w1 = atomic_fetch_or((u32 *)(r2 + 8), w1)"),
    ("db120800e1000000", "r1 = xchg_64(r2 + 8, r1)"),
    ("c3120800e1000000", "w1 = xchg32_32(r2 + 8, w1)"),
    ("db120800f1000000", "r0 = cmpxchg_64(r2 + 8, r0, r1)"),
    ("c3120800f1000000", "w0 = cmpxchg32_32(r2 + 8, w0, w1)"),
    ("0500fdff00000000", "goto -3"), ("06000000e8030000", "gotol +1000"),
    ("1d12050000000000", "if r2 == r1 goto +5"), ("5602010000000000", "if w2 != 0 goto +1"),
    ("4502010008000000", "if r2 & 8 goto +1"), ("cd12ffff00000000", "if r2 s< r1 goto -1"),
    ("8500000001000000", "call 1"), ("85100000feffffff", "call pc-2"),
    ("8d02000000000000", "callx r2"), ("9500000000000000", "exit"),
    ("ff21030004000000", ".byte 0xff 0x21 0x03 0x00 0x04 0x00 0x00 0x00"),
    ("1801000001000000", ".byte 0x18 0x01 0x00 0x00 0x01 0x00 0x00 0x00"),
  ])
  func writes(_ hex: String, _ text: String) {
    let instruction = Vectors.program(hex)[0]
    #expect(String(decoding: Disassembler.text(instruction).bytes, as: UTF8.self) == text)
  }

  @Test func aListingCountsSlotsAndNamesSymbols() {
    let program = Vectors.program(
      "1801000001000000" + "0000000002000000" + "1822000003000000" + "0000000008000000"
        + "9500000000000000")
    let text = Disassembler.listing(program.span) { $0 == 2 ? "rest" : nil }
    #expect(
      String(decoding: text.bytes, as: UTF8.self) == """
               0: r1 = 8589934593 ll
        rest:
               2: r2 = map[3][0]+8
               4: exit

        """)
  }
}
