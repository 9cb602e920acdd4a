// The mailbox: registers, rings and the bus in front of the cores (docs/ebpf-registers.md).
//
// The bus takes a request each cycle and answers a read four cycles later, in order. Writes are
// posted.
`include "defs.svh"

module dpu_ebpf #(
    parameter CORES = 1,          // 1, 2, 4 or 8
    parameter SLOT_BITS = 1,      // two slots a core
    parameter FUNCTIONS = 1       // the call handler of the conformance tests
) (
    input wire clk,
    input wire rst,

    input wire bus_valid,
    input wire bus_write,
    input wire [17:0] bus_address,
    input wire [7:0] bus_enables,
    input wire [63:0] bus_data,
    output reg bus_answers,
    output reg [63:0] bus_answer,

    // Completions as they are written to the ring.
    output reg cpl_valid,
    output reg [7:0] cpl_index,
    output reg [127:0] cpl_data,

    // For simulation: freezes cores; what they retired.
    input wire [CORES-1:0] stall,
    output wire [CORES-1:0] trace_valid,
    output wire [13*CORES-1:0] trace_row,
    output wire [CORES-1:0] trace_write,
    output wire [4*CORES-1:0] trace_index,
    output wire [64*CORES-1:0] trace_value,
    output wire [CORES-1:0] trace_store,
    output wire [2*CORES-1:0] trace_size,
    output wire [64*CORES-1:0] trace_address,
    output wire [64*CORES-1:0] trace_stored
);
  localparam SLOTS = 1 << SLOT_BITS;
  localparam CORE_BITS = CORES > 4 ? 3 : CORES > 2 ? 2 : 1;
  integer i;
  genvar g;

  // ---- The bus, one cycle on -------------------------------------------------------------------
  reg q_valid, q_write;
  // verilator lint_off UNUSEDSIGNAL
  reg [17:0] q_address;
  reg [63:0] q_data;
  // verilator lint_on UNUSEDSIGNAL
  reg [7:0] q_enables;
  always_ff @(posedge clk) begin
    q_valid <= bus_valid && !rst;
    q_write <= bus_write;
    q_address <= bus_address;
    q_enables <= bus_write ? bus_enables : 8'd0;
    q_data <= bus_data;
  end
  wire writes = q_valid && q_write;
  wire at_registers = q_valid && q_address[17:12] == 6'h00;
  wire at_submit = q_valid && q_address[17:12] == 6'h01;
  wire at_program = q_valid && q_address[17:15] == 3'b001;
  wire at_slots = q_valid && q_address[17:16] == 2'b01;
  wire at_pages = q_valid && q_address[17:16] == 2'b10;
  wire [4:0] slot_at = q_address[15:11];
  wire [4:0] slot_lane = slot_at >> SLOT_BITS;
  wire [2:0] page_at = q_address[15:13];

  // ---- Registers -------------------------------------------------------------------------------
  reg control_run, control_reset, control_in_order, control_divide;
  reg [12:0] program_length;
  reg program_upper;
  reg [31:0] program_checksum, generation;
  reg [15:0] submit_tail, submit_head, completion_head, completion_tail;
  reg [31:0] limit;
  reg [7:0] enabled, held, obeying;
  reg [31:0] refused, ignored;
  reg [63:0] clock;

  reg active_valid, active_upper;
  reg [12:0] active_length;
  reg [31:0] active_generation;
  reg [1:0] program_state;
  reg [7:0] program_reason;
  localparam NONE = 2'd0, CHECKING = 2'd1, ACTIVE = 2'd2, REFUSED = 2'd3;

  wire reset = rst || control_reset;
  wire [11:0] at = {q_address[11:3], 3'b000};
  wire write_register = writes && at_registers;
  reg generation_written;
  wire [15:0] tail_distance = q_data[15:0] - submit_head;
  wire [15:0] head_distance = q_data[15:0] - completion_head;
  wire [15:0] outstanding = completion_tail - completion_head;

  always_ff @(posedge clk)
    if (rst) begin
      control_run <= 1'b0;
      control_reset <= 1'b0;
      control_in_order <= 1'b0;
      control_divide <= 1'b0;
    end else if (write_register && at == 12'h018)
      {control_divide, control_in_order, control_reset, control_run} <= q_data[3:0];

  always_ff @(posedge clk)
    if (reset) begin
      program_length <= 13'd0;
      program_upper <= 1'b0;
      program_checksum <= 32'd0;
      generation <= 32'd0;
      generation_written <= 1'b0;
      submit_tail <= 16'd0;
      completion_head <= 16'd0;
      limit <= 32'd1048576;
      enabled <= 8'hff;
      held <= 8'd0;
      obeying <= 8'd0;
      ignored <= 32'd0;
      clock <= 64'd0;
    end else begin
      clock <= clock + 64'd1;
      generation_written <= 1'b0;
      if (write_register)
        case (at)
          12'h030: {program_upper, program_length} <= {q_data[16], q_data[12:0]};
          12'h038: program_checksum <= q_data[31:0];
          12'h040: begin
            generation <= q_data[31:0];
            generation_written <= q_data[31:0] != generation;
          end
          12'h050:
          if (tail_distance <= 16'd256 && tail_distance >= submit_tail - submit_head)
            submit_tail <= q_data[15:0];
          else ignored <= ignored + 32'd1;
          12'h060:
          if (head_distance <= outstanding) completion_head <= q_data[15:0];
          else ignored <= ignored + 32'd1;
          12'h070: limit <= q_data[31:0];
          12'h078: enabled <= q_data[7:0];
          12'h080: held <= q_data[7:0];
          12'h088: obeying <= q_data[7:0];
          default: ;
        endcase
    end

  // ---- Lanes -----------------------------------------------------------------------------------
  wire push;
  wire [4:0] push_slot;
  wire [4:0] push_lane = push_slot >> SLOT_BITS;
  wire [10:0] push_length;
  wire [31:0] push_cookie;
  wire [SLOTS*CORES-1:0] busy;
  wire [CORES-1:0] has_completion, lane_idle, lane_running;
  wire [127*CORES-1:0] completions;
  wire [CORES-1:0] taken;
  wire [64*CORES-1:0] slot_outs, program_outs;
  wire [32*CORES-1:0] page_outs;
  wire [32*CORES-1:0] packets, faults, last_faults;
  wire [48*CORES-1:0] instructions, busy_cycles;
  reg check_reads;
  reg [2:0] check_core;
  reg [11:0] check_row;
  wire check_free = !at_program && !at_pages;

  generate
    for (g = 0; g < CORES; g = g + 1) begin : lanes
      localparam [2:0] NUMBER = g;
      wire [4:0] lane_fault;
      wire [12:0] lane_fault_row;
      ebpf_lane #(
          .SLOT_BITS(SLOT_BITS), .FUNCTIONS(FUNCTIONS)
      ) lane (
          .clk(clk), .rst(reset), .stall(stall[g]), .run(control_run && enabled[g]),
          .hold(held[g]), .hbpf(obeying[g]), .in_order(control_in_order),
          .divide_faults(control_divide), .limit(limit), .program_valid(active_valid),
          .program_rows(active_length), .program_upper(active_upper),
          .push(push && push_lane == {2'b00, NUMBER}),
          .push_slot(push_slot[SLOT_BITS-1:0]), .push_length(push_length),
          .push_cookie(push_cookie), .push_number(submit_head[7:0]),
          .slots_busy(busy[SLOTS*g+:SLOTS]), .completion_valid(has_completion[g]),
          .completion(completions[127*g+:127]), .completion_taken(taken[g]),
          .next_number(completion_tail[7:0]),
          .slot_en(at_slots && slot_lane == {2'b00, NUMBER}),
          .slot_number(slot_at[SLOT_BITS-1:0]), .program_en(at_program),
          .page_en(at_pages && page_at == NUMBER), .bus_address(q_address[12:0]),
          .bus_we(q_enables), .bus_in(q_data), .slot_out(slot_outs[64*g+:64]),
          .program_out(program_outs[64*g+:64]), .page_out(page_outs[32*g+:32]),
          .check_en(check_reads && check_free && check_core == NUMBER), .check_row(check_row),
          .program_row(q_address[14:3]), .idle(lane_idle[g]), .running(lane_running[g]),
          .packets(packets[32*g+:32]), .instructions(instructions[48*g+:48]),
          .busy_cycles(busy_cycles[48*g+:48]), .faults(faults[32*g+:32]),
          .last_fault(lane_fault), .last_fault_row(lane_fault_row),
          .trace_valid(trace_valid[g]), .trace_row(trace_row[13*g+:13]),
          .trace_write(trace_write[g]), .trace_index(trace_index[4*g+:4]),
          .trace_value(trace_value[64*g+:64]), .trace_store(trace_store[g]),
          .trace_size(trace_size[2*g+:2]), .trace_address(trace_address[64*g+:64]),
          .trace_stored(trace_stored[64*g+:64])
      );
      assign last_faults[32*g+:32] = {3'd0, lane_fault_row, 11'd0, lane_fault};
    end
  endgenerate

  // ---- The check of a program ------------------------------------------------------------------
  // Every core's copy, a byte a cycle, beside everything else.
  function [31:0] crc_byte(input [31:0] sum, input [7:0] value);
    integer k;
    begin
      crc_byte = sum ^ {24'd0, value};
      for (k = 0; k < 8; k = k + 1)
        crc_byte = {1'b0, crc_byte[31:1]} ^ (crc_byte[0] ? 32'hedb88320 : 32'd0);
    end
  endfunction

  reg check_arrives;
  reg [3:0] check_bytes;
  reg [63:0] check_data;
  reg [31:0] check_sum;
  reg [12:0] check_left;
  wire [12:0] rows_max = program_upper ? 13'd2048 : 13'd4096;

  always_ff @(posedge clk)
    if (reset) begin
      program_state <= NONE;
      program_reason <= 8'd0;
      active_valid <= 1'b0;
      active_upper <= 1'b0;
      active_length <= 13'd0;
      active_generation <= 32'd0;
      check_reads <= 1'b0;
      check_arrives <= 1'b0;
      check_bytes <= 4'd0;
    end else if (generation_written) begin
      check_core <= 3'd0;
      check_row <= {program_upper, 11'd0};
      check_left <= program_length;
      check_sum <= 32'hffffffff;
      check_arrives <= 1'b0;
      check_bytes <= 4'd0;
      if (program_length == 13'd0 || program_length > rows_max) begin
        program_state <= REFUSED;
        program_reason <= 8'd1;
        check_reads <= 1'b0;
      end else begin
        program_state <= CHECKING;
        program_reason <= 8'd0;
        check_reads <= 1'b1;
      end
    end else begin
      if (check_reads && check_free) begin
        check_reads <= 1'b0;
        check_arrives <= 1'b1;
      end
      if (check_arrives) begin
        check_arrives <= 1'b0;
        check_data <= program_outs[64*check_core[CORE_BITS-1:0]+:64];
        check_bytes <= 4'd8;
      end
      if (check_bytes != 4'd0) begin
        check_sum <= crc_byte(check_sum, check_data[7:0]);
        check_data <= {8'd0, check_data[63:8]};
        check_bytes <= check_bytes - 4'd1;
        if (check_bytes == 4'd1) begin
          check_left <= check_left - 13'd1;
          check_row <= check_row + 12'd1;
          check_reads <= check_left != 13'd1;
        end
      end else if (program_state == CHECKING && check_left == 13'd0) begin
        if (~check_sum != program_checksum) begin
          program_state <= REFUSED;
          program_reason <= 8'd2;
        end else if ({29'd0, check_core} != CORES - 1) begin
          check_core <= check_core + 3'd1;
          check_row <= {program_upper, 11'd0};
          check_left <= program_length;
          check_sum <= 32'hffffffff;
          check_reads <= 1'b1;
        end else begin
          program_state <= ACTIVE;
          active_valid <= 1'b1;
          active_upper <= program_upper;
          active_length <= program_length;
          active_generation <= generation;
        end
      end
    end

  // ---- Descriptors -----------------------------------------------------------------------------
  wire [63:0] descriptor;
  memory_ring submit_ring (
      .clk(clk), .we(at_submit && writes && q_enables[0] ? {q_address[3], !q_address[3]} : 2'b00),
      .write_row(q_address[11:4]), .in({q_data[31:0], q_data[31:0]}),
      .read_row(submit_head[7:0]), .out(descriptor)
  );

  reg descriptor_read, wanted;
  reg [15:0] wanted_slot, wanted_length;
  reg [31:0] wanted_cookie;
  reg refusal_valid;
  reg [31:0] refusal_cookie;
  reg [15:0] refusal_length;
  reg [4:0] refusal_fault;
  reg [7:0] refusal_number;
  wire no_such = {16'd0, wanted_slot} >= SLOTS * CORES || wanted_length > 16'd1536;
  wire [31:0] busy_wide = {{32 - SLOTS * CORES{1'b0}}, busy};
  wire [2:0] wanted_core = wanted_slot[SLOT_BITS+:3];
  wire [4:0] refusal =
      no_such ? `FAULT_DESCRIPTOR
      : busy_wide[wanted_slot[4:0]] ? `FAULT_BUSY
      : !active_valid || obeying[wanted_core] ? `FAULT_PROGRAM : `FAULT_NONE;
  wire decides = wanted && !(refusal != `FAULT_NONE && refusal_valid);
  assign push = decides && refusal == `FAULT_NONE;
  assign push_slot = wanted_slot[4:0];
  assign push_length = wanted_length[10:0];
  assign push_cookie = wanted_cookie;
  wire refusal_taken;

  always_ff @(posedge clk)
    if (reset) begin
      submit_head <= 16'd0;
      descriptor_read <= 1'b0;
      wanted <= 1'b0;
      refusal_valid <= 1'b0;
      refused <= 32'd0;
    end else begin
      if (refusal_taken) refusal_valid <= 1'b0;
      if (descriptor_read) begin
        descriptor_read <= 1'b0;
        wanted <= 1'b1;
        {wanted_length, wanted_slot, wanted_cookie} <= descriptor;
      end
      if (decides) begin
        wanted <= 1'b0;
        submit_head <= submit_head + 16'd1;
        if (!push) begin
          refused <= refused + 32'd1;
          refusal_valid <= 1'b1;
          refusal_cookie <= wanted_cookie;
          refusal_length <= wanted_length;
          refusal_fault <= refusal;
          refusal_number <= submit_head[7:0];
        end
      end else if (control_run && !descriptor_read && !wanted && submit_head != submit_tail)
        descriptor_read <= 1'b1;
    end

  // ---- Completions -----------------------------------------------------------------------------
  // A reset clears the ring, from its front, so that no phase of before is left.
  reg [8:0] clear_row;
  reg was_reset;
  always_ff @(posedge clk) begin
    was_reset <= reset;
    if (reset && !was_reset) clear_row <= 9'd0;
    else if (!clear_row[8]) clear_row <= clear_row + 9'd1;
  end

  // In turns: the lanes, then what was refused.
  wire refusal_ready = refusal_valid && (!control_in_order || refusal_number == completion_tail[7:0]);
  wire [CORES:0] offers = {refusal_ready, has_completion};
  reg [CORES:0] later;        // those after the one that was served last
  wire [CORES:0] preferred = offers & later;
  wire [CORES:0] among = preferred != 0 ? preferred : offers;
  wire [CORES:0] served = among & (~among + 1'b1);
  wire room = outstanding < 16'd256 && clear_row[8];
  wire serves = room && offers != 0;
  assign taken = serves ? served[CORES-1:0] : {CORES{1'b0}};
  assign refusal_taken = serves && served[CORES];

  reg [126:0] offered;
  always_comb begin
    offered = {
      23'd0, 16'd0, 3'd0, refusal_fault, refusal_length, 32'd0, refusal_cookie
    };
    for (i = 0; i < CORES; i = i + 1) if (served[i]) offered = completions[127*i+:127];
  end

  always_ff @(posedge clk)
    if (reset) begin
      completion_tail <= 16'd0;
      cpl_valid <= 1'b0;
      later <= {CORES + 1{1'b1}};
    end else begin
      cpl_valid <= serves;
      if (serves) begin
        completion_tail <= completion_tail + 16'd1;
        cpl_index <= completion_tail[7:0];
        cpl_data <= {!completion_tail[8], offered};
        later <= ~(served | (served - 1'b1));
      end
    end

  wire [127:0] completion_out;
  memory_ring #(
      .HALF(64)
  ) completion_ring (
      .clk(clk), .we({2{cpl_valid || !clear_row[8]}}),
      .write_row(clear_row[8] ? cpl_index : clear_row[7:0]),
      .in(clear_row[8] ? cpl_data : 128'd0), .read_row(q_address[11:4]), .out(completion_out)
  );

  // ---- Reads -----------------------------------------------------------------------------------
  wire [15:0] instruction_set = 16'b0000_1111_1111_1111;
  wire [7:0] running_wide = {{8 - CORES{1'b0}}, lane_running};
  wire all_idle =
      clear_row[8] && (&(lane_idle | obeying[CORES-1:0])) && busy == 0 && submit_head == submit_tail
      && !refusal_valid;
  wire [3:0] counter_core = q_address[9:6] - 4'd4;
  wire [CORE_BITS-1:0] counter_at = counter_core[CORE_BITS-1:0];

  reg [63:0] register_value;
  always_comb
    if (at >= 12'h100) begin
      register_value = 64'd0;
      if (at < 12'h300 && {28'd0, counter_core} < CORES)
        case (q_address[5:3])
          3'd0: register_value = {32'd0, packets[32*counter_at+:32]};
          3'd1: register_value = {16'd0, instructions[48*counter_at+:48]};
          3'd2: register_value = {16'd0, busy_cycles[48*counter_at+:48]};
          3'd3: register_value = {32'd0, faults[32*counter_at+:32]};
          3'd4: register_value = {32'd0, last_faults[32*counter_at+:32]};
          default: ;
        endcase
    end else
      case (at)
        12'h000: register_value = 64'h3146_5042_4555_5044;  // "DPUEBPF1"
        12'h008: register_value = 64'h0000_0000_0001_0000;
        12'h010:
        register_value = {instruction_set, 8'd0, 8'd8, 16'd4096, SLOTS[7:0], CORES[7:0]};
        12'h018:
        register_value = {60'd0, control_divide, control_in_order, control_reset, control_run};
        12'h020:
        register_value = {
          32'd0, held, running_wide, program_reason, 4'd0,
          generation_written ? CHECKING : program_state, 1'b0, all_idle
        };
        12'h028: register_value = {8'd0, 8'd8, 16'd512, 16'd512, 16'd1536};
        12'h030: register_value = {47'd0, program_upper, 3'd0, program_length};
        12'h038: register_value = {32'd0, program_checksum};
        12'h040: register_value = {32'd0, generation};
        12'h048: register_value = {32'd0, active_generation};
        12'h050: register_value = {48'd0, submit_tail};
        12'h058: register_value = {48'd0, submit_head};
        12'h060: register_value = {48'd0, completion_head};
        12'h068: register_value = {48'd0, completion_tail};
        12'h070: register_value = {32'd0, limit};
        12'h078: register_value = {56'd0, enabled};
        12'h080: register_value = {56'd0, held};
        12'h088: register_value = {56'd0, obeying};
        12'h090: register_value = {32'd0, busy_wide};
        12'h098: register_value = {ignored, refused};
        12'h0a0: register_value = clock;
        default: register_value = 64'd0;
      endcase

  reg r_valid, r_registers, r_completion, r_program, r_slots, r_pages, r_upper;
  reg [63:0] r_register;
  reg [CORE_BITS-1:0] r_lane, r_page;
  always_ff @(posedge clk) begin
    r_valid <= q_valid && !q_write;
    r_registers <= at_registers;
    r_completion <= q_address[17:12] == 6'h02;
    r_program <= at_program;
    r_slots <= at_slots && {27'd0, slot_lane} < CORES;
    r_pages <= at_pages && {29'd0, page_at} < CORES;
    r_upper <= q_address[3];
    r_register <= register_value;
    r_lane <= slot_lane[CORE_BITS-1:0];
    r_page <= page_at[CORE_BITS-1:0];
  end

  reg r2_valid, r2_pages;
  reg [CORE_BITS-1:0] r2_page;
  reg [63:0] r2_value;
  wire [31:0] page_out = page_outs[32*r2_page+:32];
  always_ff @(posedge clk) begin
    r2_valid <= r_valid && !rst;
    r2_pages <= r_pages;
    r2_page <= r_page;
    r2_value <=
        r_registers ? r_register
        : r_completion ? (r_upper ? completion_out[127:64] : completion_out[63:0])
        : r_program ? program_outs[63:0]
        : r_slots ? slot_outs[64*r_lane+:64] : 64'd0;
    bus_answers <= r2_valid && !rst;
    bus_answer <= r2_pages ? {page_out, page_out} : r2_value;
  end
endmodule
