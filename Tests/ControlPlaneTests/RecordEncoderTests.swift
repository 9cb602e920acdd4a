import Testing

@testable import dpuctl

/// Records that dpuctl makes of writes as JSON.
@Suite struct RecordEncoderTests {
  /// What `p4.info` says, as far as it matters.
  static var info: JSONValue {
    JSONValue(
      """
      {"tables": [
        {"name": "I.none", "keys": [], "actions": ["drop"], "actionNumbers": [0]},
        {"name": "I.rules", "keys": [
          {"name": "hdr.port", "match": "exact", "width": 9},
          {"name": "hdr.src", "match": "lpm", "width": 32},
          {"name": "hdr.flags", "match": "ternary", "width": 4},
          {"name": "hdr.dport", "match": "range", "width": 16},
          {"name": "hdr.tag", "match": "optional", "width": 8},
          {"name": "hdr.ip", "match": "valid", "width": 1}],
         "actions": ["I.forward"], "actionNumbers": [2]}],
       "actions": [{"name": "drop", "parameters": []},
        {"name": "I.forward", "parameters": []},
        {"name": "I.forward", "parameters": [
          {"name": "port", "width": 9}, {"name": "mac", "width": 48}]}]}
      """)!
  }

  static func hex(_ writes: String) -> String {
    do {
      let records = try RecordEncoder(info).records(JSONValue("[\(writes)]")!.elements)
      return records.map { String($0 >> 4, radix: 16) + String($0 & 15, radix: 16) }.joined()
    } catch {
      return (error as? Failure)?.message ?? "\(error)"
    }
  }

  static func key(_ member: String, _ value: String) -> String {
    hex(
      #"{"method":"p4.table.delete","table":"rules","#
        + #""keys":{"port":1,"ip":true,"\#(member)":\#(value)}}"#)
  }

  @Test func writesBecomeRecords() {
    let whole = Self.hex(
      #"""
      {"method": "p4.table.insert", "table": "rules", "priority": 300, "timeoutMilliseconds": 1000,
       "keys": {"hdr.port": 257, "src": "10.1.2.3/8", "flags": "0x5&&&0x4", "dport": "80..443",
                "tag": 7, "ip": true},
       "action": "forward", "arguments": {"mac": "02:00:00:00:00:01", "port": "0x1fe"}}
      """#)
    #expect(
      whole == "0100" + "0100" + "0200" + "0600" + "1100" + "0800" + "2c010000" + "e8030000"
        + "0101" + "0a0000000800" + "0404" + "005001bb" + "07ff" + "01" + "01fe" + "020000000001")
    // By place, and what is left out is anything.
    #expect(
      Self.hex(
        #"{"method":"p4.table.modify","table":"rules","member":258,"#
          + #""keys":[1,null,3,{"low":1,"high":2},"*",false]}"#)
        == "0201" + "0100" + "0000" + "0600" + "1100" + "0400" + "00000000" + "00000000"
        + "0001" + "000000000000" + "030f" + "00010002" + "0000" + "00" + "02010000")
    #expect(
      Self.hex(#"{"method":"p4.table.delete","table":"rules","keys":{"port":1,"ip":1}}"#)
        == "0300" + "0100" + "0000" + "0600" + "1100" + "0000" + "00000000" + "00000000"
        + "0001" + "000000000000" + "0000" + "0000ffff" + "0000" + "01")
  }

  @Test(arguments: [
    ("src", #""10.0.0.0/33""#, "/33 is no prefix of 32 bits"),
    ("src", #""10.0.0""#, "10.0.0 is no number and no address"),
    ("flags", "16", "16 does not fit 4 bits"),
    ("flags", #""1..2""#, #"hdr.flags is matched ternary, not as "1..2""#),
    ("dport", #""9..8""#, "the range 9..8 is empty"),
    ("hdr.port", #""*""#, "the key hdr.port stands twice"),
    ("colour", "1", "the program has no key colour"),
  ])
  func aKeyThatCannotBe(member: String, value: String, complaint: String) {
    #expect(Self.key(member, value) == "write 0: \(complaint)")
  }

  @Test(arguments: [
    (#"{"method":"p4.table.clear","table":"rules"}"#, "p4.table.clear has no record"),
    (
      #"{"method":"p4.table.delete","table":"rules","entry":7}"#,
      "a record of p4.table.delete takes no entry"
    ),
    (#"{"method":"p4.table.delete","table":"rule","keys":[]}"#, "the program has no table rule"),
    (
      #"{"method":"p4.table.delete","table":"rules","keys":{"ip":true}}"#,
      "hdr.port is matched exact, not as nothing"
    ),
    (
      #"{"method":"p4.table.insert","table":"none","keys":[],"action":"forward"}"#,
      "the program has no action forward"
    ),
    (
      #"{"method":"p4.table.insert","table":"rules","keys":{"port":1,"ip":1},"#
        + #""action":"forward","arguments":[1]}"#,
      "there is no argument mac"
    ),
  ])
  func aWriteThatIsNoRecord(write: String, complaint: String) {
    #expect(
      Self.hex(#"{"method":"p4.table.delete","table":"none","keys":[]},"# + write)
        == "write 1: \(complaint)")
  }

  /// Records of 20 bytes and a key and arguments of these lengths.
  static func records(_ lengths: [(key: Int, arguments: Int)]) -> [UInt8] {
    lengths.flatMap { length -> [UInt8] in
      var record = [UInt8](repeating: 0, count: 20 + length.key + length.arguments)
      (record[8], record[9]) = (UInt8(length.key & 255), UInt8(length.key >> 8))
      (record[10], record[11]) = (UInt8(length.arguments & 255), UInt8(length.arguments >> 8))
      return record
    }
  }

  @Test func manyRecordsGoInParts() {
    let records = Self.records([(4, 0), (0, 300), (6, 4), (0, 0), (256, 1)])
    #expect(records.count == 24 + 320 + 30 + 20 + 277)
    #expect(RecordParts.split(records, limit: 344) == [0..<344, 344..<671])
    #expect(RecordParts.split(records, limit: 343) == [0..<24, 24..<344, 344..<671])
    // One that is longer than may be goes alone; what is no record goes with all that follows.
    #expect(RecordParts.split(records, limit: 100) == [0..<24, 24..<344, 344..<394, 394..<671])
    #expect(RecordParts.split(Array(records[..<390]), limit: 344) == [0..<344, 344..<390])
    #expect(RecordParts.split(Array(records[..<664]), limit: 344) == [0..<344, 344..<664])
    #expect(RecordParts.split([], limit: 344) == [])
  }

  @Test func theAnswersToPartsBecomeOne() throws {
    var sum = RecordParts.Sum()
    sum.add(
      try #require(
        JSONValue(
          #"""
          {"updates":3,"entries":[7,null,8],"failures":1,
           "refusals":[{"update":1,"offset":24,"reason":"full"}]}
          """#)), at: 0)
    sum.add(
      try #require(
        JSONValue(
          #"""
          {"updates":2,"entries":[null,9],"failures":1,
           "refusals":[{"update":0,"offset":10,"reason":"exists"}]}
          """#)), at: 100)
    #expect(sum.written == 3)
    #expect(
      sum.answer.text
        == #"{"updates":5,"entries":[7,null,8,null,9],"refusals":"#
        + #"[{"update":1,"offset":24,"reason":"full"},{"update":3,"offset":110,"reason":"exists"}],"#
        + #""failures":2}"#)
  }
}
