import Testing

@testable import P4Pipelines

struct MulticastTreeTests {
  private func ports(_ numbers: Int...) -> MulticastTree.Ports {
    var ports = MulticastTree.Ports(repeating: 0)
    for number in numbers { ports[number / 64] |= 1 << UInt64(number % 64) }
    return ports
  }

  private func copies(_ tree: borrowing MulticastTree, _ group: Int) -> [[Int]]? {
    guard var cursor = tree.start(group) else { return nil }
    var copies: [[Int]] = []
    while let replica = tree.next(&cursor) {
      copies.append([Int(replica.replicationID), replica.port])
    }
    return copies
  }

  @Test func copiesGoNodeByNodeAndPortByPort() {
    var tree = MulticastTree(groups: 4, nodes: 8)
    same(copies(tree, 7), nil)
    same(tree.createGroup(7), nil)
    same(tree.createGroup(7), .exists)
    same(copies(tree, 7), [])
    same(tree.createNode(replicationID: 5, ports: ports(511, 64, 3)), 0)
    same(tree.createNode(replicationID: 6, ports: ports()), 1)
    same(tree.createNode(replicationID: 0, ports: ports(3)), 2)
    same(tree.associate(group: 7, node: 2), nil)
    same(tree.associate(group: 7, node: 1), nil)
    same(tree.associate(group: 7, node: 0), nil)
    same(copies(tree, 7), [[0, 3], [5, 3], [5, 64], [5, 511]])
    same(tree.associate(group: 7, node: 0), .nodeInUse)
    same(tree.updateNode(1, ports: ports(1)), nil)
    same(copies(tree, 7), [[0, 3], [6, 1], [5, 3], [5, 64], [5, 511]])
    same(tree.dissociate(group: 7, node: 1), nil)
    same(tree.dissociate(group: 7, node: 1), .nodeNotInGroup)
    same(copies(tree, 7), [[0, 3], [5, 3], [5, 64], [5, 511]])
    same(tree.destroyNode(0), nil)
    same(copies(tree, 7), [[0, 3]])
    // The smallest free handle comes next.
    same(tree.createNode(replicationID: 1, ports: ports(9)), 0)
    same(tree.associate(group: 7, node: 0), nil)
    same(copies(tree, 7), [[0, 3], [1, 9]])
    same(tree.destroyGroup(7), nil)
    same(copies(tree, 7), nil)
    // Its nodes are free for another one.
    same(tree.createGroup(65535), nil)
    same(tree.associate(group: 65535, node: 0), nil)
    same(copies(tree, 65535), [[1, 9]])
  }

  @Test func limitsAreRefusals() {
    var tree = MulticastTree(groups: 2, nodes: 2)
    same(tree.createGroup(1), nil)
    same(tree.createGroup(2), nil)
    same(tree.createGroup(3), .full)
    same(tree.destroyGroup(1), nil)
    same(tree.createGroup(3), nil)
    same(tree.createNode(replicationID: 1, ports: ports(1)), 0)
    same(tree.createNode(replicationID: 1, ports: ports(1)), 1)
    same(tree.createNode(replicationID: 1, ports: ports(1)), nil)
    same(tree.associate(group: 9, node: 0), .noSuchGroup)
    same(tree.associate(group: 3, node: 2), .noSuchNode)
    same(tree.destroyNode(-1), .noSuchNode)
    same(tree.destroyGroup(9), .noSuchGroup)
  }

  @Test func changesCanBeTakenBack() {
    var tree = MulticastTree(groups: 4, nodes: 8)
    _ = tree.createGroup(1)
    for node in 0..<4 {
      _ = tree.createNode(replicationID: UInt16(node), ports: ports(node))
      _ = tree.associate(group: 1, node: node)
    }
    let before = copies(tree, 1)
    for node in 0..<4 {
      let old = tree.node(node)!
      let predecessor = tree.predecessor(of: node)
      same(tree.destroyNode(node), nil)
      same(copies(tree, 1)?.count, 3)
      tree.restoreNode(node, old, after: predecessor)
      same(copies(tree, 1), before)
    }
    let first = tree.firstNode(of: 1)
    same(tree.destroyGroup(1), nil)
    tree.restoreGroup(1, first: first)
    same(copies(tree, 1), before)
    // The list's end is known again.
    let node = tree.createNode(replicationID: 9, ports: ports(9))!
    same(tree.associate(group: 1, node: node), nil)
    same(copies(tree, 1), before! + [[9, 9]])
  }
}
