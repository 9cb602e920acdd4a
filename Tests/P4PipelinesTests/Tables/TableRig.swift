import DPUCore
import Testing

@testable import P4Pipelines

/// Programs with tables and nothing else, made without JSON.
enum Tables {
  /// One table `t` with an action of two parameters (16 and 100 bits) and one without.
  static func program(
    _ kind: P4Program.MatchKind, _ keys: [(P4Program.MatchKind, Int)], capacity: Int,
    storage: P4Program.Storage = .direct, change: (inout P4Program.Table) -> Void = { _ in }
  ) -> P4Program {
    var program = P4Program()
    program.actions = [
      P4Program.Action(
        name: "set", id: 0,
        parameters: [
          P4Program.Parameter(name: "port", width: 16),
          P4Program.Parameter(name: "label", width: 100),
        ], primitives: []),
      P4Program.Action(name: "drop", id: 1, parameters: [], primitives: []),
      P4Program.Action(name: "other", id: 2, parameters: [], primitives: []),
    ]
    var table = P4Program.Table(name: "t")
    table.kind = kind
    table.capacity = capacity
    table.storage = storage
    table.actions = [0, 1]
    for (index, key) in keys.enumerated() {
      table.keys.append(
        P4Program.TableKey(
          name: "k", kind: key.0, value: .parameter(index), width: key.1, mask: nil))
    }
    change(&table)
    program.tables = [table]
    return program
  }

  static func set(_ program: P4Program, secret: UInt64 = 7) -> TableSet {
    let plan: TablePlan
    do { plan = try TablePlan(program) } catch { fatalError("no plan: \(error)") }
    return TableSet(plan, secret: secret)
  }

  /// The record of action 0.
  static func record(_ port: Int) -> [UInt64] { [0, UInt64(port), UInt64(port) * 3, 1] }
}

/// What a lookup of one key gave.
struct Found: Equatable {
  var entry: Int?
  var record: [UInt64]
}

extension TableSet {
  /// Looks up keys as the machine does, 64 at a time; fields are packed as the layout says.
  mutating func look(_ table: Int, _ keys: [[WideInteger]]) -> [Found] {
    let layout = layouts[table]
    var found: [Found] = []
    var start = 0
    while start < keys.count {
      let count = min(64, keys.count - start)
      let stride = layout.keyBytes + 8
      var bytes = [UInt8](repeating: 0, count: stride * 64)
      for packet in 0..<count {
        for (field, value) in zip(layout.keys, keys[start + packet]) {
          for byte in 0..<field.byteCount {
            let place = packet * stride + field.offset + field.byteCount - 1 - byte
            bytes[place] = UInt8(truncatingIfNeeded: value.word(byte / 8) >> UInt64(byte % 8 * 8))
          }
        }
      }
      // Not all packets take part, and those that do not must be left alone.
      let all: UInt64 = count == 64 ? .max : 1 << UInt64(count) - 1
      for mask in [all & 0x5555_5555_5555_5555, all & 0xaaaa_aaaa_aaaa_aaaa] {
        var entries = [UInt64](repeating: 0xdead, count: 64)
        var records = [UInt64](repeating: 0xdead, count: 64)
        let hits = lookup(
          table, keys: bytes, keyStride: stride, mask: mask, entries: &entries, records: &records)
        for packet in 0..<64 where mask >> UInt64(packet) & 1 == 0 {
          #expect(entries[packet] == 0xdead && records[packet] == 0xdead)
        }
        #expect(hits & ~mask == 0)
        for packet in 0..<count where mask >> UInt64(packet) & 1 == 1 {
          let isHit = hits >> UInt64(packet) & 1 == 1
          #expect(isHit == (entries[packet] != TableSet.noEntry))
          if start + packet >= found.count {
            for _ in found.count...(start + packet) { found.append(Found(entry: nil, record: [])) }
          }
          let isGroup = records[packet] & MatchTable.groupFlag != 0
          found[start + packet] = Found(
            entry: isHit ? Int(entries[packet]) : nil,
            record: isGroup ? [records[packet]] : record(table, at: Int(records[packet])))
        }
      }
      start += count
    }
    return found
  }

  mutating func add(
    _ table: Int, _ keys: [P4Program.KeyMatch], priority: Int = 0, _ record: [UInt64] = [1]
  ) throws(TableError) -> EntryHandle {
    try insert(
      table, key: try key(table, keys), priority: priority, target: .action(record))
  }
}

/// The same table, found by looking at every entry.
struct NaiveTable {
  struct Entry {
    var keys: [P4Program.KeyMatch]
    var priority: Int
    var record: [UInt64]
    fileprivate let fields: [Field]
    fileprivate let length: Int

    init(keys: [P4Program.KeyMatch], widths: [Int], priority: Int, record: [UInt64]) {
      self.keys = keys
      self.priority = priority
      self.record = record
      fields = zip(keys, widths).map { Field($0, $1) }
      length = keys.reduce(0) { if case .lpm(_, let length) = $1 { max($0, length) } else { $0 } }
    }
  }

  /// Fields of one word are compared as such, for the time the tests take.
  fileprivate enum Field {
    case anything
    case masked(UInt64, mask: UInt64)
    case between(UInt64, UInt64)
    case wideMasked(WideInteger, mask: WideInteger)
    case wideBetween(WideInteger, WideInteger)

    init(_ match: P4Program.KeyMatch, _ width: Int) {
      let ones = WideInteger.ones(width)
      var (value, mask) = (WideInteger.zero, ones)
      switch match {
      case .exact(let wanted), .optional(let wanted?): value = wanted
      case .valid(let isValid): value = WideInteger(isValid ? 1 : 0)
      case .ternary(let wanted, let given): (value, mask) = (wanted & given, given)
      case .optional(nil): mask = .zero
      case .lpm(let wanted, let length):
        mask = (ones >> (width - length)) << (width - length)
        value = wanted & mask
      case .range(let low, let high):
        self = width <= 64 ? .between(low.low64, high.low64) : .wideBetween(low, high)
        return
      }
      self =
        mask.isZero
        ? .anything
        : width <= 64 ? .masked(value.low64, mask: mask.low64) : .wideMasked(value, mask: mask)
    }

    func matches(_ value: WideInteger, _ word: UInt64) -> Bool {
      switch self {
      case .anything: true
      case .masked(let wanted, let mask): word & mask == wanted
      case .between(let low, let high): word >= low && word <= high
      case .wideMasked(let wanted, let mask): value & mask == wanted
      case .wideBetween(let low, let high): !(value < low) && !(high < value)
      }
    }
  }

  var kind: P4Program.MatchKind
  var entries: [Int: Entry] = [:]

  func find(_ key: [WideInteger]) -> Int? {
    let words = key.map { $0.low64 }
    var best: (index: Int, entry: Entry)?
    for (index, entry) in entries {
      var field = 0
      while field < words.count, entry.fields[field].matches(key[field], words[field]) {
        field += 1
      }
      if field < words.count { continue }
      if let best, !wins((index, entry), best) { continue }
      best = (index, entry)
    }
    return best?.index
  }

  private func wins(_ a: (index: Int, entry: Entry), _ b: (index: Int, entry: Entry)) -> Bool {
    if kind == .lpm { return a.entry.length > b.entry.length }
    return (a.entry.priority, a.index) < (b.entry.priority, b.index)
  }
}

/// Draws keys and entries that often meet.
struct KeyDrawer {
  var random: SplitMix64
  let keys: [(P4Program.MatchKind, Int)]
  /// Values that most draws are near to, by field.
  private var favourites: [[WideInteger]] = []

  init(seed: UInt64, keys: [(P4Program.MatchKind, Int)]) {
    random = SplitMix64(seed: seed)
    self.keys = keys
    for key in keys {
      favourites.append((0..<4).map { _ in Self.any(key.1, &random) })
    }
  }

  static func any(_ width: Int, _ random: inout SplitMix64) -> WideInteger {
    var words: [UInt64] = []
    for _ in 0..<((width + 63) / 64) { words.append(random.next()) }
    return WideInteger(magnitude: words).truncated(to: width)
  }

  mutating func value(_ field: Int) -> WideInteger {
    let width = keys[field].1
    if random.next() % 8 == 0 { return Self.any(width, &random) }
    var value = favourites[field][Int(random.next() % 4)]
    // A few low bits, or one bit anywhere, differ.
    if random.next() % 2 == 0 { value = value ^ Self.any(min(width, 5), &random) }
    if random.next() % 4 == 0 {
      value = value ^ WideInteger.powerOfTwo(Int(random.next() % UInt64(width)))
    }
    return value
  }

  mutating func key() -> [WideInteger] { keys.indices.map { value($0) } }

  mutating func match(_ field: Int) -> P4Program.KeyMatch {
    let width = keys[field].1
    let ones = WideInteger.ones(width)
    switch keys[field].0 {
    case .exact: return .exact(value(field))
    case .valid: return .valid(random.next() % 2 == 0)
    case .lpm:
      var length = Int(random.next() % UInt64(width + 1))
      if random.next() % 2 == 0 { length = width - min(width, Int(random.next() % 6)) }
      return .lpm((value(field) >> (width - length)) << (width - length), length: length)
    case .ternary:
      var mask = ones
      switch random.next() % 4 {
      case 0: mask = .zero
      case 1: mask = Self.any(width, &random)
      case 2: mask = (ones >> (width / 2)) << (width / 2)
      default: break
      }
      return .ternary(value(field) & mask, mask: mask)
    case .optional: return .optional(random.next() % 3 == 0 ? nil : value(field))
    case .range:
      if random.next() % 6 == 0 { return .range(.zero, ones) }
      let low = value(field)
      let high = random.next() % 2 == 0 ? low + Self.any(min(width, 7), &random) : value(field)
      return high < low || high.bitWidth > width ? .range(low, low) : .range(low, high)
    }
  }

  /// A key that an entry matches, or nearly.
  mutating func key(near entry: [P4Program.KeyMatch]) -> [WideInteger] {
    var key: [WideInteger] = []
    for field in keys.indices {
      let any = Self.any(keys[field].1, &random)
      switch entry[field] {
      case .exact(let value), .optional(let value?): key.append(value)
      case .valid(let isValid): key.append(WideInteger(isValid ? 1 : 0))
      case .ternary(let value, let mask): key.append(value | any & ~mask)
      case .optional(nil): key.append(any)
      case .lpm(let value, let length):
        let rest = keys[field].1 - length
        key.append(value | any.truncated(to: rest))
      case .range(let low, let high):
        switch random.next() % 4 {
        case 0: key.append(high)
        case 1: key.append(any)
        case 2: key.append((high + WideInteger(1)).truncated(to: keys[field].1))
        default: key.append(low)
        }
      }
    }
    if random.next() % 8 == 0 {
      let field = Int(random.next() % UInt64(keys.count))
      let bit = Int(random.next() % UInt64(keys[field].1))
      key[field] = key[field] ^ WideInteger.powerOfTwo(bit)
    }
    return key
  }

  mutating func entry() -> [P4Program.KeyMatch] { keys.indices.map { match($0) } }
}

extension TableSet {
  /// The entry at an index, which must be taken. (`#require` cannot hold what cannot be copied.)
  func taken(_ index: Int) throws -> EntryHandle {
    guard let handle = handle(0, from: index), handle.index == index else {
      throw TableError.noSuchEntry
    }
    return handle
  }
}
