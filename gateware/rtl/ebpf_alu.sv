// What takes one cycle: sums, logic, moves, shifts, byte swaps, and the comparison of a branch.
`include "defs.svh"

module ebpf_alu (
    input wire [3:0] operation,
    input wire is_64,
    input wire [63:0] a,
    input wire [63:0] b,
    input wire [2:0] extend,       // a move extends the sign of 8, 16 or 32 bits
    input wire swap_always,        // an unconditional byte swap, or to big endian
    output wire [63:0] result,

    input wire [3:0] condition,
    input wire compare_64,
    output reg holds
);
  // Sums. A negation comes with b = 0.
  wire negate = operation == `ALU_NEG;
  wire subtract = operation == `ALU_SUB;
  wire [63:0] sum =
      (a ^ {64{negate}}) + (b ^ {64{subtract}}) + {63'd0, negate || subtract};

  // Shifts go right; a shift to the left is one of the mirrored number.
  wire left = operation == `ALU_LSH;
  wire fill = operation == `ALU_ARSH && (is_64 ? a[63] : a[31]);
  wire [63:0] straight = {is_64 ? a[63:32] : {32{fill}}, a[31:0]};
  wire [63:0] mirrored;
  wire [63:0] shift_in = left ? mirrored : straight;
  wire [5:0] count = {b[5] && is_64, b[4:0]};
  wire [63:0] by_1 = count[0] ? {fill, shift_in[63:1]} : shift_in;
  wire [63:0] by_2 = count[1] ? {{2{fill}}, by_1[63:2]} : by_1;
  wire [63:0] by_4 = count[2] ? {{4{fill}}, by_2[63:4]} : by_2;
  wire [63:0] by_8 = count[3] ? {{8{fill}}, by_4[63:8]} : by_4;
  wire [63:0] by_16 = count[4] ? {{16{fill}}, by_8[63:16]} : by_8;
  wire [63:0] by_32 = count[5] ? {{32{fill}}, by_16[63:32]} : by_16;
  wire [63:0] by_32_mirrored;
  wire [63:0] shifted = left ? by_32_mirrored : by_32;

  genvar g;
  generate
    for (g = 0; g < 64; g = g + 1) begin : mirror
      assign mirrored[g] = straight[63-g];
      assign by_32_mirrored[g] = by_32[63-g];
    end
  endgenerate

  // Byte order: b is the number of bits.
  wire [63:0] turned = {
    a[7:0], a[15:8], a[23:16], a[31:24], a[39:32], a[47:40], a[55:48], a[63:56]
  };
  wire [63:0] swapped =
      b[4] ? {48'd0, swap_always ? turned[63:48] : a[15:0]}
      : b[5] ? {32'd0, swap_always ? turned[63:32] : a[31:0]}
      : swap_always ? turned : a;

  wire sign = extend[0] ? b[7] : extend[1] ? b[15] : b[31];
  wire [63:0] moved = {
    extend != 3'd0 ? {32{sign}} : b[63:32],
    extend[1:0] != 2'd0 ? {16{sign}} : b[31:16],
    extend[0] ? {8{sign}} : b[15:8],
    b[7:0]
  };

  reg [63:0] value;
  always_comb
    case (operation)
      `ALU_OR: value = a | b;
      `ALU_AND: value = a & b;
      `ALU_XOR: value = a ^ b;
      `ALU_MOV: value = moved;
      `ALU_LSH, `ALU_RSH, `ALU_ARSH: value = shifted;
      `ALU_END: value = swapped;
      default: value = sum;
    endcase
  // A swap's result is wide in either class.
  assign result = {is_64 || operation == `ALU_END ? value[63:32] : 32'd0, value[31:0]};

  // Comparison in two halves, so that one serves both widths.
  wire low_equal = a[31:0] == b[31:0];
  wire high_equal = a[63:32] == b[63:32];
  wire low_less = a[31:0] < b[31:0];
  wire high_less = a[63:32] < b[63:32];
  wire equal = low_equal && (high_equal || !compare_64);
  wire less = compare_64 ? high_less || (high_equal && low_less) : low_less;
  wire signs_differ = compare_64 ? a[63] != b[63] : a[31] != b[31];
  wire less_signed = less != signs_differ;
  wire any_bit = (a[31:0] & b[31:0]) != 32'd0 || (compare_64 && (a[63:32] & b[63:32]) != 32'd0);

  always_comb
    case (condition)
      4'h1: holds = equal;
      4'h2: holds = !less && !equal;
      4'h3: holds = !less;
      4'h4: holds = any_bit;
      4'h5: holds = !equal;
      4'h6: holds = !less_signed && !equal;
      4'h7: holds = !less_signed;
      4'ha: holds = less;
      4'hb: holds = less || equal;
      4'hc: holds = less_signed;
      default: holds = less_signed || equal;
    endcase
endmodule
