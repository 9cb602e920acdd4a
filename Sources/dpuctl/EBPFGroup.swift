import ArgumentParser

struct EBPFGroup: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "ebpf", abstract: "eBPF packet filters, and eBPF programs without a firmware.",
    subcommands: [Execute.self, Verify.self, Disassemble.self])
}
