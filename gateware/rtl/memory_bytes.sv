// Two ports that read and write, 64 bits with byte enables.
// Reading a row in the cycle in which the other port writes it gives either value; nobody relies on
// it.
module memory_bytes #(
    parameter BITS = 9
) (
    input wire clk,
    input wire a_en,
    input wire [7:0] a_we,
    input wire [BITS-1:0] a_row,
    input wire [63:0] a_in,
    output reg [63:0] a_out,
    input wire b_en,
    input wire [7:0] b_we,
    input wire [BITS-1:0] b_row,
    input wire [63:0] b_in,
    output reg [63:0] b_out
);
  (* no_rw_check, ram_style = "block", syn_ramstyle = "block_ram" *)
  reg [63:0] rows[0:(1<<BITS)-1];
  integer i, j;

  always_ff @(posedge clk)
    if (a_en) begin
      for (i = 0; i < 8; i = i + 1) if (a_we[i]) rows[a_row][8*i+:8] <= a_in[8*i+:8];
      a_out <= rows[a_row];
    end

  always_ff @(posedge clk)
    if (b_en) begin
      for (j = 0; j < 8; j = j + 1) if (b_we[j]) rows[b_row][8*j+:8] <= b_in[8*j+:8];
      b_out <= rows[b_row];
    end
endmodule
