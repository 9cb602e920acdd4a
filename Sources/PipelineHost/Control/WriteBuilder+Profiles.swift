import ControlPlane
import DPUCore
import P4Pipelines

extension WriteBuilder {
  mutating func writeProfile(_ call: PipelineCall) throws(RPCError) -> WriteResult {
    let profile = try call.named(.profile, "action profile") { names.profile($0) }
    let limit = Int(Int32.max)
    let member = try call.integer(.member, in: 0...limit) ?? 0
    let group = try call.integer(.group, in: 0...limit) ?? 0
    var action = 0
    var arguments: [WideInteger] = []
    if call.method == .memberAdd || call.method == .memberModify {
      action = try call.named(.action, "action of this profile") { name in
        for table in names.tables(ofProfile: profile) {
          if let action = names.action(name, of: table) { return action }
        }
        return nil
      }
      arguments = try self.arguments(call, of: action)
    }
    let batch = batch
    let method = call.method
    return try writing(at: call.path) { () throws(ControlError) in
      switch method {
      case .memberAdd: return .member(try batch.addMember(profile: profile, action, arguments))
      case .memberModify:
        try batch.modifyMember(profile: profile, member: member, action, arguments)
      case .memberDelete: try batch.deleteMember(profile: profile, member: member)
      case .groupAdd: return .group(try batch.addGroup(profile: profile))
      case .groupDelete: try batch.deleteGroup(profile: profile, group: group)
      case .groupJoin: try batch.addMember(member, toGroup: group, profile: profile)
      default: try batch.removeMember(member, fromGroup: group, profile: profile)
      }
      return .nothing
    }
  }
}
