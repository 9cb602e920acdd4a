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
}
