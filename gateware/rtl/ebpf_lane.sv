// A core with its memories, its packet slots and its hBPF page. The mailbox hands in descriptors and
// takes completions.
`include "defs.svh"

module ebpf_lane #(
    parameter SLOT_BITS = 1,
    parameter FUNCTIONS = 1,
    parameter SLOTS = 1 << SLOT_BITS
) (
    input wire clk,
    input wire rst,
    input wire stall,             // freezes the core; for simulation

    input wire run,
    input wire hold,              // in reset
    input wire hbpf,              // obeys its page
    input wire in_order,
    input wire divide_faults,
    input wire [31:0] limit,
    input wire program_valid,
    input wire [12:0] program_rows,
    input wire program_upper,

    input wire push,
    input wire [SLOT_BITS-1:0] push_slot,
    input wire [10:0] push_length,
    input wire [31:0] push_cookie,
    input wire [7:0] push_number,
    output reg [SLOTS-1:0] slots_busy,

    output reg completion_valid,
    output reg [126:0] completion,
    input wire completion_taken,
    input wire [7:0] next_number,

    // The bus: what it asks for in one cycle, it gets in the next.
    input wire slot_en,
    input wire [SLOT_BITS-1:0] slot_number,
    input wire program_en,
    input wire page_en,
    input wire [12:0] bus_address,
    input wire [7:0] bus_we,
    input wire [63:0] bus_in,
    output wire [63:0] slot_out,
    output wire [63:0] program_out,
    output reg [31:0] page_out,   // one cycle later than the others
    input wire check_en,
    input wire [11:0] check_row,
    input wire [11:0] program_row,

    output wire idle,
    output wire running,
    output reg [31:0] packets,
    output reg [47:0] instructions,
    output reg [47:0] busy_cycles,
    output reg [31:0] faults,
    output reg [4:0] last_fault,
    output reg [12:0] last_fault_row,

    output wire trace_valid,
    output wire [12:0] trace_row,
    output wire trace_write,
    output wire [3:0] trace_index,
    output wire [63:0] trace_value,
    output wire trace_store,
    output wire [1:0] trace_size,
    output wire [63:0] trace_address,
    output wire [63:0] trace_stored
);
  localparam ROW_BITS = SLOT_BITS > 1 ? SLOT_BITS + 8 : 9;
  integer s;

  // ---- Slots -----------------------------------------------------------------------------------
  reg [SLOTS-1:0] finished;
  reg [31:0] cookies[0:SLOTS-1];
  reg [10:0] lengths[0:SLOTS-1];
  reg [7:0] numbers[0:SLOTS-1];
  reg [31:0] verdicts[0:SLOTS-1];
  reg [4:0] slot_faults[0:SLOTS-1];
  reg [12:0] fault_rows[0:SLOTS-1];
  reg [22:0] durations[0:SLOTS-1];

  // Those that wait, first come first served.
  reg [SLOT_BITS-1:0] waiting[0:SLOTS-1];
  reg [SLOT_BITS:0] waiting_count;
  reg [SLOT_BITS-1:0] current;

  wire core_idle, core_done, core_busy, core_retires;
  wire [31:0] core_result;
  wire [4:0] core_fault;
  wire [12:0] core_fault_row;
  wire [31:0] core_cycles;

  reg hbpf_control, hbpf_started, hbpf_halted;
  wire hbpf_starts = hbpf && hbpf_control && !hbpf_started && !hold;
  wire packet_starts =
      run && program_valid && !hold && !hbpf && core_idle && waiting_count != {SLOT_BITS + 1{1'b0}};
  wire cancels = hold || (hbpf && !hbpf_control);
  wire packet_done = core_done && !hbpf;

  always_ff @(posedge clk)
    if (rst || hold) begin
      waiting_count <= {SLOT_BITS + 1{1'b0}};
    end else begin
      if (packet_starts) begin
        current <= waiting[0];
        for (s = 0; s < SLOTS - 1; s = s + 1) waiting[s] <= waiting[s+1];
      end
      if (push) begin
        for (s = 0; s < SLOTS; s = s + 1)
          if (waiting_count - {{SLOT_BITS{1'b0}}, packet_starts} == s[SLOT_BITS:0])
            waiting[s] <= push_slot;
      end
      waiting_count <=
          waiting_count + {{SLOT_BITS{1'b0}}, push} - {{SLOT_BITS{1'b0}}, packet_starts};
    end

  wire [22:0] duration = core_cycles[31:23] != 9'd0 ? 23'h7fffff : core_cycles[22:0];
  always_ff @(posedge clk) begin
    if (push) begin
      cookies[push_slot] <= push_cookie;
      lengths[push_slot] <= push_length;
      numbers[push_slot] <= push_number;
    end
    for (s = 0; s < SLOTS; s = s + 1) begin
      if (rst) begin
        slots_busy[s] <= 1'b0;
        finished[s] <= 1'b0;
      end else if (push && push_slot == s[SLOT_BITS-1:0]) begin
        // In reset it ends at once: reset may be over in the next cycle.
        slots_busy[s] <= 1'b1;
        finished[s] <= hold;
        verdicts[s] <= 32'd0;
        slot_faults[s] <= `FAULT_RESET;
        fault_rows[s] <= 13'd0;
        durations[s] <= 23'd0;
      end else if (offers && chosen == s[SLOT_BITS-1:0]) begin
        slots_busy[s] <= 1'b0;
        finished[s] <= 1'b0;
      end else if (packet_done && current == s[SLOT_BITS-1:0] && !finished[s]) begin
        finished[s] <= 1'b1;
        verdicts[s] <= core_fault == `FAULT_NONE ? core_result : 32'd0;
        slot_faults[s] <= core_fault;
        fault_rows[s] <= core_fault == `FAULT_NONE ? 13'd0 : core_fault_row;
        durations[s] <= duration;
      end else if (hold && slots_busy[s] && !finished[s]) begin
        finished[s] <= 1'b1;
        verdicts[s] <= 32'd0;
        slot_faults[s] <= `FAULT_RESET;
        fault_rows[s] <= 13'd0;
        durations[s] <= 23'd0;
      end
    end
  end

  reg [SLOT_BITS-1:0] chosen;
  reg any;
  always_comb begin
    chosen = {SLOT_BITS{1'b0}};
    any = 1'b0;
    for (s = SLOTS - 1; s >= 0; s = s - 1)
      if (finished[s] && (!in_order || numbers[s] == next_number)) begin
        chosen = s[SLOT_BITS-1:0];
        any = 1'b1;
      end
  end
  // One waits in front of the ring; its slot is free from then on, but the driver does not know yet.
  wire offers = any && !completion_valid;
  always_ff @(posedge clk)
    if (rst) completion_valid <= 1'b0;
    else if (offers) begin
      completion_valid <= 1'b1;
      completion <= {
        durations[chosen], 3'd0, fault_rows[chosen], 3'd0, slot_faults[chosen], 5'd0,
        lengths[chosen], verdicts[chosen], cookies[chosen]
      };
    end else if (completion_taken) completion_valid <= 1'b0;

  // ---- The program of the packet that runs -----------------------------------------------------
  reg [12:0] rows_now;
  reg upper_now;
  always_ff @(posedge clk)
    if (packet_starts) begin
      rows_now <= program_rows;
      upper_now <= program_upper;
    end else if (hbpf_starts) begin
      rows_now <= 13'd512;
      upper_now <= 1'b0;
    end

  // ---- The core --------------------------------------------------------------------------------
  wire fetch_en, data_en;
  wire [11:0] fetch_row;
  wire [63:0] fetched, data_in, data_out_0, data_out_1;
  wire [7:0] data_we_0, data_we_1;
  wire [ROW_BITS-1:0] data_row_0, data_row_1;
  wire helper_argument, helper_ready, helper_known, helper_ends;
  wire [2:0] helper_number;
  wire [63:0] helper_value, helper_result;
  wire [31:0] helper_function;
  wire [63:0] register_out;

  wire page_register = page_en && !bus_address[12];
  wire page_program = page_en && bus_address[12] && !bus_address[11];
  wire page_data = page_en && bus_address[12] && bus_address[11];
  wire [7:0] page_offset = {bus_address[7:2], 2'b00};
  wire page_high = page_offset[2];
  wire [3:0] register_index = page_high ? page_offset[6:3] : page_offset[6:3] - 4'd1;
  wire page_we = bus_we != 8'd0;
  wire [31:0] page_in = bus_address[2] ? bus_in[63:32] : bus_in[31:0];
  wire in_registers = bus_address[11:8] == 4'd0;
  wire register_writable =
      page_register && in_registers && page_we && hbpf && !hbpf_control && page_offset >= 8'h0c
      && page_offset < 8'h34;

  ebpf_core #(
      .SLOT_BITS(SLOT_BITS), .ROW_BITS(ROW_BITS)
  ) core (
      .clk(clk), .rst(rst), .en(!stall), .cancel(cancels), .start(packet_starts || hbpf_starts),
      .hbpf(hbpf), .slot(hbpf ? {SLOT_BITS{1'b0}} : current), .length(lengths[current]),
      .program_rows(rows_now), .program_upper(hbpf ? 1'b0 : packet_starts ? program_upper : upper_now),
      .limit(limit), .divide_faults(divide_faults), .idle(core_idle), .done(core_done),
      .result(core_result), .fault(core_fault), .fault_row(core_fault_row), .cycles(core_cycles),
      .running(running), .busy(core_busy), .retires(core_retires), .program_en(fetch_en),
      .program_row(fetch_row), .program_data(fetched), .data_en(data_en), .data_we_0(data_we_0),
      .data_we_1(data_we_1), .data_row_0(data_row_0), .data_row_1(data_row_1),
      .data_in(data_in), .data_out_0(data_out_0), .data_out_1(data_out_1),
      .register_clear(hbpf && !hbpf_control),
      .register_we(register_writable ? {page_high, !page_high} : 2'b00),
      .register_index(register_index), .register_in({page_in, page_in}),
      .register_out(register_out), .helper_argument(helper_argument),
      .helper_number(helper_number), .helper_value(helper_value),
      .helper_function(helper_function), .helper_ready(helper_ready),
      .helper_known(helper_known), .helper_ends(helper_ends), .helper_result(helper_result),
      .trace_valid(trace_valid), .trace_row(trace_row), .trace_write(trace_write),
      .trace_index(trace_index), .trace_value(trace_value), .trace_store(trace_store),
      .trace_size(trace_size), .trace_address(trace_address), .trace_stored(trace_stored)
  );

  call_handler #(
      .FUNCTIONS(FUNCTIONS)
  ) helpers (
      .clk(clk), .argument(helper_argument), .number(helper_number), .value(helper_value),
      .called(helper_function), .ready(helper_ready), .known(helper_known), .ends(helper_ends),
      .result(helper_result)
  );

  assign idle = core_idle && !completion_valid && !packet_starts && waiting_count == {SLOT_BITS + 1{1'b0}};

  // ---- Memories --------------------------------------------------------------------------------
  reg [1:0] page_of_data;
  reg page_of_program;

  // Program memory: hBPF's words hold the bytes of the file with the first one on top.
  wire [11:0] outside_row =
      page_program ? {3'd0, page_of_program, bus_address[10:3]} : program_en ? program_row
      : check_row;
  wire [31:0] page_in_turned = {page_in[7:0], page_in[15:8], page_in[23:16], page_in[31:24]};
  wire [63:0] program_in = page_program ? {page_in_turned, page_in_turned} : bus_in;
  wire [1:0] program_we =
      page_program ? {page_we && bus_address[2], page_we && !bus_address[2]}
      : program_en ? {bus_we[4], bus_we[0]} : 2'b00;
  memory_rows program_memory (
      .clk(clk), .a_en(fetch_en), .a_row(fetch_row), .a_out(fetched),
      .b_en(page_program || program_en || check_en), .b_we(program_we), .b_row(outside_row),
      .b_in(program_in), .b_out(program_out)
  );

  // Data memory.
  wire [10:0] data_byte = page_data ? {page_of_data, bus_address[10:2]} : bus_address[10:0];
  wire [SLOT_BITS-1:0] data_slot =
      page_data || data_byte[10:9] == 2'b11 ? {SLOT_BITS{1'b0}} : slot_number;
  wire [ROW_BITS-1:0] data_row;
  generate
    if (ROW_BITS > SLOT_BITS + 8) begin : wide_rows
      assign data_row = {{ROW_BITS - SLOT_BITS - 7{1'b0}}, data_slot, data_byte[10:4]};
    end else begin : narrow_rows
      assign data_row = {1'b0, data_slot, data_byte[10:4]};
    end
  endgenerate
  wire [7:0] byte_we = 8'd1 << data_byte[2:0];
  wire [7:0] data_we = page_data ? (page_we ? byte_we : 8'd0) : bus_we;
  wire [63:0] outside_in = page_data ? {8{page_in[7:0]}} : bus_in;
  wire outside_en = page_data || slot_en;
  wire [63:0] outside_0, outside_1;
  reg odd;
  memory_bytes #(
      .BITS(ROW_BITS)
  ) even_bank (
      .clk(clk), .a_en(data_en), .a_we(data_we_0), .a_row(data_row_0), .a_in(data_in),
      .a_out(data_out_0), .b_en(outside_en && !data_byte[3]), .b_we(data_we), .b_row(data_row),
      .b_in(outside_in), .b_out(outside_0)
  );
  memory_bytes #(
      .BITS(ROW_BITS)
  ) odd_bank (
      .clk(clk), .a_en(data_en), .a_we(data_we_1), .a_row(data_row_1), .a_in(data_in),
      .a_out(data_out_1), .b_en(outside_en && data_byte[3]), .b_we(data_we), .b_row(data_row),
      .b_in(outside_in), .b_out(outside_1)
  );
  assign slot_out = odd ? outside_1 : outside_0;

  // ---- hBPF's page -----------------------------------------------------------------------------
  always_ff @(posedge clk)
    if (rst) begin
      hbpf_control <= 1'b0;
      hbpf_started <= 1'b0;
      hbpf_halted <= 1'b0;
      page_of_data <= 2'd0;
      page_of_program <= 1'b0;
    end else begin
      if (page_register && in_registers && page_we)
        case (page_offset)
          8'h64: hbpf_control <= page_in[0];
          8'h68: page_of_program <= page_in[0];
          8'h6c: page_of_data <= page_in[1:0];
          default: ;
        endcase
      if (!hbpf || !hbpf_control) begin
        hbpf_started <= 1'b0;
        hbpf_halted <= 1'b0;
      end else begin
        if (hbpf_starts && core_idle) hbpf_started <= 1'b1;
        if (core_done) hbpf_halted <= 1'b1;
      end
    end

  reg [31:0] page_register_out;
  wire hbpf_error = hbpf_halted && core_fault != `FAULT_NONE;
  always_comb
    case (page_offset)
      8'h00: page_register_out = {29'd0, hbpf_error, hbpf_halted, hbpf_control};
      8'h60: page_register_out = core_cycles;
      8'h64: page_register_out = {31'd0, hbpf_control};
      8'h68: page_register_out = {31'd0, page_of_program};
      8'h6c: page_register_out = {30'd0, page_of_data};
      8'h70: page_register_out = {3'd0, core_fault_row, 11'd0, core_fault};
      default:
      page_register_out =
          register_index > 4'd10 ? 32'd0 : page_high ? register_out[63:32] : register_out[31:0];
    endcase

  reg [31:0] register_read;
  reg read_program, read_data, half;
  reg [2:0] lane_byte;
  always_ff @(posedge clk) begin
    odd <= data_byte[3];
    register_read <= in_registers ? page_register_out : 32'd0;
    read_program <= page_program;
    read_data <= page_data;
    half <= bus_address[2];
    lane_byte <= data_byte[2:0];
  end
  wire [31:0] program_half = half ? program_out[63:32] : program_out[31:0];
  wire [7:0] data_read = slot_out[8*lane_byte+:8];
  always_ff @(posedge clk)
    page_out <=
        read_program ? {program_half[7:0], program_half[15:8], program_half[23:16],
                        program_half[31:24]}
        : read_data ? {24'd0, data_read} : register_read;

  // ---- Counters --------------------------------------------------------------------------------
  always_ff @(posedge clk)
    if (rst) begin
      packets <= 32'd0;
      instructions <= 48'd0;
      busy_cycles <= 48'd0;
      faults <= 32'd0;
      last_fault <= `FAULT_NONE;
      last_fault_row <= 13'd0;
    end else begin
      if (packet_done) packets <= packets + 32'd1;
      if (core_retires) instructions <= instructions + 48'd1;
      if (core_busy) busy_cycles <= busy_cycles + 48'd1;
      if (packet_done && core_fault != `FAULT_NONE) begin
        faults <= faults + 32'd1;
        last_fault <= core_fault;
        last_fault_row <= core_fault_row;
      end
    end
endmodule
