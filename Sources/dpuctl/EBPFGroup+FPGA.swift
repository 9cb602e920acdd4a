import ArgumentParser
import DPUCore
import HBPFBridge

extension EBPFGroup {
  struct FPGA: ParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "fpga", abstract: "The FPGA: its state and counters, and how fast it is.",
      subcommands: [Show.self, Bench.self], defaultSubcommand: Show.self)
  }

  struct Show: Query {
    static let configuration = CommandConfiguration(
      abstract: "The FPGA of the firmware with its counters.")
    @ParentCommand var root: DPUControl
    @OptionGroup var options: GlobalOptions

    @Flag(help: "Reset it. A filter in it must be loaded again afterwards.")
    var reset = false

    func ask(_ firmware: FirmwareConnection) throws -> JSONValue {
      try firmware.call(
        "ebpf.fpga", .object(reset ? [.init("reset", JSONValue.boolean(true))] : []))
    }
    func table(of answer: JSONValue) -> String {
      var head = """
        \(answer["kind"].cell) \(answer["path"].cell), version \(answer["version"].cell), \
        \(answer["cores"].cell) cores, \(answer["slotsPerCore"].cell) slots each, \
        \(answer["state"].cell), \(answer["inFlight"].cell) in flight
        """
      if answer["reason"] != .null { head += "\nreason: \(answer["reason"].cell)" }
      if answer["counters"].elements.isEmpty { return head }
      var table = Table([
        .right("CORE"), .right("PACKETS"), .right("INSTRUCTIONS"), .right("BUSY CYCLES"),
        .right("FAULTS"),
      ])
      for row in answer["counters"].elements {
        table.add(
          ["core", "packets", "instructions", "busyCycles", "faults"].map { row[$0].cell })
      }
      return head + "\n\n" + table.text
    }
  }

  struct Bench: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Measures an FPGA that no firmware uses.",
      discussion: """
        Takes the device for itself, resets it, sends packets of its own through a filter and \
        resets it again. It is refused while a firmware, or another bench, has the device. Without \
        --filter the filter passes everything: two instructions, so the rest is the way there and \
        back.

        Exit codes: 0 measured, 1 the arguments or files are wrong, 2 the filter cannot run there, \
        or the device is in use, 3 there is no such device, or it does not answer.
        """)
    @ParentCommand var root: DPUControl
    @OptionGroup var options: GlobalOptions

    @Argument(help: "The BAR (resource0 of a PCI device), or the file of a simulated FPGA.")
    var device: String
    @Flag(help: "DEVICE is the file of a simulated FPGA.")
    var simulated = false
    @Option(help: "An object file of clang -target bpf, or bare bytecode.")
    var filter: String?
    @Option(help: "The program or its section, when the file has several.")
    var program: String?
    @Option(help: "Packets for each batch size.")
    var packets = 1_000
    @Option(help: "Bytes of a packet: 14 to 1,536.")
    var bytes = 64
    @Option(help: "Packets handed over with one doorbell, and the most under way; may be repeated.")
    var batch: [Int] = []
    @Option(help: "Milliseconds that the device may take to answer.")
    var timeout = 5_000

    func validate() throws {
      guard packets > 0 else { throw ValidationError("--packets: at least 1") }
      guard (14...HBPFLimits.stateOffset).contains(bytes) else {
        throw ValidationError("--bytes: 14 to \(HBPFLimits.stateOffset)")
      }
      guard batch.allSatisfy({ $0 > 0 }) else { throw ValidationError("--batch: at least 1") }
      guard (1...600_000).contains(timeout) else {
        throw ValidationError("--timeout: 1 to 600,000")
      }
    }

    mutating func run() throws {
      let file = try DeviceFile(device, isSimulated: simulated)
      let load = FPGABench.Load(
        program: try readProgram(), packets: packets, bytes: bytes,
        batches: batch.isEmpty ? [1, 8, 32] : batch)
      let report: FPGABench.Report
      do throws(DeviceFault) {
        if simulated {
          var window = SimulatedWindow(
            address: file.address, patience: WallClock(milliseconds: timeout))
          try window.connect()
          report = try FPGABench.run(load, on: window, timeout: timeout)
        } else {
          let window = MappedWindow(address: file.address, byteCount: DeviceFile.barBytes)
          report = try FPGABench.run(load, on: window, timeout: timeout)
        }
      } catch .notAnswering {
        throw Failure.unreachable("\(device): \(DeviceFault.notAnswering.text.string)")
      } catch {
        throw Failure.refused("\(device): \(error.text.string)")
      }
      if let reason = report.refusal { throw Failure.refused("\(load.program.name): \(reason)") }
      print(options.json || root.options.json ? json(report).text : table(report))
    }

    private func readProgram() throws -> FPGABench.Program {
      guard let filter else { return .passing }
      let bytes = try InputFile.bytes(of: filter)
      do throws(ObjectFault) {
        let object = try ProgramObject(bytes.span.bytes, name: Text(bytes: Array(filter.utf8)))
        let chosen = try object.program(program.map { Text(bytes: Array($0.utf8)) })
        return FPGABench.Program(
          name: filter, instructions: chosen.instructions, maps: object.maps)
      } catch {
        throw Failure.usage("\(filter): \(error.text.string)")
      }
    }

    // MARK: The answer

    private struct Column: Sendable {
      var title: String
      var key: String
      var value: @Sendable (FPGABench.Row) -> Double
    }

    private static let columns = [
      Column(title: "PACKETS/S", key: "packetsPerSecond") { Double($0.packets) / $0.seconds },
      Column(title: "BUSY CYCLES", key: "busyCycles") { $0.perPacket($0.busyCycles) },
      Column(title: "CLOCK CYCLES", key: "clockCycles") { $0.perPacket($0.clockCycles) },
      Column(title: "INSTRUCTIONS", key: "instructions") { $0.perPacket($0.instructions) },
      Column(title: "WORDS OUT", key: "wordsWritten") { $0.perPacket($0.wordsWritten) },
      Column(title: "WORDS IN", key: "wordsRead") { $0.perPacket($0.wordsRead) },
      Column(title: "EMPTY POLLS", key: "emptyPolls") { $0.perPacket($0.emptyPolls) },
    ]

    private func json(_ report: FPGABench.Report) -> JSONValue {
      .object([
        .init("device", device), .init("cores", report.capabilities.cores),
        .init("slotsPerCore", report.capabilities.slotsPerCore),
        .init("bytes", bytes), .init("filter", filter ?? "pass"),
        .init(
          "batches",
          JSONValue.array(
            report.rows.map { row in
              .object(
                [
                  .init("batch", row.batch), .init("packets", row.packets),
                  .init("faults", row.faults),
                ]
                  + Self.columns.map {
                    .init($0.key, JSONValue.number(Self.decimal($0.value(row))))
                  })
            })),
      ])
    }

    private func table(_ report: FPGABench.Report) -> String {
      var table = Table(
        [.right("BATCH"), .right("PACKETS"), .right("FAULTS")]
          + Self.columns.map { .right($0.title) })
      for row in report.rows {
        table.add(
          [String(row.batch), String(row.packets), String(row.faults)]
            + Self.columns.map { Self.decimal($0.value(row)) })
      }
      return """
        \(report.capabilities.cores) cores, \(report.capabilities.slotsPerCore) slots each, \
        \(bytes) bytes; cycles, instructions, words of 64 bits and polls are those of one packet

        """ + "\n" + table.text
    }

    /// With one decimal.
    private static func decimal(_ value: Double) -> String {
      let tenths = Int((value * 10).rounded())
      return "\(tenths / 10).\(tenths % 10)"
    }
  }
}
