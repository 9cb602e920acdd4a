// One port that reads, one that reads and writes halves.
// Reading a row in the cycle in which the other port writes it gives either value; nobody relies on
// it.
module memory_rows #(
    parameter BITS = 12
) (
    input wire clk,
    input wire a_en,
    input wire [BITS-1:0] a_row,
    output reg [63:0] a_out,
    input wire b_en,
    input wire [1:0] b_we,
    input wire [BITS-1:0] b_row,
    input wire [63:0] b_in,
    output reg [63:0] b_out
);
  (* no_rw_check, ram_style = "block", syn_ramstyle = "block_ram" *)
  reg [63:0] rows[0:(1<<BITS)-1];

  always_ff @(posedge clk) if (a_en) a_out <= rows[a_row];

  always_ff @(posedge clk)
    if (b_en) begin
      if (b_we[0]) rows[b_row][31:0] <= b_in[31:0];
      if (b_we[1]) rows[b_row][63:32] <= b_in[63:32];
      b_out <= rows[b_row];
    end
endmodule
