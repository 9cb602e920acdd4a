/// What takes an operation back. Tables, profiles and value sets keep their own record.
enum ControlUndo {
  case nothing
  /// The session as it was; nil: there was none.
  case session(Int, CloneSession?)
  case removeGroup(Int)
  case restoreGroup(Int, first: Int32)
  case removeNode(Int)
  case restorePorts(node: Int, MulticastTree.Ports)
  case restoreNode(Int, MulticastTree.Node, after: Int32)
  case dissociate(group: Int, node: Int)
}

extension P4Switch {
  mutating func takeBack(_ undo: ControlUndo) {
    switch undo {
    case .nothing: break
    case .session(let number, let session):
      if let session {
        _ = sessions.set(number, session)
      } else {
        _ = sessions.remove(number)
      }
    case .removeGroup(let number): _ = multicast.destroyGroup(number)
    case .restoreGroup(let number, let first): multicast.restoreGroup(number, first: first)
    case .removeNode(let node): multicast.removeNode(node)
    case .restorePorts(let node, let ports): _ = multicast.updateNode(node, ports: ports)
    case .restoreNode(let handle, let node, let predecessor):
      multicast.restoreNode(handle, node, after: predecessor)
    case .dissociate(let group, let node): _ = multicast.dissociate(group: group, node: node)
    }
  }
}
