// What is put through synthesis: the mailbox without the ports that only simulation uses.
module synth_top #(
    parameter CORES = 1,
    parameter FUNCTIONS = 0
) (
    input wire clk,
    input wire rst,
    input wire bus_valid,
    input wire bus_write,
    input wire [17:0] bus_address,
    input wire [7:0] bus_enables,
    input wire [63:0] bus_data,
    output wire bus_answers,
    output wire [63:0] bus_answer
);
  dpu_ebpf #(
      .CORES(CORES), .FUNCTIONS(FUNCTIONS)
  ) mailbox (
      .clk(clk), .rst(rst), .bus_valid(bus_valid), .bus_write(bus_write),
      .bus_address(bus_address), .bus_enables(bus_enables), .bus_data(bus_data),
      .bus_answers(bus_answers), .bus_answer(bus_answer), .stall({CORES{1'b0}})
  );
endmodule
