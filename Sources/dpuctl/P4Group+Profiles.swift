import ArgumentParser

extension P4Group {
  struct MemberVerbs: ParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "member", abstract: "Members of action profiles.",
      subcommands: [MemberAdd.self, MemberModify.self, MemberDelete.self, MemberList.self])
  }

  struct MemberAdd: PipelineWrite {
    static let configuration = CommandConfiguration(commandName: "add", abstract: "Adds a member.")
    @ParentCommand var root: DPUControl
    @OptionGroup var options: GlobalOptions
    @OptionGroup var place: PipelineOptions
    @Argument var profile: String
    @Argument var action: String
    @Argument(help: "Arguments of the action, NAME=VALUE.")
    var arguments: [String] = []

    var method: String { "p4.member.add" }
    func parameters() throws -> [JSONValue.Member?] {
      [
        .init("profile", profile), .init("action", action),
        .init("arguments", try JSONValue.pairs(arguments)),
      ]
    }
  }

  struct MemberModify: PipelineWrite {
    static let configuration = CommandConfiguration(
      commandName: "modify", abstract: "Changes what a member does.")
    @ParentCommand var root: DPUControl
    @OptionGroup var options: GlobalOptions
    @OptionGroup var place: PipelineOptions
    @Argument var profile: String
    @Argument var member: Int
    @Argument var action: String
    @Argument(help: "Arguments of the action, NAME=VALUE.")
    var arguments: [String] = []

    var method: String { "p4.member.modify" }
    func parameters() throws -> [JSONValue.Member?] {
      [
        .init("profile", profile), .init("member", member), .init("action", action),
        .init("arguments", try JSONValue.pairs(arguments)),
      ]
    }
  }

  struct MemberDelete: PipelineWrite {
    static let configuration = CommandConfiguration(
      commandName: "delete", abstract: "Removes a member.")
    @ParentCommand var root: DPUControl
    @OptionGroup var options: GlobalOptions
    @OptionGroup var place: PipelineOptions
    @Argument var profile: String
    @Argument var member: Int

    var method: String { "p4.member.delete" }
    func parameters() throws -> [JSONValue.Member?] {
      [.init("profile", profile), .init("member", member)]
    }
  }

  struct MemberList: Query {
    static let configuration = CommandConfiguration(commandName: "list", abstract: "The members.")
    @ParentCommand var root: DPUControl
    @OptionGroup var options: GlobalOptions
    @OptionGroup var place: PipelineOptions
    @Argument var profile: String

    func ask(_ firmware: FirmwareConnection) throws -> JSONValue {
      try firmware.call("p4.member.list", place.parameters([.init("profile", profile)]))
    }
    func table(of answer: JSONValue) -> String {
      var table = Table([.right("MEMBER"), .left("ACTION"), .left("ARGUMENTS")])
      for row in answer["members"].elements {
        table.add([
          row["member"].cell, JSONValue.short(row["action"].cell), row["arguments"].assignments,
        ])
      }
      return table.text
    }
  }

  // MARK: Groups

  struct GroupVerbs: ParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "group", abstract: "Groups of action selectors.",
      subcommands: [
        GroupAdd.self, GroupDelete.self, GroupJoin.self, GroupLeave.self, GroupList.self,
      ])
  }

  struct GroupAdd: PipelineWrite {
    static let configuration = CommandConfiguration(
      commandName: "add", abstract: "Adds an empty group.")
    @ParentCommand var root: DPUControl
    @OptionGroup var options: GlobalOptions
    @OptionGroup var place: PipelineOptions
    @Argument var profile: String

    var method: String { "p4.group.add" }
    func parameters() throws -> [JSONValue.Member?] { [.init("profile", profile)] }
  }

  struct GroupDelete: PipelineWrite {
    static let configuration = CommandConfiguration(
      commandName: "delete", abstract: "Removes a group.")
    @ParentCommand var root: DPUControl
    @OptionGroup var options: GlobalOptions
    @OptionGroup var place: PipelineOptions
    @Argument var profile: String
    @Argument var group: Int

    var method: String { "p4.group.delete" }
    func parameters() throws -> [JSONValue.Member?] {
      [.init("profile", profile), .init("group", group)]
    }
  }

  struct GroupJoin: PipelineWrite {
    static let configuration = CommandConfiguration(
      commandName: "join", abstract: "Puts a member into a group.")
    @ParentCommand var root: DPUControl
    @OptionGroup var options: GlobalOptions
    @OptionGroup var place: PipelineOptions
    @Argument var profile: String
    @Argument var group: Int
    @Argument var member: Int

    var method: String { "p4.group.join" }
    func parameters() throws -> [JSONValue.Member?] {
      [.init("profile", profile), .init("group", group), .init("member", member)]
    }
  }

  struct GroupLeave: PipelineWrite {
    static let configuration = CommandConfiguration(
      commandName: "leave", abstract: "Takes a member out of a group.")
    @ParentCommand var root: DPUControl
    @OptionGroup var options: GlobalOptions
    @OptionGroup var place: PipelineOptions
    @Argument var profile: String
    @Argument var group: Int
    @Argument var member: Int

    var method: String { "p4.group.leave" }
    func parameters() throws -> [JSONValue.Member?] {
      [.init("profile", profile), .init("group", group), .init("member", member)]
    }
  }

  struct GroupList: Query {
    static let configuration = CommandConfiguration(commandName: "list", abstract: "The groups.")
    @ParentCommand var root: DPUControl
    @OptionGroup var options: GlobalOptions
    @OptionGroup var place: PipelineOptions
    @Argument var profile: String

    func ask(_ firmware: FirmwareConnection) throws -> JSONValue {
      try firmware.call("p4.group.list", place.parameters([.init("profile", profile)]))
    }
    func table(of answer: JSONValue) -> String {
      var table = Table([.right("GROUP"), .left("MEMBERS")])
      for row in answer["groups"].elements { table.add([row["group"].cell, row["members"].cell]) }
      return table.text
    }
  }
}
