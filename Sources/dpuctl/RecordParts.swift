import P4Pipelines

/// More records than one request takes, in several.
enum RecordParts {
  /// Bytes of records that p4.write takes.
  static let limit = 1 << 20

  /// Parts of whole records, each as long as may be. What is no record is left to the firmware to
  /// complain about, with what follows.
  static func split(_ records: [UInt8], limit: Int = limit) -> [Range<Int>] {
    var parts: [Range<Int>] = []
    var start = 0
    var end = 0
    while end < records.count {
      guard let length = TableUpdate.byteCount(of: records[end...]), end + length <= records.count
      else {
        parts.append(start..<records.count)
        return parts
      }
      if end + length - start > limit, end > start {
        parts.append(start..<end)
        start = end
      }
      end += length
    }
    if end > start { parts.append(start..<end) }
    return parts
  }

  /// The answers to all parts as one.
  struct Sum {
    private var updates = 0
    private var failures = 0
    private var entries: [JSONValue] = []
    private var refusals: [JSONValue] = []
    var written: Int { updates - failures }

    mutating func add(_ answer: JSONValue, at offset: Int) {
      refusals += answer["refusals"].elements.map { row in
        .object(
          row.members.map { member in
            let base = member.key == "update" ? updates : member.key == "offset" ? offset : 0
            guard base > 0, let number = member.value.integer else { return member }
            return .init(member.key, number + base)
          })
      }
      updates += answer["updates"].integer ?? 0
      failures += answer["failures"].integer ?? 0
      entries += answer["entries"].elements
    }

    var answer: JSONValue {
      .object([
        .init("updates", updates), .init(key: "entries", value: .array(entries)),
        .init(key: "refusals", value: .array(refusals)), .init("failures", failures),
      ])
    }
  }
}
