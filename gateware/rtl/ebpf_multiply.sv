// The low 64 bits of a product, in three cycles: ten 16 x 16 products, as every FPGA's multipliers
// take them, then two steps of addition.
module ebpf_multiply (
    input wire clk,
    input wire en,
    input wire [63:0] a,
    input wire [63:0] b,
    output wire [63:0] product  // of the operands two cycles ago
);
  reg [31:0] p00, p01, p10, p02, p11, p20;
  reg [15:0] p03, p12, p21, p30;
  reg [63:0] outer;
  reg [32:0] middle;


  wire [15:0] a0 = a[15:0], a1 = a[31:16], a2 = a[47:32], a3 = a[63:48];
  wire [15:0] b0 = b[15:0], b1 = b[31:16], b2 = b[47:32], b3 = b[63:48];

  always_ff @(posedge clk)
    if (en) begin
      p00 <= {16'd0, a0} * {16'd0, b0};
      p01 <= {16'd0, a0} * {16'd0, b1};
      p10 <= {16'd0, a1} * {16'd0, b0};
      p02 <= {16'd0, a0} * {16'd0, b2};
      p11 <= {16'd0, a1} * {16'd0, b1};
      p20 <= {16'd0, a2} * {16'd0, b0};
      p03 <= a0 * b3;
      p12 <= a1 * b2;
      p21 <= a2 * b1;
      p30 <= a3 * b0;
      outer[31:0] <= p00;
      outer[63:32] <= (p02 + p11) + (p20 + {(p03 + p12) + (p21 + p30), 16'd0});
      middle <= {1'b0, p01} + {1'b0, p10};
    end

  assign product = {outer[63:16] + {15'd0, middle}, outer[15:0]};
endmodule
