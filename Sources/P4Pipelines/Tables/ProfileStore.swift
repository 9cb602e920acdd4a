/// The members and groups of one action profile. Records lie in the table set; a member is a
/// record, a group a list of members in ascending order.
struct ProfileStore: ~Copyable {
  /// Of member 0, in words from the start of all records.
  let recordBase: Int
  let recordStride: Int
  let hasSelector: Bool
  var members: IndexPool
  var groups: IndexPool
  /// Entries, defaults and groups that use a member; entries and defaults that use a group.
  private(set) var memberUses: RawArray<UInt32>
  private(set) var groupUses: RawArray<UInt32>
  private var lists: RawArray<List>
  /// The lists lie in one half, with room to grow. When it is full they move to the other one,
  /// without gaps, which frees enough for any list to double.
  private var slots: RawArray<UInt32>
  private let halfCount: Int
  private var half = 0
  private var end = 0
  private let memberships: Int
  private var membershipCount = 0

  struct List: BitwiseCopyable {
    var start: UInt32
    var count: UInt32
    var room: UInt32
  }

  init(_ plan: TablePlan.Profile) {
    recordBase = plan.base
    recordStride = plan.stride
    hasSelector = plan.hasSelector
    let capacity = plan.capacity
    members = IndexPool(capacity: capacity)
    memberUses = RawArray(zeroes: capacity)
    let groupsMax = hasSelector ? capacity : 0
    groups = IndexPool(capacity: groupsMax)
    groupUses = RawArray(zeroes: groupsMax)
    lists = RawArray(zeroes: groupsMax)
    memberships = TableLimits.membershipsPerMember * groupsMax
    halfCount = 3 * memberships + 4
    slots = RawArray(zeroes: hasSelector ? 2 * halfCount : 0)
  }

  func record(_ member: Int) -> Int { recordBase + member * recordStride }

  // MARK: Uses

  mutating func useMember(_ member: Int, by change: Int) {
    memberUses[member] = UInt32(Int(memberUses[member]) + change)
  }

  mutating func useGroup(_ group: Int, by change: Int) {
    groupUses[group] = UInt32(Int(groupUses[group]) + change)
  }

  // MARK: Groups

  mutating func addGroup(_ group: Int) {
    groups.take(group)
    lists[group] = List(start: 0, count: 0, room: 0)
  }

  func memberCount(ofGroup group: Int) -> Int { Int(lists[group].count) }

  /// The member with that place in the list.
  @inline(__always)
  func member(_ place: Int, ofGroup group: Int) -> Int {
    Int(slots[Int(lists[group].start) + place])
  }

  /// Where a member stands in the list, or where it would.
  private func place(_ member: Int, inGroup group: Int) -> (place: Int, isThere: Bool) {
    var low = 0
    var high = Int(lists[group].count)
    while low < high {
      let middle = (low + high) / 2
      let other = self.member(middle, ofGroup: group)
      if other == member { return (middle, true) }
      if other < member { low = middle + 1 } else { high = middle }
    }
    return (low, false)
  }

  func contains(_ member: Int, inGroup group: Int) -> Bool {
    place(member, inGroup: group).isThere
  }

  var isMembershipFull: Bool { membershipCount == memberships }

  /// The member must not be in the group, and there must be a membership left.
  mutating func join(_ member: Int, _ group: Int) {
    let (place, isThere) = place(member, inGroup: group)
    precondition(!isThere && !isMembershipFull)
    if lists[group].count == lists[group].room { grow(group) }
    let start = Int(lists[group].start)
    var at = start + Int(lists[group].count)
    while at > start + place {
      slots[at] = slots[at - 1]
      at -= 1
    }
    slots[at] = UInt32(member)
    lists[group].count += 1
    membershipCount += 1
    useMember(member, by: 1)
  }

  mutating func leave(_ member: Int, _ group: Int) {
    let (place, isThere) = place(member, inGroup: group)
    precondition(isThere)
    lists[group].count -= 1
    let start = Int(lists[group].start)
    for at in (start + place)..<(start + Int(lists[group].count)) { slots[at] = slots[at + 1] }
    membershipCount -= 1
    useMember(member, by: -1)
  }

  /// Gives a list twice its room.
  private mutating func grow(_ group: Int) {
    let room = max(4, 2 * Int(lists[group].room))
    if end + room > (half + 1) * halfCount || end < half * halfCount {
      half = 1 - half
      end = half * halfCount
      var next = groups.next(from: 0)
      while let other = next {
        let count = Int(lists[other].count)
        let start = Int(lists[other].start)
        for place in 0..<count { slots[end + place] = slots[start + place] }
        lists[other] = List(start: UInt32(end), count: UInt32(count), room: UInt32(count))
        end += count
        next = groups.next(from: other + 1)
      }
    }
    let count = Int(lists[group].count)
    let start = Int(lists[group].start)
    for place in 0..<count { slots[end + place] = slots[start + place] }
    lists[group] = List(start: UInt32(end), count: UInt32(count), room: UInt32(room))
    end += room
  }
}
