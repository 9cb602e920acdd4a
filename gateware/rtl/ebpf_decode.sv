// One row of program memory: what it does, or why it cannot be (RFC 9669, sections 3 to 5).
`include "defs.svh"

module ebpf_decode (
    input wire [63:0] row,

    // The first of opcode, register and field that is wrong.
    output reg [4:0] fault,

    output wire is_alu,
    output wire is_64,         // arithmetic with 64 bits; comparison of 64 bits
    output wire is_wide,       // the next row holds the upper half of the immediate
    output wire is_load,
    output wire is_store,
    output wire is_atomic,
    output wire is_branch,     // with a condition
    output wire is_jump,       // without
    output wire is_call,       // of a local function
    output wire is_helper,
    output wire is_exit,
    output wire far_jump,      // the distance is in the immediate

    output wire a_used,        // the first operand, or the base of an address
    output wire writes,
    output wire [3:0] write_index
);
  wire [7:0] opcode = row[7:0];
  wire [3:0] dst = row[11:8];
  wire [3:0] src = row[15:12];
  wire [15:0] offset = row[31:16];
  wire [31:0] imm = row[63:32];

  wire [2:0] family = opcode[2:0];
  wire [3:0] operation = opcode[7:4];
  wire [2:0] mode = opcode[7:5];
  wire [1:0] size = opcode[4:3];
  wire x = opcode[3];

  wire f_load = family == 3'd0;
  wire f_loadx = family == 3'd1;
  wire f_store = family == 3'd2;
  wire f_storex = family == 3'd3;
  wire f_alu = family == 3'd4 || family == 3'd7;
  wire f_jump64 = family == 3'd5;
  wire f_jump = family == 3'd5 || family == 3'd6;

  wire is_end = f_alu && operation == `ALU_END;
  wire is_neg = f_alu && operation == `ALU_NEG;
  wire is_mov = f_alu && operation == `ALU_MOV;
  wire is_div = f_alu && (operation == `ALU_DIV || operation == `ALU_MOD);
  wire is_any_call = f_jump64 && operation == 4'h8;

  assign is_alu = f_alu;
  assign is_64 = opcode[2:0] == 3'd7 || opcode[2:0] == 3'd5;
  assign is_wide = f_load;
  assign is_load = f_loadx;
  assign is_atomic = f_storex && mode == 3'd6;
  assign is_store = f_store || (f_storex && mode != 3'd6);
  assign is_jump = f_jump && operation == 4'h0;
  assign is_exit = f_jump64 && operation == 4'h9;
  assign is_call = is_any_call && !x && src == 4'd1;
  assign is_helper = is_any_call && !is_call;
  assign is_branch = f_jump && operation != 4'h0 && operation != 4'h8 && operation != 4'h9;
  wire by_register = f_alu ? x && !is_end : f_jump ? x && !is_any_call : f_storex;
  assign far_jump = is_any_call || (family == 3'd6 && operation == 4'h0);

  assign a_used =
      (f_alu && !is_mov) || is_branch || f_loadx || f_store || f_storex || is_exit
      || (is_any_call && x);

  wire atomic_fetches = is_atomic && imm[0];
  wire atomic_compares = is_atomic && imm[7:4] == 4'hf;
  assign writes = f_alu || f_load || f_loadx || atomic_fetches || is_helper;
  assign write_index = atomic_compares || is_helper ? 4'd0 : is_atomic ? src : dst;

  wire known =
      f_load ? opcode == 8'h18
      : f_loadx ? mode == 3'd3 || (mode == 3'd4 && size != `SIZE_DOUBLE)
      : f_store ? mode == 3'd3
      : f_storex ? mode == 3'd3 || (mode == 3'd6 && (size == `SIZE_WORD || size == `SIZE_DOUBLE))
      : f_alu ? operation <= 4'hd && !(is_neg && x) && !(is_end && x && family == 3'd7)
      : operation <= 4'hd && !(operation == 4'h0 && x)
        && !(operation == 4'h8 && !f_jump64) && !(operation == 4'h9 && (x || !f_jump64));

  wire bad_register =
      dst > 4'd10
      || (dst == 4'd10 && (f_alu || f_load || f_loadx))
      || ((by_register || f_loadx) && src > 4'd10)
      || (atomic_fetches && !atomic_compares && src == 4'd10);

  wire offset_zero = offset == 16'd0;
  wire imm_zero = imm == 32'd0;
  wire atomic_known =
      imm[31:8] == 24'd0 && imm[3:1] == 3'd0
      && (imm[7:4] == 4'h0 || imm[7:4] == 4'h4 || imm[7:4] == 4'h5 || imm[7:4] == 4'ha
          || (imm[0] && (imm[7:4] == 4'he || imm[7:4] == 4'hf)));
  wire source_bad =
      (f_load || f_store || (f_alu && !by_register) || (is_branch && !x) || is_jump || is_exit)
        && src != 4'd0
      || is_any_call && (x ? src != 4'd0 : src > 4'd2);
  wire dst_bad = (is_jump || is_exit || (is_any_call && !x)) && dst != 4'd0;
  wire offset_bad =
      f_load ? !offset_zero
      : f_alu ? (is_div ? offset[15:1] != 15'd0
                 : is_mov && x ? !(offset_zero || offset == 16'd8 || offset == 16'd16
                                   || (offset == 16'd32 && family == 3'd7))
                 : !offset_zero)
      : (is_any_call || is_exit || (is_jump && family == 3'd6)) && !offset_zero;
  wire imm_bad =
      is_end ? !(imm == 32'd16 || imm == 32'd32 || imm == 32'd64)
      : is_atomic ? !atomic_known
      : (is_neg || (f_alu && x) || f_loadx || f_storex || (is_branch && x)
         || (is_jump && family == 3'd5) || is_exit || (is_any_call && x)) && !imm_zero;

  always_comb begin
    if (!known) fault = `FAULT_OPCODE;
    else if (bad_register) fault = `FAULT_REGISTER;
    else if (source_bad || dst_bad || offset_bad || imm_bad) fault = `FAULT_FIELD;
    else fault = `FAULT_NONE;
  end
endmodule
