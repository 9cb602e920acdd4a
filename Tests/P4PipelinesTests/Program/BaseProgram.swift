/// A small program that has something of everything, for tests that change one place of it.
let baseProgram = """
  {
    "__meta__": {"version": [2, 23]},
    "program": "base.p4",
    "header_types": [
      {"name": "scalars_0", "id": 0, "fields": [["a", 8, false], ["b", 16, false], ["s", 8, true], ["w", 200, false], ["flag", 1, 0], ["_padding", 7, false]]},
      {"name": "standard_metadata", "id": 1, "fields": [["ingress_port", 9, false], ["egress_spec", 9, false], ["parser_error", 32, false], ["_padding", 6, false]]},
      {"name": "ethernet_t", "id": 2, "fields": [["dst", 48], ["src", 48], ["type", 16]]},
      {"name": "option_t", "id": 3, "fields": [["length", 8, false], ["bytes", "*"], ["tail", 16, false]], "max_length": 20},
      {"name": "label_t", "id": 4, "fields": [["label", 20, false], ["last", 1, false], ["rest", 3, false]]},
      {"name": "short_t", "id": 5, "fields": [["x", 8, false]]},
      {"name": "long_t", "id": 6, "fields": [["y", 32, false]]},
      {"name": "old_t", "id": 7, "fields": [["n", 8, false], ["tail", "*"]], "max_length": 10, "length_exp": {"type": "expression", "value": {"op": "*", "left": {"type": "local", "value": 0}, "right": {"type": "hexstr", "value": "0x8"}}}}
    ],
    "headers": [
      {"name": "scalars", "id": 0, "header_type": "scalars_0", "metadata": true},
      {"name": "standard_metadata", "id": 1, "header_type": "standard_metadata", "metadata": true},
      {"name": "eth", "id": 2, "header_type": "ethernet_t", "metadata": false},
      {"name": "eth2", "id": 3, "header_type": "ethernet_t", "metadata": false},
      {"name": "option", "id": 4, "header_type": "option_t", "metadata": false},
      {"name": "option2", "id": 5, "header_type": "option_t", "metadata": false},
      {"name": "labels[0]", "id": 6, "header_type": "label_t", "metadata": false},
      {"name": "labels[1]", "id": 7, "header_type": "label_t", "metadata": false},
      {"name": "copies[0]", "id": 8, "header_type": "label_t", "metadata": false},
      {"name": "copies[1]", "id": 9, "header_type": "label_t", "metadata": false},
      {"name": "u.x", "id": 10, "header_type": "short_t", "metadata": false},
      {"name": "u.y", "id": 11, "header_type": "long_t", "metadata": false},
      {"name": "v.x", "id": 12, "header_type": "short_t", "metadata": false},
      {"name": "v.y", "id": 13, "header_type": "long_t", "metadata": false},
      {"name": "us[0].x", "id": 14, "header_type": "short_t", "metadata": false},
      {"name": "us[0].y", "id": 15, "header_type": "long_t", "metadata": false},
      {"name": "us[1].x", "id": 16, "header_type": "short_t", "metadata": false},
      {"name": "us[1].y", "id": 17, "header_type": "long_t", "metadata": false},
      {"name": "old", "id": 18, "header_type": "old_t", "metadata": false}
    ],
    "header_stacks": [
      {"name": "labels", "id": 0, "header_type": "label_t", "size": 2, "header_ids": [6, 7]},
      {"name": "copies", "id": 1, "header_type": "label_t", "size": 2, "header_ids": [8, 9]}
    ],
    "header_union_types": [{"name": "u_t", "id": 0, "headers": [["x", "short_t"], ["y", "long_t"]]}],
    "header_unions": [
      {"name": "u", "id": 0, "union_type": "u_t", "header_ids": [10, 11]},
      {"name": "v", "id": 1, "union_type": "u_t", "header_ids": [12, 13]},
      {"name": "us[0]", "id": 2, "union_type": "u_t", "header_ids": [14, 15]},
      {"name": "us[1]", "id": 3, "union_type": "u_t", "header_ids": [16, 17]}
    ],
    "header_union_stacks": [{"name": "us", "id": 0, "union_type": "u_t", "size": 2, "header_union_ids": [2, 3]}],
    "field_lists": [{"id": 1, "name": "kept", "elements": [{"type": "field", "value": ["scalars", "a"]}]}],
    "errors": [["NoError", 0], ["PacketTooShort", 1], ["Wrong", 9]],
    "enums": [{"name": "color", "entries": [["green", 0], ["red", 2]]}],
    "parsers": [{
      "name": "parser", "id": 0, "init_state": "start",
      "parse_states": [
        {
          "name": "start", "id": 0,
          "parser_ops": [
            {"op": "extract", "parameters": [{"type": "regular", "value": "eth"}]},
            {"op": "set", "parameters": [{"type": "field", "value": ["scalars", "a"]}, {"type": "lookahead", "value": [4, 8]}]},
            {"op": "verify", "parameters": [{"type": "bool", "value": true}, {"type": "hexstr", "value": "0x9"}]}
          ],
          "transition_key": [{"type": "field", "value": ["eth", "type"]}, {"type": "lookahead", "value": [0, 4]}],
          "transitions": [
            {"type": "default", "value": null, "mask": null, "next_state": null},
            {"type": "hexstr", "value": "0x080001", "mask": "0xffff0f", "next_state": "labels"},
            {"type": "parse_vset", "value": "known", "mask": null, "next_state": "options"}
          ]
        },
        {
          "name": "labels", "id": 1,
          "parser_ops": [
            {"op": "extract", "parameters": [{"type": "stack", "value": "labels"}]},
            {"op": "advance", "parameters": [{"type": "hexstr", "value": "0x10"}]},
            {"op": "shift", "parameters": [2]}
          ],
          "transition_key": [{"type": "stack_field", "value": ["labels", "last"]}],
          "transitions": [{"value": "0x00", "next_state": "labels"}, {"value": "default", "next_state": "options"}]
        },
        {
          "name": "options", "id": 2,
          "parser_ops": [
            {"op": "extract_VL", "parameters": [{"type": "regular", "value": "option"}, {"type": "expression", "value": {"type": "field", "value": ["scalars", "b"]}}]},
            {"op": "extract", "parameters": [{"type": "union_stack", "value": ["us", "y"]}]},
            {"op": "extract", "parameters": [{"type": "regular", "value": "old"}]},
            {"op": "primitive", "parameters": [{"op": "add_header", "parameters": [{"type": "header", "value": "eth2"}]}]}
          ],
          "transition_key": [{"type": "union_stack_field", "value": ["us", "y", "y"]}],
          "transitions": [{"type": "default", "value": null, "mask": null, "next_state": null}]
        }
      ]
    }],
    "parse_vsets": [{"name": "known", "id": 0, "compressed_bitwidth": 20, "max_size": 4}],
    "deparsers": [{"name": "deparser", "id": 0, "order": ["eth", "labels[0]", "labels[1]", "option"], "primitives": [{"op": "no_op", "parameters": []}]}],
    "meter_arrays": [
      {"name": "m", "id": 0, "is_direct": false, "rate_count": 2, "type": "bytes", "size": 4},
      {"name": "dm", "id": 1, "is_direct": true, "rate_count": 2, "type": "packets", "size": 64, "binding": "t", "result_target": ["scalars", "a"]}
    ],
    "counter_arrays": [
      {"name": "c", "id": 0, "is_direct": false, "size": 8},
      {"name": "dc", "id": 1, "is_direct": true, "binding": "t"}
    ],
    "register_arrays": [{"name": "r", "id": 0, "size": 16, "bitwidth": 48}],
    "calculations": [{"name": "h", "id": 0, "algo": "crc16", "input": [{"type": "field", "value": ["eth", "src"]}, {"type": "hexstr", "value": "0x05", "bitwidth": 8}, {"type": "header", "value": "eth"}, {"type": "payload", "value": null}]}],
    "learn_lists": [{"id": 1, "name": "seen", "elements": [{"type": "field", "value": ["eth", "src"]}]}],
    "actions": [
      {"name": "NoAction", "id": 0, "runtime_data": [], "primitives": []},
      {
        "name": "act", "id": 5, "runtime_data": [{"name": "port", "bitwidth": 9}, {"name": "key", "bitwidth": 16}],
        "primitives": [
          {"op": "assign", "parameters": [{"type": "field", "value": ["standard_metadata", "egress_spec"]}, {"type": "runtime_data", "value": 0}]},
          {"op": "_jump_if_zero", "parameters": [{"type": "field", "value": ["scalars", "flag"]}, {"type": "hexstr", "value": "0x3"}]},
          {"op": "mark_to_drop", "parameters": [{"type": "header", "value": "standard_metadata"}]},
          {"op": "exit", "parameters": []}
        ]
      },
      {"name": "test", "id": 6, "runtime_data": [{"name": "p", "bitwidth": 8}], "primitives": [STATEMENTS]}
    ],
    "pipelines": [
      {
        "name": "ingress", "id": 0, "init_table": "node_1",
        "tables": [
          {
            "name": "t", "id": 0,
            "key": [
              {"match_type": "exact", "name": "hdr.eth.dst", "target": ["eth", "dst"], "mask": null},
              {"match_type": "lpm", "target": ["eth", "src"], "mask": "0xffffffff0000"}
            ],
            "match_type": "lpm", "type": "simple", "max_size": 64, "with_counters": true, "support_timeout": true,
            "direct_meters": "dm", "action_ids": [5, 0], "actions": ["act", "NoAction"],
            "base_default_next": "rules", "next_tables": {"act": "rules", "NoAction": null},
            "default_entry": {"action_id": 5, "action_const": true, "action_data": ["0x1", "0x2"], "action_entry_const": false}
          },
          {
            "name": "rules", "id": 1,
            "key": [
              {"match_type": "ternary", "name": "type", "target": ["eth", "type"], "mask": null},
              {"match_type": "optional", "name": "port", "target": ["standard_metadata", "ingress_port"], "mask": null},
              {"match_type": "exact", "name": "valid", "target": ["option", "$valid$"], "mask": null}
            ],
            "match_type": "ternary", "type": "simple", "max_size": 1024, "action_ids": [0], "actions": ["NoAction"],
            "base_default_next": null, "next_tables": {"__HIT__": "chosen", "__MISS__": null},
            "entries": [
              {"match_key": [{"match_type": "ternary", "key": "0x08ff", "mask": "0xff00"}, {"match_type": "ternary", "key": "0x0001", "mask": "0x01ff"}, {"match_type": "exact", "key": "0x01"}], "action_entry": {"action_id": 0, "action_data": []}, "priority": 7},
              {"match_key": [{"match_type": "ternary", "key": "0x0800", "mask": "0xffff"}, {"match_type": "ternary", "key": "0x0000", "mask": "0x0000"}, {"match_type": "exact", "key": "0x00"}], "action_entry": {"action_id": 0, "action_data": []}}
            ]
          },
          {
            "name": "chosen", "id": 2, "key": [{"match_type": "range", "target": ["scalars", "b"]}, {"match_type": "valid", "target": "eth"}],
            "match_type": "range", "type": "indirect_ws", "action_profile": "members", "max_size": 32, "action_ids": [0], "actions": ["NoAction"],
            "base_default_next": null, "next_tables": {"NoAction": "call"}
          }
        ],
        "action_profiles": [{"name": "members", "id": 0, "max_size": 16, "selector": {"algo": "crc32", "input": [{"type": "field", "value": ["eth", "src"]}]}}],
        "conditionals": [{"name": "node_1", "id": 0, "expression": {"type": "expression", "value": {"op": "d2b", "left": null, "right": {"type": "field", "value": ["eth", "$valid$"]}}}, "true_next": "t", "false_next": null}],
        "action_calls": [{"name": "call", "id": 0, "action_id": 0, "next_node": null}]
      },
      {"name": "egress", "id": 1, "init_table": null, "tables": [], "action_profiles": [], "conditionals": []}
    ],
    "checksums": [{"name": "cksum", "id": 0, "target": ["eth", "type"], "type": "generic", "calculation": "h", "verify": false, "update": true, "if_cond": {"type": "bool", "value": true}}],
    "force_arith": [],
    "extern_instances": [],
    "field_aliases": [["intrinsic_metadata.port", ["standard_metadata", "ingress_port"]]]
  }
  """
