import DPUCore
import Foundation
import Testing

@testable import P4Pipelines

/// Every refusal says where and why. Each row changes one place of the base program.
@Suite struct RefusalTests {
  struct Row: CustomTestStringConvertible {
    var old: String
    var new: String
    var path: String
    var message: String

    init(_ old: String, _ new: String, _ path: String, _ message: String) {
      self.old = old
      self.new = new
      self.path = path
      self.message = message
    }

    var testDescription: String { "\(old) -> \(new)" }
  }

  static func refusal(of text: String) -> ProgramError? {
    let text = Text(text)
    do {
      _ = try ProgramLoader.load(text.span)
      return nil
    } catch {
      return error
    }
  }

  func check(_ row: Row) throws {
    let base = baseProgram.replacing("[STATEMENTS]", with: "[]")
    try #require(base.components(separatedBy: row.old).count == 2, "\(row.old) must stand once")
    let error = try #require(Self.refusal(of: base.replacing(row.old, with: row.new)))
    #expect(error.path.string == row.path)
    #expect(error.message.string == row.message)
  }

  @Test(arguments: [
    Row("[2, 23]", "[3, 0]", "$.__meta__.version", "format version must be 2, is 3.0"),
    Row("[2, 23]", "[2]", "$.__meta__.version", "must have 2 elements, has 1"),
    Row(
      #""errors": [["NoError", 0]"#, #""errors": [["NoError", -1]"#, "$.errors[0][1]",
      "must lie between 0 and 2147483647, is -1"),
    Row(
      #"[["green", 0], ["red", 2]]"#, #"[["green"]]"#, "$.enums[0].entries[0]",
      "must have 2 elements, has 1"),
    Row(
      #""header_types": ["#, #""header_type": ["#, "$", "must have the key \"header_types\""),
    Row(
      #"{"name": "short_t", "id": 5"#, #"{"name": "label_t", "id": 5"#, "$.header_types[5].name",
      "there is another header type \"label_t\""),
    Row(
      #"["x", 8, false]"#, #"["x", 0, false]"#, "$.header_types[5].fields[0][1]",
      "must lie between 1 and 2048, is 0"),
    Row(
      #"["x", 8, false]"#, #"["x", "8", false]"#, "$.header_types[5].fields[0][1]",
      "must be an integer, is a string"),
    Row(
      #"["x", 8, false]"#, #"["x", 8, "no"]"#, "$.header_types[5].fields[0][2]",
      "must be a boolean, is a string"),
    Row(
      #"["x", 8, false]"#, #"["x", 7, false]"#, "$.headers[10]",
      "header type \"short_t\" has 7 bits, which is no multiple of 8"),
    Row(
      #"["last", 1, false]"#, #"["label", 1, false]"#, "$.header_types[4].fields[1][0]",
      "there is another field \"label\""),
    Row(
      #"["tail", 16, false]], "max_length": 20"#, #"["tail", "*"]], "max_length": 20"#,
      "$.header_types[3].fields[2][1]", "a header may have one field of variable length only"),
    Row(
      #"["tail", 16, false]], "max_length": 20"#, #"["tail", 16, false]]"#, "$.header_types[3]",
      "must have the key \"max_length\""),
    Row(
      #""max_length": 20"#, #""max_length": 2"#, "$.header_types[3].max_length",
      "must be at least 3 bytes, which the fields of fixed width take, is 2"),
    Row(
      #"["tail", 16, false]], "max"#, #"["tail", 15, false]], "max"#, "$.header_types[3]",
      "the fields of fixed width have 23 bits, which is no multiple of 8"),
    Row(
      #"[["length", 8, false], ["bytes", "*"], ["tail", 16, false]]"#,
      #"[["length", 4, false], ["bytes", "*"], ["tail", 20, false]]"#, "$.header_types[3]",
      "the field of variable length must start at a byte, starts at bit 4"),
    Row(
      #"{"name": "eth2", "id": 3"#, #"{"name": "eth", "id": 3"#, "$.headers[3].name",
      "there is another header \"eth\""),
    Row(
      #"{"name": "eth2", "id": 3"#, #"{"name": "eth2", "id": 2"#, "$.headers[3].id",
      "there is another header with id 2"),
    Row(
      #""id": 3, "header_type": "ethernet_t""#, #""id": 3, "header_type": "ether_t""#,
      "$.headers[3].header_type", "unknown header type \"ether_t\""),
    Row(
      #"{"name": "standard_metadata", "id": 1, "header_type": "standard_metadata", "metadata": true},"#,
      "", "$.headers",
      "must have an instance of metadata named \"standard_metadata\""),
    Row(
      #"["egress_spec", 9, false]"#, #"["egress_spec", 16, false]"#, "$.headers",
      "standard_metadata.egress_spec must be a bit<9>"),
    Row(
      #"["parser_error", 32, false]"#, #"["parser_error", 32, true]"#, "$.headers",
      "standard_metadata.parser_error must be a bit<32>"),
    Row(
      #""header_ids": [6, 7]"#, #""header_ids": [6, 77]"#, "$.header_stacks[0].header_ids[1]",
      "there is no header with id 77"),
    Row(
      #""header_ids": [6, 7]"#, #""header_ids": [6, 6]"#, "$.header_stacks[0].header_ids[1]",
      "header 6 is part of another stack or union"),
    Row(
      #""header_ids": [6, 7]"#, #""header_ids": [6, 0]"#, "$.header_stacks[0].header_ids[1]",
      "header 0 is metadata"),
    Row(
      #""header_ids": [6, 7]"#, #""header_ids": [6, 2]"#, "$.header_stacks[0].header_ids[1]",
      "must be a header of type \"label_t\", is one of type \"ethernet_t\""),
    Row(
      #""header_ids": [6, 7]"#, #""header_ids": [6]"#, "$.header_stacks[0].size",
      "must be 1, the number of elements"),
    Row(
      #"["y", "long_t"]]"#, #"["y", "longer_t"]]"#, "$.header_union_types[0].headers[1][1]",
      "unknown header type \"longer_t\""),
    Row(
      #""header_ids": [12, 13]"#, #""header_ids": [13, 12]"#, "$.header_unions[1].header_ids[0]",
      "must be a header of type \"short_t\", is one of type \"long_t\""),
    Row(
      #""header_ids": [12, 13]"#, #""header_ids": [12]"#, "$.header_unions[1].header_ids",
      "must have 2 elements, has 1"),
    Row(
      #""header_union_ids": [2, 3]"#, #""header_union_ids": [2, 2]"#,
      "$.header_union_stacks[0].header_union_ids[1]", "union 2 is part of another stack"),
    Row(
      #""header_union_ids": [2, 3]"#, #""header_union_ids": [2, 9]"#,
      "$.header_union_stacks[0].header_union_ids[1]", "there is no union with id 9"),
    Row(
      #"["standard_metadata", "ingress_port"]]]"#, #"["standard_metadata", "port"]]]"#,
      "$.field_aliases[0][1][1]", "header type \"standard_metadata\" has no field \"port\""),
  ])
  func headers(row: Row) throws { try check(row) }

  @Test(arguments: [
    Row(
      #""init_state": "start""#, #""init_state": "begin""#, "$.parsers[0].init_state",
      "unknown parser state \"begin\""),
    Row(
      #""name": "options", "id": 2"#, #""name": "start", "id": 2"#,
      "$.parsers[0].parse_states[2].name", "there is another parser state \"start\""),
    Row(
      #"{"type": "regular", "value": "eth"}"#, #"{"type": "regular", "value": "ip"}"#,
      "$.parsers[0].parse_states[0].parser_ops[0].parameters[0].value", "unknown header \"ip\""),
    Row(
      #"{"type": "regular", "value": "eth"}"#, #"{"type": "regular", "value": "scalars"}"#,
      "$.parsers[0].parse_states[0].parser_ops[0].parameters[0].value",
      "metadata cannot be extracted"),
    Row(
      #"{"type": "regular", "value": "eth"}"#, #"{"type": "regular", "value": "option"}"#,
      "$.parsers[0].parse_states[0].parser_ops[0].parameters[0].value",
      "header type \"option_t\" has a field of variable length but no length"),
    Row(
      #"{"type": "regular", "value": "option"}"#, #"{"type": "regular", "value": "eth"}"#,
      "$.parsers[0].parse_states[2].parser_ops[0].parameters[0].value",
      "must be a header with a field of variable length"),
    Row(
      #"{"type": "regular", "value": "eth"}"#, #"{"type": "irregular", "value": "eth"}"#,
      "$.parsers[0].parse_states[0].parser_ops[0].parameters[0].type",
      "unknown type of extraction \"irregular\"; known are regular, stack, union_stack"),
    Row(
      #"{"type": "stack", "value": "labels"}"#, #"{"type": "stack", "value": "label"}"#,
      "$.parsers[0].parse_states[1].parser_ops[0].parameters[0].value",
      "unknown header stack \"label\""),
    Row(
      #"["us", "y"]}"#, #"["us", "z"]}"#,
      "$.parsers[0].parse_states[2].parser_ops[1].parameters[0].value[1]",
      "union type \"u_t\" has no member \"z\""),
    Row(
      #""value": [4, 8]"#, #""value": [4, 0]"#,
      "$.parsers[0].parse_states[0].parser_ops[1].parameters[1].value[1]",
      "must lie between 1 and 2048, is 0"),
    Row(
      #"{"op": "shift", "parameters": [2]}"#, #"{"op": "shift", "parameters": [2, 3]}"#,
      "$.parsers[0].parse_states[1].parser_ops[2].parameters", "must have 1 element, has 2"),
    Row(
      #"{"op": "shift", "parameters": [2]}"#, #"{"op": "skip", "parameters": [2]}"#,
      "$.parsers[0].parse_states[1].parser_ops[2].op",
      "unknown parser operation \"skip\"; known are extract, extract_VL, set, verify, advance,"
        + " shift, primitive"),
    Row(
      #"{"type": "local", "value": 0}"#, #"{"type": "local", "value": 1}"#,
      "$.header_types[7].length_exp.value.left.value", "must lie between 0 and 0, is 1"),
    Row(
      #"[{"op": "add_header", "parameters": [{"type": "header", "value": "eth2"}]}]"#,
      #"[{"op": "_jump", "parameters": [{"type": "hexstr", "value": "0x0"}]}]"#,
      "$.parsers[0].parse_states[2].parser_ops[3].parameters[0].op",
      "jumps are possible only within actions"),
    Row(
      #"[{"op": "add_header", "parameters": [{"type": "header", "value": "eth2"}]}]"#,
      #"[{"op": "truncate", "parameters": [{"type": "runtime_data", "value": 0}]}]"#,
      "$.parsers[0].parse_states[2].parser_ops[3].parameters[0].parameters[0].value",
      "there are no parameters here"),
    Row(
      #""transition_key": [{"type": "union_stack_field""#,
      #""transition_key": [{"type": "expression""#,
      "$.parsers[0].parse_states[2].transition_key[0].type",
      "unknown type of key \"expression\"; known are field, stack_field, union_stack_field,"
        + " lookahead"),
    Row(
      #"{"type": "hexstr", "value": "0x080001", "#, #"{"type": "hexstr", "value": "0x10800001", "#,
      "$.parsers[0].parse_states[0].transitions[1].value",
      "must fit in 24 bits, is \"0x10800001\""),
    Row(
      #"{"type": "hexstr", "value": "0x080001", "#, #"{"type": "exact", "value": "0x080001", "#,
      "$.parsers[0].parse_states[0].transitions[1].type",
      "unknown type of transition \"exact\"; known are default, hexstr, parse_vset"),
    Row(
      #""mask": "0xffff0f", "next_state": "labels""#, #""mask": 1, "next_state": "labels""#,
      "$.parsers[0].parse_states[0].transitions[1].mask",
      "must be a string with a hexadecimal number, is an integer"),
    Row(
      #""mask": "0xffff0f", "next_state": "labels""#,
      #""mask": "0xffff0f", "next_state": "nowhere""#,
      "$.parsers[0].parse_states[0].transitions[1].next_state",
      "unknown parser state \"nowhere\""),
    Row(
      #""compressed_bitwidth": 20"#, #""compressed_bitwidth": 16"#,
      "$.parsers[0].parse_states[0].transitions[2].value",
      "value set \"known\" has 16 bits, the key 20"),
    Row(
      #""value": "known", "mask": null"#, #""value": "known", "mask": "0xffffff""#,
      "$.parsers[0].parse_states[0].transitions[2].mask",
      "masks are not supported with value sets"),
    Row(
      #"{"value": "0x00", "next_state": "labels"}"#,
      #"{"type": "default", "next_state": "labels"}"#,
      "$.parsers[0].parse_states[1].transitions[1]", "there is another default transition"),
    Row(
      #""transition_key": [{"type": "stack_field", "value": ["labels", "last"]}]"#,
      #""transition_key": []"#, "$.parsers[0].parse_states[1].transitions[0]",
      "a transition by value needs a \"transition_key\""),
    Row(
      #""order": ["eth", "#, #""order": ["eth9", "#, "$.deparsers[0].order[0]",
      "unknown header \"eth9\""),
    Row(
      #""order": ["eth", "#, #""order": ["scalars", "#, "$.deparsers[0].order[0]",
      "metadata cannot be emitted"),
    Row(
      #""max_size": 4}]"#, #""max_size": 65537}]"#, "$.parse_vsets[0].max_size",
      "must lie between 0 and 65536, is 65537"),
  ])
  func parser(row: Row) throws { try check(row) }

  @Test(arguments: [
    Row(
      #""algo": "crc16""#, #""algo": "crc15""#, "$.calculations[0].algo",
      "unknown hash algorithm \"crc15\"; known are crc8, crc16, crc32, crcCCITT, csum16, cksum16,"
        + " identity, xor16, xor32, xxh64, toeplitz, random, crc8_custom, crc16_custom,"
        + " crc32_custom, crc64_custom"),
    Row(
      #""value": "0x05", "bitwidth": 8"#, #""value": "0x105", "bitwidth": 8"#,
      "$.calculations[0].input[1].value", "must fit in 8 bits, is \"0x105\""),
    Row(
      #""value": "0x05", "bitwidth": 8"#, #""value": "0x05""#, "$.calculations[0].input[1]",
      "must have the key \"bitwidth\""),
    Row(
      #"{"type": "payload", "value": null}"#, #"{"type": "rest", "value": null}"#,
      "$.calculations[0].input[3].type",
      "unknown type of input \"rest\"; known are field, stack_field, header, hexstr, payload"),
    Row(
      #""calculation": "h""#, #""calculation": "g""#, "$.checksums[0].calculation",
      "unknown calculation \"g\""),
    Row(
      #""type": "generic""#, #""type": "ipv4""#, "$.checksums[0].type",
      "must be \"generic\", is \"ipv4\""),
    Row(
      #""target": ["eth", "type"], "type""#, #""target": ["eth", "$valid$"], "type""#,
      "$.checksums[0].target", "must be a field, not the validity of a header"),
    Row(
      #""if_cond": {"type": "bool", "value": true}"#,
      #""if_cond": {"type": "header", "value": "eth"}"#, "$.checksums[0].if_cond",
      "must be a truth value, is a header"),
    Row(
      #""is_direct": false, "size": 8"#, #""is_direct": false"#, "$.counter_arrays[0]",
      "must have the key \"size\""),
    Row(
      #""is_direct": false, "size": 8"#, #""is_direct": false, "size": 4194305"#,
      "$.counter_arrays[0].size", "must lie between 0 and 4194304, is 4194305"),
    Row(
      #""is_direct": true, "binding": "t"}"#, #""is_direct": true, "binding": "tt"}"#,
      "$.counter_arrays[1].binding", "unknown table \"tt\""),
    Row(
      #"{"name": "dc", "id": 1"#, #"{"name": "c", "id": 1"#, "$.counter_arrays[1].name",
      "there is another counter \"c\""),
    Row(
      #""type": "bytes", "size": 4"#, #""type": "bits", "size": 4"#, "$.meter_arrays[0].type",
      "must be \"packets\" or \"bytes\", is \"bits\""),
    Row(
      #""type": "bytes", "size": 4"#, #""type": "bytes", "size": 1048577"#,
      "$.meter_arrays[0].size", "must lie between 0 and 1048576, is 1048577"),
    Row(
      #""result_target": ["scalars", "a"]"#, #""result_target": ["scalars", "z"]"#,
      "$.meter_arrays[1].result_target[1]", "header type \"scalars_0\" has no field \"z\""),
    Row(
      #""size": 16, "bitwidth": 48"#, #""size": 16, "bitwidth": 4096"#,
      "$.register_arrays[0].bitwidth", "must lie between 1 and 2048, is 4096"),
    Row(
      #""size": 16, "bitwidth": 48"#, #""size": 33554432, "bitwidth": 65"#,
      "$.register_arrays[0].size", "all registers together may have 268435456 bytes"),
    Row(
      #""extern_instances": []"#, #""extern_instances": [{"name": "e", "type": "Digester"}]"#,
      "$.extern_instances[0].type", "unknown extern type \"Digester\""),
    Row(
      #""name": "kept", "elements": [{"type": "field""#,
      #""name": "kept", "elements": [{"type": "header""#, "$.field_lists[0].elements[0].type",
      "must be \"field\", is \"header\""),
  ])
  func externs(row: Row) throws { try check(row) }

  @Test(arguments: [
    Row(
      #"{"name": "egress", "id": 1"#, #"{"name": "ingress", "id": 1"#, "$.pipelines[1].name",
      "must be one \"ingress\" and one \"egress\""),
    Row(
      #""init_table": "node_1""#, #""init_table": "node_2""#, "$.pipelines[0].init_table",
      "unknown table, conditional or action call \"node_2\""),
    Row(
      #""name": "rules", "id": 1"#, #""name": "t", "id": 1"#, "$.pipelines[0].tables[1].name",
      "there is another table \"t\""),
    Row(
      #""name": "node_1", "id": 0"#, #""name": "t", "id": 0"#,
      "$.pipelines[0].conditionals[0].name",
      "there is another table, conditional or action call \"t\""),
    Row(
      #""target": ["eth", "dst"]"#, #""target": ["eth", "destination"]"#,
      "$.pipelines[0].tables[0].key[0].target[1]",
      "header type \"ethernet_t\" has no field \"destination\""),
    Row(
      #""target": ["eth", "dst"]"#, #""target": ["ether", "dst"]"#,
      "$.pipelines[0].tables[0].key[0].target[0]", "unknown header \"ether\""),
    Row(
      #""target": ["eth", "dst"]"#, #""target": ["option", "bytes"]"#,
      "$.pipelines[0].tables[0].key[0].target", "fields of variable length cannot be keys"),
    Row(
      #"{"match_type": "exact", "name": "hdr.eth.dst""#,
      #"{"match_type": "near", "name": "hdr.eth.dst""#,
      "$.pipelines[0].tables[0].key[0].match_type",
      "unknown match type \"near\"; known are exact, lpm, ternary, range, optional, valid"),
    Row(
      #"{"match_type": "exact", "name": "hdr.eth.dst""#,
      #"{"match_type": "lpm", "name": "hdr.eth.dst""#, "$.pipelines[0].tables[0].key[1]",
      "a table may have one \"lpm\" key only"),
    Row(
      #""match_type": "lpm", "type": "simple""#, #""match_type": "exact", "type": "simple""#,
      "$.pipelines[0].tables[0].match_type", "\"exact\" does not suit the keys"),
    Row(
      #""match_type": "lpm", "type": "simple""#, #""match_type": "lpm", "type": "direct""#,
      "$.pipelines[0].tables[0].type",
      "unknown type of table \"direct\"; known are simple, indirect, indirect_ws"),
    Row(
      #""max_size": 64, "with_counters""#, #""with_counters""#, "$.pipelines[0].tables[0]",
      "must have the key \"max_size\""),
    Row(
      #""direct_meters": "dm""#, #""direct_meters": "m""#,
      "$.pipelines[0].tables[0].direct_meters", "must be a direct meter"),
    Row(
      #""action_ids": [5, 0]"#, #""action_ids": [5, 1]"#,
      "$.pipelines[0].tables[0].action_ids[1]", "there is no action with id 1"),
    Row(
      #"{"act": "rules", "NoAction": null}"#, #"{"act": "rules"}"#,
      "$.pipelines[0].tables[0].next_tables",
      "must have the key \"NoAction\", an action of the table"),
    Row(
      #"{"act": "rules", "NoAction": null}"#, #"{"act": "ruler", "NoAction": null}"#,
      "$.pipelines[0].tables[0].next_tables.act",
      "unknown table, conditional or action call \"ruler\""),
    Row(
      #""default_entry": {"action_id": 5"#, #""default_entry": {"action_id": 6"#,
      "$.pipelines[0].tables[0].default_entry.action_id",
      "action \"test\" is none of the table's"),
    Row(
      #""action_data": ["0x1", "0x2"]"#, #""action_data": ["0x1"]"#,
      "$.pipelines[0].tables[0].default_entry.action_data", "must have 2 elements, has 1"),
    Row(
      #""action_data": ["0x1", "0x2"]"#, #""action_data": ["0x200", "0x2"]"#,
      "$.pipelines[0].tables[0].default_entry.action_data[0]",
      "must fit in 9 bits, is \"0x200\""),
    Row(
      #""action_profile": "members""#, #""action_profile": "member""#,
      "$.pipelines[0].tables[2].action_profile", "unknown action profile \"member\""),
    Row(
      #", "selector": {"algo": "crc32", "input": [{"type": "field", "value": ["eth", "src"]}]}"#,
      "",
      "$.pipelines[0].tables[2].action_profile", "must be a profile with a selector"),
    Row(
      #""key": "0x08ff", "mask": "0xff00""#, #""key": "0x108ff", "mask": "0xff00""#,
      "$.pipelines[0].tables[1].entries[0].match_key[0].key",
      "must fit in 16 bits, is \"0x108ff\""),
    Row(
      #"{"match_type": "exact", "key": "0x01"}"#, #"{"match_type": "ternary", "key": "0x01"}"#,
      "$.pipelines[0].tables[1].entries[0].match_key[2].match_type",
      "must be the match type of the table's key \"valid\""),
    Row(
      #""key": "0x0001", "mask": "0x01ff""#, #""key": "0x0001", "mask": "0x01f0""#,
      "$.pipelines[0].tables[1].entries[0].match_key[1].mask",
      "must have all bits or none for a key that is optional"),
    Row(
      #", {"match_type": "exact", "key": "0x00"}]"#, "]",
      "$.pipelines[0].tables[1].entries[1].match_key", "must have 3 elements, has 2"),
    Row(
      #"{"match_key": [{"match_type": "ternary", "key": "0x0800", "mask": "0xffff"}, {"match_type": "ternary", "key": "0x0000", "mask": "0x0000"}, {"match_type": "exact", "key": "0x00"}], "action_entry": {"action_id": 0, "action_data": []}}"#,
      #"{"match_key": [{"match_type": "ternary", "key": "0x0800", "mask": "0xff00"}, {"match_type": "ternary", "key": "0x0001", "mask": "0x01ff"}, {"match_type": "exact", "key": "0x01"}], "action_entry": {"action_id": 0, "action_data": []}, "priority": 7}"#,
      "$.pipelines[0].tables[1].entries[1]", "there is another entry with the same key"),
    Row(
      #""action_id": 0, "next_node": null"#, #""action_id": 5, "next_node": null"#,
      "$.pipelines[0].action_calls[0].action_id",
      "action \"act\" has parameters, so only a table can run it"),
    Row(
      #""action_id": 0, "next_node": null"#, #""action_id": 0, "next_node": "rules""#,
      "$.pipelines[0].tables[1].name", "control flow comes back to \"rules\""),
    Row(
      #""true_next": "t", "false_next": null"#, #""true_next": "node_1", "false_next": null"#,
      "$.pipelines[0].conditionals[0].name", "control flow comes back to \"node_1\""),
    Row(
      #""true_next": "t", "false_next": null"#, #""true_next": "t""#,
      "$.pipelines[0].conditionals[0]", "must have the key \"false_next\""),
  ])
  func tables(row: Row) throws { try check(row) }

  /// Statements of the action `test`, with the path from there.
  @Test(arguments: [
    (
      #"{"op": "teleport", "parameters": []}"#, ".op",
      "unknown primitive \"teleport\"; v1model has none of that name"
    ),
    (#"{"op": "exit", "parameters": [1]}"#, ".parameters", "must have 0 elements, has 1"),
    (#"{"op": "exit"}"#, "", "must have the key \"parameters\""),
    (
      #"{"op": "_jump", "parameters": [{"type": "hexstr", "value": "0x2"}]}"#, ".parameters[0]",
      "must lie between 0 and 1, is \"0x2\""
    ),
    (
      #"{"op": "_jump", "parameters": [{"type": "runtime_data", "value": 0}]}"#,
      ".parameters[0].value", "there are no parameters here"
    ),
    (
      #"{"op": "_jump", "parameters": [{"type": "field", "value": ["scalars", "a"]}]}"#,
      ".parameters[0]", "must be a constant"
    ),
    (
      #"{"op": "truncate", "parameters": [{"type": "runtime_data", "value": 1}]}"#,
      ".parameters[0].value", "must lie between 0 and 0, is 1"
    ),
    (
      #"{"op": "truncate", "parameters": [{"type": "lookahead", "value": [0, 8]}]}"#,
      ".parameters[0].value", "the packet can be looked ahead only in the parser"
    ),
    (
      #"{"op": "truncate", "parameters": [{"type": "hexstr", "value": "12 bytes"}]}"#,
      ".parameters[0].value", "must be a hexadecimal number, is \"12 bytes\""
    ),
    (
      #"{"op": "truncate", "parameters": [{"type": "hex", "value": "0x1"}]}"#,
      ".parameters[0].type",
      "unknown type of value \"hex\"; known are expression, field, hexstr, bool, local,"
        + " runtime_data, header, header_stack, header_union, header_union_stack, stack_field,"
        + " union_stack_field, register, lookahead"
    ),
    (
      #"{"op": "truncate", "parameters": [{"type": "expression", "value": {"op": "**", "left": null, "right": null}}]}"#,
      ".parameters[0].value.op",
      "unknown operator \"**\"; known are +, -, *, /, %, <<, >>, &, |, ^, ~, ==, !=, <, <=, >, >=,"
        + " and, or, not, d2b, b2d, two_comp_mod, sat_cast, usat_cast, ?, valid, valid_union,"
        + " access_field, dereference_stack, dereference_header_stack, dereference_union_stack,"
        + " access_union_header, last_stack_index, size_stack"
    ),
    (
      LoaderTests.statement("truncate", "ETH"), ".parameters[0]", "must be a number, is a header"
    ),
    (
      #"{"op": "assign", "parameters": [{"type": "field", "value": ["eth", "$valid$"]}, {"type": "hexstr", "value": "0x1"}]}"#,
      ".parameters[0]", "must be a field that can be written"
    ),
    (
      LoaderTests.statement("assign", "ONE ONE"), ".parameters[0]",
      "must be a field that can be written"
    ),
    (
      LoaderTests.statement("assign_VL", "BYTES A"), ".parameters[1]",
      "must be a field of variable length"
    ),
    (LoaderTests.statement("add_header", "A"), ".parameters[0]", "must be a header, is a number"),
    (
      LoaderTests.statement("assign_header", "ETH COPY"), ".parameters[1]",
      "must be a header of type \"ethernet_t\""
    ),
    (
      LoaderTests.statement("assign_header_stack", "LABELS US"), ".parameters[1]",
      "a stack of unions cannot be assigned to a header stack here"
    ),
    (LoaderTests.statement("push", "ETH ONE"), ".parameters[0]", "must be a stack, is a header"),
    (
      #"{"op": "count", "parameters": [{"type": "counter_array", "value": "dc"}, {"type": "hexstr", "value": "0x1"}]}"#,
      ".parameters[0]", "is a direct counter, which its table counts"
    ),
    (
      #"{"op": "execute_meter", "parameters": [{"type": "meter_array", "value": "dm"}, {"type": "hexstr", "value": "0x1"}, {"type": "field", "value": ["scalars", "a"]}]}"#,
      ".parameters[0]", "is a direct meter, which its table executes"
    ),
    (
      LoaderTests.statement("count", "R A"), ".parameters[0].type",
      "must be \"counter_array\", is \"register_array\""
    ),
    (
      #"{"op": "count", "parameters": [{"type": "counter_array", "value": "d"}, {"type": "hexstr", "value": "0x1"}]}"#,
      ".parameters[0].value", "unknown counter \"d\""
    ),
    (
      LoaderTests.statement("resubmit", "SEVEN"), ".parameters[0]",
      "there is no field list with id 7"
    ),
    (
      LoaderTests.statement("generate_digest", "ONE SEVEN"), ".parameters[1]",
      "there is no learn list with id 7"
    ),
    (
      "{\"op\": \"truncate\", \"parameters\": ["
        + LoaderTests.op("two_comp_mod", LoaderTests.a, LoaderTests.b) + "]}",
      ".parameters[0].value.right", "must be a constant width between 1 and 2048"
    ),
    (
      "{\"op\": \"truncate\", \"parameters\": ["
        + LoaderTests.op("<<", LoaderTests.a, #"{"type": "hexstr", "value": "-0x1"}"#) + "]}",
      ".parameters[0].value.right", "must not be negative"
    ),
    (
      "{\"op\": \"truncate\", \"parameters\": ["
        + LoaderTests.op("+", LoaderTests.a, "null") + "]}",
      ".parameters[0].value.right", "must be an object, is null"
    ),
    (
      "{\"op\": \"truncate\", \"parameters\": ["
        + LoaderTests.op("==", LoaderTests.eth, LoaderTests.labels) + "]}",
      ".parameters[0].value.right", "a header and a header stack cannot be compared"
    ),
    (
      "{\"op\": \"truncate\", \"parameters\": ["
        + LoaderTests.op("access_field", LoaderTests.eth, "4") + "]}",
      ".parameters[0].value.right", "must lie between 0 and 3, is 4"
    ),
    (
      "{\"op\": \"truncate\", \"parameters\": ["
        + LoaderTests.op("size_stack", "null", LoaderTests.eth) + "]}",
      ".parameters[0].value.right", "must be a stack, is a header"
    ),
  ])
  func statements(statement: String, path: String, message: String) throws {
    let text = baseProgram.replacing("STATEMENTS", with: statement)
    let error = try #require(Self.refusal(of: text))
    #expect(error.path.string == "$.actions[2].primitives[0]\(path)")
    #expect(error.message.string == message)
  }

  @Test func positions() throws {
    let text = """
      {
        "header_types": [],
        "headers": [{"name": "h", "id": 0,
          "header_type": "t", "metadata": true}]
      }
      """
    let error = try #require(Self.refusal(of: text))
    #expect(error.text == #"4:20: $.headers[0].header_type: unknown header type "t""#)
    #expect(
      Self.refusal(of: "{\n  \"a\": tru\n}")?.text.string
        == "2:8: $: must be JSON: invalid token near 'tru'")
    #expect(Self.refusal(of: "")?.path == "$")
    #expect(Self.refusal(of: "[]")?.text == "1:1: $: must be an object, is an array")
    #expect(Self.refusal(of: "{}")?.text == #"1:1: $: must have the key "header_types""#)
    #expect(
      Self.refusal(of: #"{"a": 1, "a": 2}"#)?.message.string.hasPrefix("must be JSON: ") == true)
  }

  // MARK: Limits

  @Test func textsAreNotTooLong() throws {
    let text = String(repeating: " ", count: ProgramLimits.textBytes + 1)
    #expect(
      Self.refusal(of: text)?.text
        == "1:1: $: must be at most 16777216 bytes long, is 16777217")
  }

  @Test func textsDoNotHoldTooMuch() throws {
    let containers = "[" + String(repeating: "[],", count: ProgramLimits.containers) + "[]]"
    #expect(
      Self.refusal(of: containers)?.message == "must have at most 524288 objects and arrays")
    let values = "[" + String(repeating: "0,", count: ProgramLimits.values) + "0]"
    #expect(Self.refusal(of: values)?.message == "must have at most 2097152 values")
    // Brackets and commas in strings do not count.
    let string = #"["\""# + String(repeating: "[,", count: ProgramLimits.values) + #""]"#
    #expect(Self.refusal(of: string)?.message == "must be an object, is an array")
  }

  @Test func expressionsAreNotTooDeep() throws {
    func nested(_ depth: Int) -> String {
      let open = #"{"type": "expression", "value": {"op": "~", "left": null, "right": "#
      return String(repeating: open, count: depth) + LoaderTests.a
        + String(repeating: "}}", count: depth)
    }
    let deepest = ProgramLimits.expressionDepth - 1
    try LoaderTests.expect(
      nested(deepest),
      String(repeating: "complement(", count: deepest) + "scalars.a"
        + String(repeating: ")", count: deepest))
    let text = #"{"op": "truncate", "parameters": [\#(nested(deepest + 1))]}"#
    let error = try #require(
      Self.refusal(of: baseProgram.replacing("STATEMENTS", with: text)))
    #expect(error.message == "expressions may be nested 200 deep at most")
    // jansson's own limit comes first here; what matters is that it is refused.
    let wrapped =
      String(repeating: #"{"type": "expression", "value": "#, count: 5_000) + LoaderTests.a
      + String(repeating: "}", count: 5_000)
    #expect(
      Self.refusal(
        of: baseProgram.replacing(
          "STATEMENTS", with: #"{"op": "truncate", "parameters": [\#(wrapped)]}"#)) != nil)
  }

  @Test func tablesTakeNotTooMuchMemory() throws {
    let base = baseProgram.replacing("[STATEMENTS]", with: "[]")
    // Each profile of so many members is estimated at 64 MiB.
    func refusal(_ count: Int) -> ProgramError? {
      let profiles = (0..<count).map {
        #"{"name": "p\#($0)", "id": \#($0 + 1), "max_size": \#(ProgramLimits.entries)}, "#
      }
      return Self.refusal(
        of: base.replacing(
          #""action_profiles": [{"#, with: #""action_profiles": [\#(profiles.joined()){"#))
    }
    #expect(refusal(15)?.text == nil)
    let error = try #require(refusal(17))
    #expect(error.path == "$.pipelines[0].action_profiles[16].max_size")
    #expect(error.message == "all tables together would take more than 1073741824 bytes")
  }

  @Test func headersAreNotTooMany() throws {
    // Headers share their types, so a short text could ask for many fields.
    let fields = (0..<1_000).map { #"["f\#($0)", 8]"# }.joined(separator: ", ")
    let headers = (0..<17).map {
      #"{"name": "h\#($0)", "id": \#($0), "header_type": "t", "metadata": true}"#
    }
    let text = """
      {"header_types": [{"name": "t", "fields": [\(fields)]}],
       "headers": [\(headers.joined(separator: ", "))]}
      """
    let error = try #require(Self.refusal(of: text))
    #expect(error.path == "$.headers[16].name")
    #expect(
      error.message
        == "all headers together may have 4096 instances, 16384 fields and 1048576 bits")
  }
}
