import ArgumentParser

struct EBPFGroup: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "ebpf", abstract: "eBPF packet filters, and eBPF programs without a firmware.",
    subcommands: [
      List.self, Load.self, Unload.self, Info.self, Maps.self, Stats.self, Try.self, FPGA.self,
      Execute.self, Verify.self, Disassemble.self,
    ])
}
