// The helper functions that programs may call: none on the packet path. With `FUNCTIONS` the two
// that the public conformance tests use: 0 gathers the low bytes of r1 to r5, 5 returns r1 and ends
// the program when that is zero.
module call_handler #(
    parameter FUNCTIONS = 1
) (
    input wire clk,
    input wire argument,          // one a cycle, numbers 1 to 5; then `ready` and the answer stand
    input wire [2:0] number,
    input wire [63:0] value,
    input wire [31:0] called,
    output wire ready,
    output wire known,
    output wire ends,
    output wire [63:0] result
);
  generate
    if (FUNCTIONS != 0) begin : some
      reg [39:0] gathered;
      reg [63:0] first;
      reg all;
      always_ff @(posedge clk) begin
        if (argument) begin
          all <= number == 3'd5;
          gathered <= {gathered[31:0], value[7:0]};
          if (number == 3'd1) first <= value;
        end
      end
      assign ready = all;
      assign known = called == 32'd0 || called == 32'd5;
      assign ends = called == 32'd5 && first == 64'd0;
      assign result = called == 32'd0 ? {24'd0, gathered} : first;
    end else begin : none
      // verilator lint_off UNUSEDSIGNAL
      wire unused = &{clk, argument, number, value, called};
      // verilator lint_on UNUSEDSIGNAL
      assign ready = 1'b1;
      assign known = 1'b0;
      assign ends = 1'b0;
      assign result = 64'd0;
    end
  endgenerate
endmodule
