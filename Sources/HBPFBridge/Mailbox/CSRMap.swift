package import DPUCore

/// Where an hBPF core's registers and windows lie in a build: read from the `csr.csv` that LiteX
/// writes, because the bases differ from build to build.
package struct CSRMap: Equatable, Sendable {
  /// In bytes from the start of the window.
  package var registers: Int
  package var programWindow: Int
  package var dataWindow: Int

  package init(registers: Int, programWindow: Int, dataWindow: Int) {
    self.registers = registers
    self.programWindow = programWindow
    self.dataWindow = dataWindow
  }

  /// What is wrong with a map, and in which line, counted from 1.
  package struct Problem: Error, Equatable, Sendable {
    package var line: Int
    package var reason: Text

    package var text: Text { "line \(line): \(reason)" }
  }

  /// Reads the lines `csr_base,hbpf,0x...`, `csr_base,hbpf_pgm_mem,...` and
  /// `csr_base,hbpf_data_mem,...`; `start` is the address of the window's first byte.
  package init(csv: RawSpan, start: Int = 0) throws(Problem) {
    var bases: [(name: Text, address: Int)] = []
    var line = 1
    var place = 0
    while place < csv.byteCount {
      var end = place
      while end < csv.byteCount, csv.byte(at: end) != UInt8(ascii: "\n") { end += 1 }
      let fields = Self.fields(csv.extracting(place..<end))
      if fields.count >= 3, fields[0] == "csr_base" {
        guard let address = Self.number(fields[2]), address >= start else {
          throw Problem(line: line, reason: "\(fields[2]) is no address in the window")
        }
        bases.append((fields[1], address - start))
      } else if fields.count >= 3, fields[0] == "constant", fields[1] == "config_csr_data_width",
        fields[2] != "32"
      {
        throw Problem(line: line, reason: "registers of \(fields[2]) bits; 32 are supported")
      }
      line += 1
      place = end + 1
    }
    func base(_ name: Text) throws(Problem) -> Int {
      for base in bases where base.name == name { return base.address }
      throw Problem(line: line, reason: "the file ends without csr_base,\(name)")
    }
    registers = try base("hbpf")
    programWindow = try base("hbpf_pgm_mem")
    dataWindow = try base("hbpf_data_mem")
  }

  private static func fields(_ line: RawSpan) -> [Text] {
    var fields = [Text()]
    for index in 0..<line.byteCount {
      switch line.byte(at: index) {
      case UInt8(ascii: ","): fields.append(Text())
      case UInt8(ascii: "\r"), UInt8(ascii: " "): break
      case let byte: fields[fields.count - 1].append(byte: byte)
      }
    }
    return fields
  }

  /// `0x1000`, or decimal digits.
  private static func number(_ text: Text) -> Int? {
    let isHexadecimal = text.bytes.starts(with: ("0x" as Text).bytes)
    let digits = text.bytes[(isHexadecimal ? 2 : 0)...]
    guard !digits.isEmpty, digits.count <= 10 else { return nil }
    var value = 0
    for byte in digits {
      switch byte {
      case UInt8(ascii: "0")...UInt8(ascii: "9"):
        value = value * (isHexadecimal ? 16 : 10) + Int(byte - UInt8(ascii: "0"))
      case UInt8(ascii: "a")...UInt8(ascii: "f") where isHexadecimal:
        value = value * 16 + Int(byte - UInt8(ascii: "a")) + 10
      case UInt8(ascii: "A")...UInt8(ascii: "F") where isHexadecimal:
        value = value * 16 + Int(byte - UInt8(ascii: "A")) + 10
      default: return nil
      }
    }
    return value
  }
}
