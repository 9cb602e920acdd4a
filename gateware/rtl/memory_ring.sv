// One port writes halves, one reads.
// Reading a row in the cycle in which the other port writes it gives either value; nobody relies on
// it.
module memory_ring #(
    parameter BITS = 8,
    parameter HALF = 32
) (
    input wire clk,
    input wire [1:0] we,
    input wire [BITS-1:0] write_row,
    input wire [2*HALF-1:0] in,
    input wire [BITS-1:0] read_row,
    output reg [2*HALF-1:0] out
);
  (* no_rw_check, ram_style = "block", syn_ramstyle = "block_ram" *)
  reg [2*HALF-1:0] rows[0:(1<<BITS)-1];

  always_ff @(posedge clk) begin
    if (we[0]) rows[write_row][HALF-1:0] <= in[HALF-1:0];
    if (we[1]) rows[write_row][2*HALF-1:HALF] <= in[2*HALF-1:HALF];
    out <= rows[read_row];
  end
endmodule
