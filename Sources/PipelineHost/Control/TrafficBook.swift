import DPUCore
import P4Pipelines

/// What the control plane has set in a switch and the switch does not tell again: clone sessions,
/// multicast groups, queues and value sets. All workers have the same.
struct TrafficBook {
  struct Session {
    var number: Int
    var session: CloneSession
  }

  struct Replica {
    var node: Int
    var instance: Int
    var ports: [Int]
  }

  struct Group {
    var number: Int
    var replicas: [Replica]
  }

  struct Queue {
    var port: Int?
    var priority: Int?
    var depth: Int?
    var packetsPerSecond: Int?
  }

  struct SetValue {
    var set: Int
    var value: WideInteger
  }

  var sessions: [Session] = []
  var groups: [Group] = []
  /// In the order in which they were set, as later ones may override earlier ones.
  var queues: [Queue] = []
  var values: [SetValue] = []

  // MARK: Sessions

  mutating func set(_ number: Int, _ session: CloneSession) {
    sessions.removeAll { $0.number == number }
    let place = sessions.firstIndex { $0.number > number } ?? sessions.count
    sessions.insert(Session(number: number, session: session), at: place)
  }

  mutating func removeSession(_ number: Int) { sessions.removeAll { $0.number == number } }

  // MARK: Groups

  func group(_ number: Int) -> Group? { groups.first { $0.number == number } }

  /// The handle that the next node gets: switches give the smallest that is free.
  var freeNode: Int {
    var taken: [Int] = []
    for group in groups { for replica in group.replicas { taken.append(replica.node) } }
    taken.sort()
    var node = 0
    for other in taken where other == node { node += 1 }
    return node
  }

  mutating func set(_ group: Group) {
    groups.removeAll { $0.number == group.number }
    let place = groups.firstIndex { $0.number > group.number } ?? groups.count
    groups.insert(group, at: place)
  }

  mutating func removeGroup(_ number: Int) { groups.removeAll { $0.number == number } }

  // MARK: Queues and value sets

  mutating func set(_ queue: Queue) {
    queues.removeAll { $0.port == queue.port && $0.priority == queue.priority }
    queues.append(queue)
  }

  mutating func insert(_ value: WideInteger, into set: Int) {
    remove(value, from: set)
    values.append(SetValue(set: set, value: value))
  }

  mutating func remove(_ value: WideInteger, from set: Int) {
    values.removeAll { $0.set == set && $0.value == value }
  }

  mutating func clear(_ set: Int) { values.removeAll { $0.set == set } }

  func values(of set: Int) -> [WideInteger] {
    values.filter { $0.set == set }.map { $0.value }
  }
}
