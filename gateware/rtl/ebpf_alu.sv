// What takes one cycle: sums, logic, moves, shifts, byte swaps, and the comparison of a branch.
`include "defs.svh"

module ebpf_alu (
    input wire [3:0] operation,
    input wire is_64,
    input wire is_left,
    input wire [5:0] rotate,       // to the right, for a shift: b, or to the left ~b
    input wire [63:0] a,
    input wire [63:0] b,
    input wire [63:0] a_now,       // the same, a little later, for what takes little time
    input wire [63:0] b_now,
    input wire [2:0] extend,       // a move extends the sign of 8, 16 or 32 bits
    input wire swap_always,        // an unconditional byte swap, or to big endian
    input wire [1:0] swap_width,   // bits 5:4 of the number of bits
    output wire [63:0] sum,
    output wire [63:0] shifted,
    output reg [63:0] other,

    // Of a branch: what it looks for, and whether it wants the opposite. Its width is `is_64`.
    input wire when_equal,
    input wire when_less,
    input wire when_any,
    input wire compare_signed,
    input wire otherwise,
    output wire holds
);
  // Sums. A negation comes with b = 0.
  wire negate = operation == `ALU_NEG;
  wire subtract = operation == `ALU_SUB;
  assign sum =
      (a ^ {64{negate}}) + (b ^ {64{subtract}}) + {63'd0, negate || subtract};

  // Shifts rotate to the right and then mask. To the left by n is to the right by 1 and by ~n; 32
  // bits stand twice in the rotated 64.
  wire fill = operation == `ALU_ARSH && (is_64 ? a[63] : a[31]);
  wire [63:0] twice = {is_64 ? a[63:32] : a[31:0], a[31:0]};
  wire [63:0] by_0 = is_left ? {twice[0], twice[63:1]} : twice;
  wire [63:0] by_3 =
      rotate[1:0] == 2'd0 ? by_0 : rotate[1:0] == 2'd1 ? {by_0[0], by_0[63:1]}
      : rotate[1:0] == 2'd2 ? {by_0[1:0], by_0[63:2]} : {by_0[2:0], by_0[63:3]};
  wire [63:0] by_15 =
      rotate[3:2] == 2'd0 ? by_3 : rotate[3:2] == 2'd1 ? {by_3[3:0], by_3[63:4]}
      : rotate[3:2] == 2'd2 ? {by_3[7:0], by_3[63:8]} : {by_3[11:0], by_3[63:12]};
  wire [63:0] by_63 =
      rotate[5:4] == 2'd0 ? by_15 : rotate[5:4] == 2'd1 ? {by_15[15:0], by_15[63:16]}
      : rotate[5:4] == 2'd2 ? {by_15[31:0], by_15[63:32]} : {by_15[47:0], by_15[63:48]};

  // Which bits of the rotated number are the shifted one's.
  wire [5:0] distance = {b[5] && is_64, b[4:0]};
  wire [63:0] from;              // bit i: i >= distance
  wire [63:0] mask;
  genvar g;
  generate
    for (g = 0; g < 64; g = g + 1) begin : masks
      localparam [5:0] PLACE = g;
      // verilator lint_off CMPCONST
      assign from[g] = PLACE >= distance;
      // verilator lint_on CMPCONST
      assign mask[g] = is_left ? from[g] : is_64 ? from[63-g] : from[(95-g)%64];
    end
  endgenerate
  assign shifted = (by_63 & mask) | ({64{fill}} & ~mask);

  // Byte order.
  wire [63:0] turned = {
    a_now[7:0], a_now[15:8], a_now[23:16], a_now[31:24], a_now[39:32], a_now[47:40], a_now[55:48],
    a_now[63:56]
  };
  wire [63:0] swapped =
      swap_width[0] ? {48'd0, swap_always ? turned[63:48] : a_now[15:0]}
      : swap_width[1] ? {32'd0, swap_always ? turned[63:32] : a_now[31:0]}
      : swap_always ? turned : a_now;

  wire sign = extend[0] ? b_now[7] : extend[1] ? b_now[15] : b_now[31];
  wire [63:0] moved = {
    extend != 3'd0 ? {32{sign}} : b_now[63:32],
    extend[1:0] != 2'd0 ? {16{sign}} : b_now[31:16],
    extend[0] ? {8{sign}} : b_now[15:8],
    b_now[7:0]
  };

  always_comb
    case (operation)
      `ALU_OR: other = a_now | b_now;
      `ALU_AND: other = a_now & b_now;
      `ALU_XOR: other = a_now ^ b_now;
      `ALU_MOV: other = moved;
      default: other = swapped;
    endcase

  // Comparison in two halves, so that one serves both widths.
  wire low_equal = a_now[31:0] == b_now[31:0];
  wire high_equal = a_now[63:32] == b_now[63:32];
  wire low_less = a_now[31:0] < b_now[31:0];
  wire high_less = a_now[63:32] < b_now[63:32];
  wire equal = low_equal && (high_equal || !is_64);
  wire signs_differ =
      compare_signed && (is_64 ? a_now[63] != b_now[63] : a_now[31] != b_now[31]);
  wire less = (is_64 ? high_less || (high_equal && low_less) : low_less) != signs_differ;
  wire [63:0] both = a_now & b_now;
  wire any_bit = both[31:0] != 32'd0 || (is_64 && both[63:32] != 32'd0);
  assign holds =
      ((when_equal && equal) || (when_less && less) || (when_any && any_bit)) != otherwise;
endmodule
