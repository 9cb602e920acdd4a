import DPUCore
import HBPFBridge
import ModelFPGA
import Testing

@Suite struct CSRMapTests {
  private static let csv = """
    csr_base,hbpf,0x82000000,,
    csr_base,hbpf_pgm_mem,0x82002800,,
    csr_base,hbpf_data_mem,0x82003000,,
    csr_register,hbpf_csr_status,0x82000000,1,ro
    constant,config_csr_data_width,32,,

    """

  private static func read(_ text: String, start: Int = 0x8200_0000) throws(CSRMap.Problem)
    -> CSRMap
  {
    let bytes = Array(text.utf8)
    return try CSRMap(csv: bytes.span.bytes, start: start)
  }

  @Test func basesComeFromTheBuild() throws {
    #expect(
      try Self.read(Self.csv)
        == CSRMap(registers: 0, programWindow: 0x2800, dataWindow: 0x3000))
  }

  @Test(arguments: [
    (
      csv.replacing("csr_base,hbpf_data_mem", with: "csr_base,other"),
      "line 6: the file ends without csr_base,hbpf_data_mem"
    ),
    (
      csv.replacing("0x82002800", with: "0x8200z800"),
      "line 2: 0x8200z800 is no address in the window"
    ),
    (csv.replacing("0x82002800", with: "0x2800"), "line 2: 0x2800 is no address in the window"),
    (csv.replacing("width,32", with: "width,8"), "line 5: registers of 8 bits; 32 are supported"),
  ])
  func refusals(_ text: String, _ reason: String) {
    let problem = #expect(throws: CSRMap.Problem.self) { try Self.read(text) }
    #expect(problem.map { String(decoding: $0.text.bytes, as: UTF8.self) } == reason)
  }
}

@Suite struct HBPFDriverTests {
  private static let map = CSRMap(
    registers: 0x20000, programWindow: 0x21000, dataWindow: 0x21800)
  private static let none = InlineArray<5, UInt64>(repeating: 0)

  /// Every access of loading two instructions, one byte of memory, and a run.
  @Test func accessesAreThoseOfTheRegisterPage() throws {
    let device = ModelDevice(cores: 1)
    var driver = HBPFDriver(ModelWindow(device), Self.map)
    try driver.open()
    device.isLogging = true
    // r0 = *(u8 *)(r1 + 2); exit
    try driver.load(Vectors.program("71100200000000009500000000000000").span)
    try driver.write([UInt8(0x5a)].span.bytes, at: 514)
    try driver.start([512, 1, 0, 0, 0])
    #expect(
      try driver.poll() == HBPFDriver<ModelWindow>.Result(r0: 0x5a, isError: false, ticks: 42))
    #expect(
      device.log.map(\.description) == [
        "w 20064 0", "w 20068 0", "w 21000 71100200", "w 21004 0", "w 21008 95000000", "w 2100c 0",
        "w 2006c 1", "w 21808 5a",
        "w 20064 0", "w 2000c 0", "w 20010 200", "w 20014 0", "w 20018 1", "w 2001c 0",
        "w 20020 0", "w 20024 0", "w 20028 0", "w 2002c 0", "w 20030 0", "w 20064 1",
        "r 20000 3", "r 20004 0", "r 20008 5a", "r 2005c 0", "r 20060 2a",
      ])
  }

  /// r0 and memory of each vector; the arguments are new for each, though the core spoils them.
  @Test func filtersAnswerAsTheirSource() throws {
    var driver = HBPFDriver(ModelWindow(ModelDevice(cores: 1)), Self.map)
    try driver.open()
    var loaded = ""
    for row in Vectors.filters {
      if row.filter != loaded {
        let code = try Vectors.filter("\(row.filter).v2")
        try driver.load(code.span)
        loaded = row.filter
      }
      try driver.hold()
      try driver.write(Vectors.memory(packet: row.packet, state: row.state).span.bytes, at: 0)
      try driver.start([0, UInt64(row.packet.count / 2), 0, 0, 0])
      let result = try #require(try driver.poll())
      #expect(result.r0 == row.r0 && !result.isError, "\(row.filter) \(row.n)")
      var memory = [UInt8](repeating: 0, count: HBPFLimits.dataBytes)
      do {
        var span = memory.mutableSpan
        var bytes = span.mutableBytes
        try driver.read(&bytes, at: 0)
      }
      #expect(memory == Vectors.memory(packet: row.packet_after, state: row.state_after))
    }
  }

  /// An error is told; a program without end is stopped, and the next one runs.
  @Test func errorsAndEndlessPrograms() throws {
    var driver = HBPFDriver(ModelWindow(ModelDevice(cores: 1)), Self.map)
    try driver.open()
    // r0 = *(u8 *)(r1 + 2048); exit
    try driver.load(Vectors.program("71100008000000009500000000000000").span)
    try driver.start(Self.none)
    #expect(try driver.poll()?.isError == true)
    // goto -1; exit
    try driver.load(Vectors.program("0500ffff000000009500000000000000").span)
    try driver.start(Self.none)
    for _ in 0..<5 { #expect(try driver.poll() == nil) }
    try driver.load(Vectors.program("b7000000070000009500000000000000").span)
    try driver.start(Self.none)
    #expect(try driver.poll()?.r0 == 7)
  }

  @Test func refusals() throws {
    var lost = HBPFDriver(
      ModelWindow(ModelDevice()),
      CSRMap(registers: 0, programWindow: 0x3f900, dataWindow: 0x1000))
    #expect(throws: DeviceFault.badMap) { try lost.open() }
    var driver = HBPFDriver(ModelWindow(ModelDevice(cores: 1)), Self.map)
    try driver.open()
    let long = [Instruction](repeating: Instruction(opcode: 0x95), count: 513)
    #expect(throws: DeviceFault.programTooLong(513)) { try driver.load(long.span) }
  }
}
