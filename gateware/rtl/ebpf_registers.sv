// r0 to r9: one write port, three read ports, each its own copy in distributed memory. A register
// that has not been written since the start reads as zero, so a start takes one cycle.
module ebpf_registers (
    input wire clk,
    input wire rst,
    input wire clear,             // forget what `keep` does not name
    input wire [9:0] keep,
    input wire we,
    input wire [1:0] half_we,     // from outside, while nothing else writes
    input wire [3:0] half_index,
    input wire [3:0] write_index,
    input wire [63:0] in,         // with only one half, the other is zero
    input wire [3:0] a_index,
    output wire [63:0] a,
    input wire [3:0] b_index,
    output wire [63:0] b,
    input wire [3:0] c_index,
    output wire [63:0] c
);
  (* ram_style = "distributed" *) reg [31:0] a_low[0:15];
  (* ram_style = "distributed" *) reg [31:0] a_high[0:15];
  (* ram_style = "distributed" *) reg [31:0] b_low[0:15];
  (* ram_style = "distributed" *) reg [31:0] b_high[0:15];
  (* ram_style = "distributed" *) reg [31:0] c_low[0:15];
  (* ram_style = "distributed" *) reg [31:0] c_high[0:15];
  reg [15:0] written;

  // The first write of one half clears the other.
  wire first = !written[half_index];
  wire low = we || half_we[0] || (half_we[1] && first);
  wire high = we || half_we[1] || (half_we[0] && first);

  always_ff @(posedge clk) begin
    if (low) begin
      a_low[write_index] <= in[31:0];
      b_low[write_index] <= in[31:0];
      c_low[write_index] <= in[31:0];
    end
    if (high) begin
      a_high[write_index] <= in[63:32];
      b_high[write_index] <= in[63:32];
      c_high[write_index] <= in[63:32];
    end
  end

  wire [15:0] kept = rst ? 16'd0 : clear ? written & {6'd0, keep} : written;
  always_ff @(posedge clk)
    written <= kept | (((we || half_we != 2'b00) && !rst) ? 16'd1 << write_index : 16'd0);

  assign a = written[a_index] ? {a_high[a_index], a_low[a_index]} : 64'd0;
  assign b = written[b_index] ? {b_high[b_index], b_low[b_index]} : 64'd0;
  assign c = written[c_index] ? {c_high[c_index], c_low[c_index]} : 64'd0;
endmodule
