import ArgumentParser

extension P4Group {
  struct TableVerbs: ParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "table", abstract: "Entries of tables.",
      subcommands: [
        Insert.self, Modify.self, Delete.self, Show.self, Get.self, Default.self, Clear.self,
        Timeout.self,
      ])
  }

  /// An entry, by its number or by what it matches.
  struct EntryOptions: ParsableArguments {
    @Option(name: .customLong("key"), help: "A key, NAME=VALUE; those left out match anything.")
    var keys: [String] = []

    @Option(help: "Of entries that match, the smallest number wins.")
    var priority: Int?

    @Option(help: "The number of an entry, in place of its keys.")
    var entry: Int?

    func members() throws -> [JSONValue.Member?] {
      let keyed = JSONValue.Member("keys", try JSONValue.pairs(keys))
      return [
        entry == nil ? keyed : nil, .optional("priority", priority), .optional("entry", entry),
      ]
    }
  }

  /// What an entry does.
  struct TargetOptions: ParsableArguments {
    @Argument(help: "The action, and its arguments as NAME=VALUE.")
    var action: [String] = []

    @Option(help: "A member of the table's action profile, in place of an action.")
    var member: Int?

    @Option(help: "A group of the table's action profile, in place of an action.")
    var group: Int?

    func members() throws -> [JSONValue.Member?] {
      [
        .optional("action", action.first),
        action.count > 1
          ? .init("arguments", try JSONValue.pairs(Array(action.dropFirst()))) : nil,
        .optional("member", member), .optional("group", group),
      ]
    }
  }

  struct Insert: PipelineWrite {
    static let configuration = CommandConfiguration(
      abstract: "Adds an entry.",
      discussion:
        "For example: table insert acl permit --key proto=6 --key dport=80..443 --priority 10")
    @ParentCommand var root: DPUControl
    @OptionGroup var options: GlobalOptions
    @OptionGroup var place: PipelineOptions
    @Argument var table: String
    @OptionGroup var target: TargetOptions
    @OptionGroup var entry: EntryOptions
    @Option(help: "Milliseconds after which an idle entry is reported.")
    var timeout: Int?

    var method: String { "p4.table.insert" }
    func parameters() throws -> [JSONValue.Member?] {
      [.init("table", table), .optional("timeoutMilliseconds", timeout)]
        + (try target.members()) + (try entry.members())
    }
  }

  struct Modify: PipelineWrite {
    static let configuration = CommandConfiguration(abstract: "Changes what an entry does.")
    @ParentCommand var root: DPUControl
    @OptionGroup var options: GlobalOptions
    @OptionGroup var place: PipelineOptions
    @Argument var table: String
    @OptionGroup var target: TargetOptions
    @OptionGroup var entry: EntryOptions

    var method: String { "p4.table.modify" }
    func parameters() throws -> [JSONValue.Member?] {
      [.init("table", table)] + (try target.members()) + (try entry.members())
    }
  }

  struct Delete: PipelineWrite {
    static let configuration = CommandConfiguration(abstract: "Removes an entry.")
    @ParentCommand var root: DPUControl
    @OptionGroup var options: GlobalOptions
    @OptionGroup var place: PipelineOptions
    @Argument var table: String
    @OptionGroup var entry: EntryOptions

    var method: String { "p4.table.delete" }
    func parameters() throws -> [JSONValue.Member?] {
      [.init("table", table)] + (try entry.members())
    }
  }

  struct Default: PipelineWrite {
    static let configuration = CommandConfiguration(
      abstract: "Changes the default action; without an action, that of the program again.")
    @ParentCommand var root: DPUControl
    @OptionGroup var options: GlobalOptions
    @OptionGroup var place: PipelineOptions
    @Argument var table: String
    @OptionGroup var target: TargetOptions

    private var isReset: Bool {
      target.action.isEmpty && target.member == nil && target.group == nil
    }
    var method: String { isReset ? "p4.table.resetDefault" : "p4.table.setDefault" }
    func parameters() throws -> [JSONValue.Member?] {
      [.init("table", table)] + (try target.members())
    }
  }

  struct Clear: PipelineWrite {
    static let configuration = CommandConfiguration(abstract: "Removes all entries.")
    @ParentCommand var root: DPUControl
    @OptionGroup var options: GlobalOptions
    @OptionGroup var place: PipelineOptions
    @Argument var table: String

    var method: String { "p4.table.clear" }
    func parameters() throws -> [JSONValue.Member?] { [.init("table", table)] }
  }

  struct Timeout: PipelineWrite {
    static let configuration = CommandConfiguration(
      abstract: "After which idle time an entry is reported; 0 for never.")
    @ParentCommand var root: DPUControl
    @OptionGroup var options: GlobalOptions
    @OptionGroup var place: PipelineOptions
    @Argument var table: String
    @Argument var milliseconds: Int
    @Option(help: "The number of the entry.")
    var entry: Int

    var method: String { "p4.table.setTimeout" }
    func parameters() throws -> [JSONValue.Member?] {
      [
        .init("table", table), .init("entry", entry),
        .init("timeoutMilliseconds", milliseconds),
      ]
    }
  }

  struct Show: Query {
    static let configuration = CommandConfiguration(
      commandName: "list", abstract: "The entries and the default.")
    @ParentCommand var root: DPUControl
    @OptionGroup var options: GlobalOptions
    @OptionGroup var place: PipelineOptions
    @Argument var table: String
    @Option(help: "Entries to show at most.")
    var limit = 1_000

    func ask(_ firmware: FirmwareConnection) throws -> JSONValue {
      try Self.fetch(table, limit: limit, place, from: firmware)
    }

    /// Asks as often as needed: one reply holds at most a thousand rows.
    static func fetch(
      _ table: String, limit: Int, _ place: PipelineOptions, from firmware: FirmwareConnection
    ) throws -> JSONValue {
      var rows: [JSONValue] = []
      var next: Int? = 0
      var last = JSONValue.null
      while let offset = next, rows.count < limit {
        last = try firmware.call(
          "p4.table.list",
          place.parameters([
            .init("table", table), .init("offset", offset),
            .init("limit", min(1_000, limit - rows.count)),
          ]))
        rows += last["entries"].elements
        next = last["next"].integer
      }
      return .object([
        .init("table", last["table"]), .init("entries", JSONValue.array(rows)),
        .init("next", last["next"]), .init("default", last["default"]),
      ])
    }

    func table(of answer: JSONValue) -> String {
      let rows = answer["entries"].elements
      let hasCounters = rows.contains { $0["packets"] != .null }
      let hasPriorities = rows.contains { $0["priority"] != .null }
      var table = Table(
        [.right("ENTRY")] + (hasPriorities ? [.right("PRIORITY")] : [])
          + [.left("KEYS"), .left("ACTION"), .left("ARGUMENTS")]
          + (hasCounters ? [.right("PACKETS"), .right("BYTES")] : []))
      for row in rows {
        table.add(
          [row["entry"].cell] + (hasPriorities ? [row["priority"].cell] : [])
            + [row["keys"].assignments, Self.action(row), row["arguments"].assignments]
            + (hasCounters ? [row["packets"].cell, row["bytes"].cell] : []))
      }
      let fallback = answer["default"]
      let more = answer["next"] == .null ? "" : "\n\nthere are more; --limit shows them"
      return """
        \(table.text)

        default: \(Self.action(fallback)) \(fallback["arguments"].assignments)\(more)
        """
    }

    static func action(_ row: JSONValue) -> String {
      if row["member"] != .null { return "member \(row["member"].cell)" }
      if row["group"] != .null { return "group \(row["group"].cell)" }
      return JSONValue.short(row["action"].cell)
    }
  }

  struct Get: Query {
    static let configuration = CommandConfiguration(
      abstract: "One entry with its counter and meter.")
    @ParentCommand var root: DPUControl
    @OptionGroup var options: GlobalOptions
    @OptionGroup var place: PipelineOptions
    @Argument var table: String
    @OptionGroup var entry: EntryOptions

    func ask(_ firmware: FirmwareConnection) throws -> JSONValue {
      try firmware.call(
        "p4.table.get", place.parameters([.init("table", table)] + (try entry.members())))
    }
    func table(of answer: JSONValue) -> String {
      var table = Table([.left("FACT"), .left("VALUE")])
      for member in answer.members {
        table.add([
          member.key,
          member.value.members.isEmpty ? member.value.cell : member.value.assignments,
        ])
      }
      return table.text
    }
  }
}
