// One eBPF core in six stages: fetch (two of them, as block memory is slow), decode, execute,
// memory, write; in order, one instruction a cycle. Results are bypassed to decode, that of a load
// from the last stage only. A taken branch costs two cycles more, an unconditional jump one, the use
// of a load's result right after it two, or one if a branch, move or logical operation uses it, and
// the use in the instruction after that one or none.
//
// Execute is where an instruction becomes final: faults are found there, stores happen there, and
// nothing behind it can fail.
`include "defs.svh"

module ebpf_core #(
    parameter SLOT_BITS = 1,
    // Rows of one bank of data memory: 128 for each slot, 256 of stack.
    parameter ROW_BITS = SLOT_BITS > 1 ? SLOT_BITS + 8 : 9
) (
    input wire clk,
    input wire rst,
    input wire en,                   // 0 freezes the core
    input wire cancel,                // ends the program, without `done`

    // Start: only when `idle`. What stands here must stay until the end.
    input wire start,
    input wire hbpf,                 // r1 to r5 as they are, no instruction limit
    input wire [SLOT_BITS-1:0] slot,
    input wire [10:0] length,
    input wire [12:0] program_rows,
    input wire program_upper,        // first row is 2,048
    input wire [31:0] limit,
    input wire divide_faults,
    output wire idle,

    // The end: `done` for one cycle, the rest until the next start.
    output reg done,
    output reg [31:0] result,
    output reg [4:0] fault,
    output reg [12:0] fault_row,
    output reg [31:0] cycles,
    output wire running,
    output wire busy,
    output wire retires,

    output wire program_en,
    output wire [11:0] program_row,
    input wire [63:0] program_data,

    output wire data_en,
    output wire [7:0] data_we_0,
    output wire [7:0] data_we_1,
    output wire [ROW_BITS-1:0] data_row_0,
    output wire [ROW_BITS-1:0] data_row_1,
    output wire [63:0] data_in,
    input wire [63:0] data_out_0,
    input wire [63:0] data_out_1,

    // Registers from outside, while not running.
    input wire register_clear,       // forget r0 and r6 to r9
    input wire [1:0] register_we,
    input wire [3:0] register_index,
    input wire [63:0] register_in,
    output wire [63:0] register_out,

    // Helper functions: five arguments, one a cycle, then an answer.
    output wire helper_argument,
    output wire [2:0] helper_number,
    output wire [63:0] helper_value,
    output wire [31:0] helper_function,
    input wire helper_ready,
    input wire helper_known,
    input wire helper_ends,
    input wire [63:0] helper_result,

    // What retired, one cycle after execute: for co-simulation.
    output wire trace_valid,
    output reg [12:0] trace_row,
    output wire trace_write,
    output wire [3:0] trace_index,
    output wire [63:0] trace_value,
    output reg trace_store,
    output reg [1:0] trace_size,
    output reg [63:0] trace_address,
    output reg [63:0] trace_stored
);
  // ---- Execute: registers in front of it -------------------------------------------------------
  reg active;  // a program runs
  reg ex_valid;
  reg [12:0] ex_row;
  reg [4:0] ex_fault;
  reg ex_bad;       // there is one
  reg [63:0] ex_a, ex_b;
  reg ex_a_late, ex_b_late;         // the operand is a load's result, which arrives only now
  reg [15:0] ex_offset;
  reg [15:0] ex_offset_last;        // of the last byte that is accessed
  reg [3:0] ex_operation;
  reg ex_left;                     // shifts to the left
  reg [5:0] ex_count;              // by how much to rotate to the right, for a shift
  reg [1:0] ex_swap_width;
  // Where the result comes from: [0] a sum, [1] a shift, [2] what else takes one cycle, [3] what
  // takes several; its upper half from nowhere if it is narrow.
  reg [3:0] ex_pick, ex_pick_high;
  localparam [3:0] SUM = 4'd1, SHIFT = 4'd2, OTHER = 4'd4, SLOW = 4'd8;
  reg ex_when_equal, ex_when_less, ex_when_any, ex_compare_signed, ex_otherwise;
  reg [1:0] ex_size;
  reg ex_64, ex_swap_always, ex_by_register;
  reg ex_load, ex_load_signed, ex_returns, ex_store, ex_atomic, ex_branch, ex_call, ex_helper, ex_exit;
  reg ex_multiply, ex_divide;
  reg [3:0] ex_atomic_operation;
  reg ex_writes;
  reg [3:0] ex_index;
  reg [11:0] ex_target;
  reg ex_target_bad;
  reg [3:0] step;  // of an instruction that takes several cycles
  // The instruction before the one in execute has faulted: the program ends, and nothing more
  // happens. The cycle between keeps the search for faults out of everything that must be fast.
  wire dying;
  reg trace_now;   // the instruction in memory retired

  // ---- Memory: registers in front of it --------------------------------------------------------
  reg m_writes, m_load;
  reg [3:0] m_index;
  reg [15:0] m_place;  // one bit: where in the two banks a load begins
  reg [1:0] m_size;
  reg [63:0] m_result;

  // ---- Write: registers in front of it ---------------------------------------------------------
  reg w_writes;
  reg [3:0] w_index;
  reg [63:0] w_value;

  reg [3:0] frames_left;  // this function's included
  wire [63:0] stack_top = {32'h0000_7fff, 19'd0, frames_left, 9'd0};
  reg limit_reached;
  reg [31:0] limit_left;

  wire ex_done;
  wire ex_taken;
  wire ex_ends;
  wire ex_faults;
  wire [63:0] alu_sum, alu_shifted, alu_other;
  wire [63:0] ex_soon;    // the result, or zero if it is a sum or a shift
  wire [63:0] ex_result;
  wire [63:0] m_value, there, m_taken;

  genvar g;

  // ---- Fetch -----------------------------------------------------------------------------------
  reg [12:0] f_row, id_row;  // of the row that memory puts out, of the one in decode
  reg f_valid, id_valid;
  reg [63:0] row;            // in decode
  reg [3:0] id_a_index;      // of it, found before: the register that is the first operand or the
  reg id_by_register;        // base, and whether the second operand is one
  reg wide;  // the row in decode is the second one of a wide load
  reg [3:0] wide_index;
  reg [31:0] wide_low;
  reg [12:0] wide_row;

  wire id_advances;
  wire restores;
  wire [11:0] back;
  wire id_jumps;
  wire [32:0] id_target;
  wire starts = start && idle;
  wire redirect = ex_valid && ex_done && ex_taken;
  // While decode is held up the same row is fetched again, so that a redirection need not wait.
  wire moves = !id_valid || id_advances;
  wire [12:0] fetch =
      starts ? 13'd0 : redirect ? {1'b0, ex_target} : id_jumps ? {1'b0, id_target[11:0]}
      : f_row + {12'd0, moves};
  assign program_en = en;
  assign program_row = {fetch[11] ^ program_upper, fetch[10:0]};

  // ---- Decode ----------------------------------------------------------------------------------
  wire [4:0] d_fault;
  wire d_alu, d_64, d_wide, d_load, d_store, d_atomic, d_branch, d_jump, d_call, d_helper, d_exit;
  wire d_far, d_a_used, d_writes;
  wire [3:0] d_b_index = row[15:12];
  wire [3:0] d_write_index;

  ebpf_decode decode (
      .row(row), .fault(d_fault), .is_alu(d_alu), .is_64(d_64), .is_wide(d_wide),
      .is_load(d_load), .is_store(d_store), .is_atomic(d_atomic), .is_branch(d_branch),
      .is_jump(d_jump), .is_call(d_call), .is_helper(d_helper), .is_exit(d_exit),
      .far_jump(d_far), .a_used(d_a_used), .writes(d_writes), .write_index(d_write_index)
  );

  wire d_is_multiply = d_alu && row[7:4] == `ALU_MUL;
  wire d_is_divide = d_alu && (row[7:4] == `ALU_DIV || row[7:4] == `ALU_MOD);
  wire [3:0] pick =
      wide ? OTHER
      : !d_alu || d_is_multiply || d_is_divide ? SLOW
      : row[7:4] == `ALU_LSH || row[7:4] == `ALU_RSH || row[7:4] == `ALU_ARSH ? SHIFT
      : row[7:4] == `ALU_OR || row[7:4] == `ALU_AND || row[7:4] == `ALU_XOR
        || row[7:4] == `ALU_MOV || row[7:4] == `ALU_END ? OTHER
      : SUM;

  wire outside = id_row >= program_rows;
  wire [4:0] id_fault =
      outside ? `FAULT_ROW
      : wide ? (row[7:0] != 8'd0 ? `FAULT_OPCODE : row[31:8] != 24'd0 ? `FAULT_FIELD : `FAULT_NONE)
      : d_fault;
  wire id_faulty = id_fault != `FAULT_NONE;

  assign id_target =
      {20'd0, id_row} + 33'd1 + (d_far ? {row[63], row[63:32]} : {{17{row[31]}}, row[31:16]});
  wire id_target_bad = id_target[32:12] != 21'd0;

  // A load's result comes out of memory, so it is not there for the next two instructions; but a
  // branch, a move or a logical operation has the time to take it in execute.
  wire waits_ex = ex_valid && ex_load
      && ((d_a_used && ex_index == id_a_index) || (id_by_register && ex_index == d_b_index));
  wire takes_late = d_branch || pick == OTHER;
  wire waits_m = m_writes && m_load && !takes_late
      && ((d_a_used && m_index == id_a_index) || (id_by_register && m_index == d_b_index));
  wire hazard = !wide && (waits_ex || waits_m);
  wire ex_advances = !ex_valid || ex_done;
  assign id_advances = id_valid && ex_advances && !hazard;
  // An unconditional jump is followed before anything of it is checked: what is fetched behind a
  // bad one never leaves decode.
  assign id_jumps = id_valid && !wide && (row[7:0] == 8'h05 || row[7:0] == 8'h06);

  wire leaves = !wide && d_jump && id_target_bad && !id_faulty;

  wire [63:0] file_a, file_b, file_c;
  // Sums and shifts come late, so they are chosen last.
  function [63:0] halves(input both, input low, input high);
    halves = {{32{both && high}}, {32{both && low}}};
  endfunction
  wire a_from_ex = ex_valid && ex_writes && ex_index == id_a_index;
  wire a_from_m = m_writes && m_index == id_a_index;
  wire a_from_w = w_writes && w_index == id_a_index;
  wire [63:0] a_early =
      a_from_m ? m_result : a_from_w ? w_value : id_a_index == 4'd10 ? stack_top : file_a;
  wire [63:0] id_a =
      (a_from_ex ? ex_soon : a_early) | (alu_sum & halves(a_from_ex, ex_pick[0], ex_pick_high[0]))
      | (alu_shifted & halves(a_from_ex, ex_pick[1], ex_pick_high[1]));
  // The second row of a wide load names no register.
  wire b_from_ex = id_by_register && ex_valid && ex_writes && ex_index == d_b_index;
  wire b_from_m = m_writes && m_index == d_b_index;
  wire b_from_w = w_writes && w_index == d_b_index;
  wire [63:0] b_early =
      wide ? {row[63:32], wide_low}
      : !id_by_register ? {{32{row[63]}}, row[63:32]}
      : b_from_m ? m_result : b_from_w ? w_value : d_b_index == 4'd10 ? stack_top : file_b;
  wire [63:0] id_b =
      (b_from_ex ? ex_soon : b_early) | (alu_sum & halves(b_from_ex, ex_pick[0], ex_pick_high[0]))
      | (alu_shifted & halves(b_from_ex, ex_pick[1], ex_pick_high[1]));

  wire halts = dying || (ex_valid && ex_done && ex_ends);
  wire id_goes_on = id_advances && !redirect && !halts;

  always_ff @(posedge clk)
    if (rst || cancel) begin
      active <= 1'b0;
      f_valid <= 1'b0;
      id_valid <= 1'b0;
      ex_valid <= 1'b0;
      wide <= 1'b0;
    end else if (en) begin
      if (starts) begin
        active <= 1'b1;
        f_valid <= 1'b1;
      end else if (halts) begin
        active <= 1'b0;
        f_valid <= 1'b0;
      end
      if (halts || redirect) id_valid <= 1'b0;
      else if (moves) id_valid <= f_valid && !id_jumps;
      if (dying) ex_valid <= 1'b0;
      else if (ex_advances) ex_valid <= id_goes_on && (wide || !d_wide || id_faulty);
      if (redirect || halts) wide <= 1'b0;
      else if (id_goes_on) wide <= !wide && d_wide && !id_faulty;
    end

  always_ff @(posedge clk)
    if (en) begin
      f_row <= fetch;
      if (moves) begin
        id_a_index <= program_data[2:0] == 3'd1 ? program_data[15:12] : program_data[11:8];
        id_by_register <= program_data[2] ? program_data[3] : program_data[0];
        id_row <= f_row;
        row <= program_data;
      end
    end

  // Whether it is used is for `ex_valid` to say, so that these need not wait for it.
  always_ff @(posedge clk)
    if (en && ex_advances) begin
      if (!wide) begin
        wide_index <= row[11:8];
        wide_low <= row[63:32];
        wide_row <= id_row;
      end
      ex_row <= wide && !id_faulty ? wide_row : id_row;
      ex_fault <= leaves ? `FAULT_ROW : id_fault;
      ex_bad <= leaves || id_faulty;
      ex_a <= id_a;
      ex_a_late <= d_a_used && a_from_m && m_load && !a_from_ex;
      ex_b_late <= !wide && id_by_register && b_from_m && m_load && !b_from_ex;
      ex_b <= id_b;
      ex_offset <= wide ? 16'd0 : row[31:16];
      ex_offset_last <=
          row[31:16] + {13'd0, row[4:3] == `SIZE_DOUBLE, row[4] == row[3], row[4:3] != `SIZE_BYTE};
      ex_operation <= wide ? `ALU_MOV : row[7:4];
      ex_left <= row[7:4] == `ALU_LSH;
      ex_count <= id_b[5:0] ^ {6{row[7:4] == `ALU_LSH}};
      ex_swap_width <= row[37:36];
      ex_pick <= pick;
      ex_pick_high <= d_alu && !d_64 && !wide && row[7:4] != `ALU_END ? 4'd0 : pick;
      // A condition is one of equal, less, any bit, or two of them, or its opposite.
      ex_when_equal <=
          row[7:4] == 4'h1 || row[7:4] == 4'h2 || row[7:4] == 4'h5 || row[7:4] == 4'h6
          || row[7:4] == 4'hb || row[7:4] == 4'hd;
      ex_when_less <= row[7:6] == 2'b10 || row[7:6] == 2'b11 || row[7:5] == 3'b001 || row[7:5] == 3'b011;
      ex_when_any <= row[7:4] == 4'h4;
      ex_compare_signed <= row[7:5] == 3'b011 || row[7:5] == 3'b110;
      ex_otherwise <= row[7:5] == 3'b001 || row[7:4] == 4'h5 || row[7:5] == 3'b011;
      ex_size <= row[4:3];
      ex_64 <= wide || d_64;
      ex_swap_always <= row[3] || row[2:0] == 3'd7;
      ex_by_register <= row[3];
      ex_load <= !wide && d_load && !row[7];
      ex_load_signed <= !wide && d_load && row[7];
      // A call or return that would change this takes what is in decode away.
      ex_returns <= !wide && d_exit && frames_left != 4'd8;
      ex_store <= !wide && d_store;
      ex_atomic <= !wide && d_atomic;
      ex_branch <= !wide && d_branch;
      ex_call <= !wide && d_call;
      ex_helper <= !wide && d_helper;
      ex_exit <= !wide && d_exit;
      ex_multiply <= !wide && d_is_multiply;
      ex_divide <= !wide && d_is_divide;
      ex_atomic_operation <= row[39:36];
      ex_writes <= wide || d_writes;
      ex_index <= wide ? wide_index : d_write_index;
      ex_target <= id_target[11:0];
      ex_target_bad <= id_target_bad;
    end else if (en && restores) ex_target <= back;

  // ---- Execute ---------------------------------------------------------------------------------
  wire condition_holds;
  ebpf_alu alu (
      .operation(ex_operation), .is_64(ex_64), .is_left(ex_left), .rotate(ex_count), .a(ex_a),
      .b(ex_b), .a_now(ex_a_late ? w_value : ex_a), .b_now(ex_b_late ? w_value : ex_b),
      .extend(ex_offset[5:3]), .swap_always(ex_swap_always), .swap_width(ex_swap_width),
      .sum(alu_sum), .shifted(alu_shifted), .other(alu_other),
      .when_equal(ex_when_equal), .when_less(ex_when_less), .when_any(ex_when_any),
      .compare_signed(ex_compare_signed), .otherwise(ex_otherwise), .holds(condition_holds)
  );

  wire [63:0] product;
  ebpf_multiply multiply (.clk(clk), .en(en), .a(ex_a), .b(ex_b), .product(product));

  wire divide_ready;
  wire [63:0] quotient, remainder;
  wire first_step = step == 4'd0;
  ebpf_divide divide (
      .clk(clk), .rst(rst || cancel), .en(en), .start(ex_valid && ex_divide && first_step),
      .is_64(ex_64), .is_signed(ex_offset[0]), .a(ex_a), .b(ex_b), .ready(divide_ready),
      .quotient(quotient), .remainder(remainder)
  );
  wire by_zero = (ex_64 ? ex_b : {32'd0, ex_b[31:0]}) == 64'd0;

  // Addresses. Eight bytes at any place lie in two banks, so one access takes one cycle.
  // The low bits are enough; the rest is only looked at for the bounds.
  wire [16:0] low_sum = {1'b0, ex_a[15:0]} + {1'b0, ex_offset};
  wire [11:0] spot = low_sum[11:0];
  wire [7:0] byte_mask = {
      {4{ex_size == `SIZE_DOUBLE}}, {2{ex_size == `SIZE_DOUBLE || ex_size == `SIZE_WORD}},
      ex_size != `SIZE_BYTE, 1'b1
  };
  // Of eight bytes that stand together, the access wants some and some behind them.
  wire crosses =
      ex_size == `SIZE_DOUBLE ? spot[2:0] != 3'd0
      : ex_size == `SIZE_WORD ? spot[2] && spot[1:0] != 2'd0
      : ex_size == `SIZE_HALF && spot[2:0] == 3'd7;
  // Whether it is in bounds is found from the base beside the sum, not behind it: above bit 16 the
  // address is the base, one more, or one less.
  wire [47:0] above = ex_a[63:16];
  localparam [47:0] STACK = 48'h0000_7fff_0000;
  wire backward = ex_offset[15];
  wire carries = low_sum[16];
  wire above_data =
      backward == carries ? above == 48'd0 : carries ? above == ~48'd0 : above == 48'd1;
  wire above_stack =
      backward == carries ? above == STACK : carries ? above == STACK - 48'd1
      : above == STACK + 48'd1;
  // Nor is the last byte looked for behind the first: it has a sum of its own.
  wire [15:0] /* verilator lint_off UNUSEDSIGNAL */ last_sum = ex_a[15:0] + ex_offset_last;
  wire /* verilator lint_on UNUSEDSIGNAL */ near = low_sum[15:12] == 4'd0 && last_sum[15:12] == 4'd0;
  wire in_data = above_data && near && !low_sum[11] && !last_sum[11];
  wire in_stack = above_stack && near;
  wire helper_answers = helper_ready && step >= 4'd7;
  wire accesses = ex_load || ex_load_signed || ex_store || ex_atomic;
  wire out_of_bounds = accesses && !in_data && !in_stack;

  wire [15:0] mask_8 = spot[3] ? {byte_mask, 8'd0} : {8'd0, byte_mask};
  wire [15:0] mask_4 = spot[2] ? {mask_8[11:0], mask_8[15:12]} : mask_8;
  wire [15:0] mask_2 = spot[1] ? {mask_4[13:0], mask_4[15:14]} : mask_4;
  wire [15:0] mask = spot[0] ? {mask_2[14:0], mask_2[15]} : mask_2;

  wire [63:0] atomic_new;
  wire [63:0] store_value = ex_atomic ? atomic_new : ex_b;
  wire [63:0] store_4 = spot[2] ? {store_value[31:0], store_value[63:32]} : store_value;
  wire [63:0] store_2 = spot[1] ? {store_4[47:0], store_4[63:48]} : store_4;
  wire [63:0] store_1 = spot[0] ? {store_2[55:0], store_2[63:56]} : store_2;

  // Each cause has its bit; the code is made in the cycle after.
  reg why_limit, why_bad, why_bounds, why_row, why_depth, why_divide, why_helper;
  reg [4:0] bad_fault;
  reg [12:0] why_row_number;
  wire may_fault = ex_valid && !dying;
  assign dying =
      why_limit || why_bad || why_bounds || why_row || why_depth || why_divide || why_helper;
  wire bad_jump = ex_target_bad && ((ex_branch && condition_holds) || ex_call);
  wire too_deep = ex_call && frames_left == 4'd1;
  wire no_helper = ex_helper && helper_answers && !helper_known;
  wire divides_by_zero = ex_divide && divide_faults && by_zero;
  assign ex_faults =
      limit_reached || ex_bad || out_of_bounds || too_deep || no_helper || divides_by_zero || bad_jump;
  always_ff @(posedge clk)
    if (rst || cancel)
      {why_limit, why_bad, why_bounds, why_row, why_depth, why_divide, why_helper} <= 7'd0;
    else if (en) begin
      why_limit <= may_fault && limit_reached;
      why_bad <= may_fault && ex_bad;
      why_bounds <= may_fault && out_of_bounds;
      why_row <= may_fault && bad_jump;
      why_depth <= may_fault && too_deep;
      why_divide <= may_fault && divides_by_zero;
      why_helper <= may_fault && no_helper;
      bad_fault <= ex_fault;
      why_row_number <= ex_row;
    end
  wire [4:0] why =
      why_limit ? `FAULT_LIMIT : why_bad ? bad_fault : why_bounds ? `FAULT_BOUNDS
      : why_row ? `FAULT_ROW : why_depth ? `FAULT_DEPTH : why_divide ? `FAULT_DIVIDE
      : `FAULT_HELPER;

  // Instructions of several steps. The first two let the ones before write their registers.
  wire returns = ex_returns;
  reg ex_simple, ex_last;
  assign ex_done =
      ex_simple || ex_last || (ex_divide && !first_step && divide_ready)
      || (ex_helper && helper_answers);
  always_ff @(posedge clk)
    if (en) begin
      ex_last <=
          ex_valid && !ex_done
          && ((ex_multiply && step == 4'd1) || (ex_atomic && step == 4'd2)
              || (ex_load_signed && step == 4'd1) || ((ex_call || returns) && step == 4'd4));
      if (ex_advances)
        ex_simple <=
            wide || !(d_is_multiply || d_is_divide || d_atomic || (d_load && row[7]) || d_call
                      || d_helper || (d_exit && frames_left != 4'd8));
    end
  assign ex_ends =
      !limit_reached && !ex_bad
      && ((ex_exit && !returns) || (ex_helper && helper_answers && helper_known && helper_ends));
  assign ex_taken = (ex_branch && condition_holds) || ex_call || returns;
  wire ex_leaves = ex_valid && ex_done;
  wire ex_fires = ex_leaves && !ex_faults && !dying;

  always_ff @(posedge clk)
    if (rst || cancel) step <= 4'd0;
    else if (en) begin
      if (!ex_valid || ex_done || dying) step <= 4'd0;
      else if (step != 4'd15) step <= step + 4'd1;
    end

  // Local calls keep r6 to r9, the way back and the frame.
  (* ram_style = "distributed" *) reg [63:0] kept[0:31];
  (* ram_style = "distributed" *) reg [11:0] way_back[0:7];
  wire [2:0] frame = returns ? frames_left[2:0] + 3'd1 : frames_left[2:0];
  wire [1:0] kept_number = step[1:0] - 2'd2;
  // What a dying program keeps or restores is of no use to anybody.
  wire in_steps = ex_valid && step >= 4'd2;
  wire keeps = in_steps && ex_call;
  assign restores = in_steps && returns;
  wire [63:0] restored = kept[{frame, kept_number}];
  always_ff @(posedge clk)
    if (en && keeps) begin
      kept[{frame, kept_number}] <= file_c;
      way_back[frame] <= ex_row[11:0] + 12'd1;
    end
  assign back = way_back[frame];

  always_ff @(posedge clk)
    if (en) begin
      if (starts) frames_left <= 4'd8;
      else if (ex_leaves && ex_call) frames_left <= frames_left - 4'd1;
      else if (ex_leaves && returns) frames_left <= frames_left + 4'd1;
    end

  // Atomic operations: read, take, compute, write.
  reg [63:0] atomic_old, atomic_compare;
  wire atomic_equal =
      atomic_old[31:0] == atomic_compare[31:0]
      && (ex_size == `SIZE_WORD || atomic_old[63:32] == atomic_compare[63:32]);
  reg [63:0] atomic_value;
  always_ff @(posedge clk)
    if (en) begin
      if (step == 4'd1) begin
        atomic_old <= m_value;
        atomic_compare <= w_writes && w_index == 4'd0 ? w_value : file_c;
      end
      case (ex_atomic_operation)
        4'h0: atomic_value <= atomic_old + ex_b;
        4'h4: atomic_value <= atomic_old | ex_b;
        4'h5: atomic_value <= atomic_old & ex_b;
        4'ha: atomic_value <= atomic_old ^ ex_b;
        4'he: atomic_value <= ex_b;
        default: atomic_value <= atomic_equal ? ex_b : atomic_old;
      endcase
    end
  assign atomic_new = atomic_value;

  // Helper functions.
  assign helper_argument = en && in_steps && ex_helper && step <= 4'd6;
  assign helper_number = step[2:0] - 3'd1;
  assign helper_value = file_c;
  assign helper_function = ex_by_register ? ex_a[31:0] : ex_b[31:0];

  wire [63:0] divided = ex_operation == `ALU_DIV ? quotient : remainder;
  // A load with sign takes the way of an atomic operation, so that loads need no time for signs.
  wire old_sign =
      ex_size == `SIZE_BYTE ? atomic_old[7] : ex_size == `SIZE_HALF ? atomic_old[15] : atomic_old[31];
  wire [63:0] extended = {
    {32{old_sign}}, ex_size == `SIZE_WORD ? atomic_old[31:16] : {16{old_sign}},
    ex_size == `SIZE_BYTE ? {8{old_sign}} : atomic_old[15:8], atomic_old[7:0]
  };
  // What takes several steps.
  wire [63:0] slow =
      ex_multiply ? product : ex_divide ? divided : ex_helper ? helper_result
      : ex_load_signed ? extended : atomic_old;
  assign ex_soon =
      (alu_other & halves(1'b1, ex_pick[2], ex_pick_high[2]))
      | (slow & halves(1'b1, ex_pick[3], ex_pick_high[3]));
  assign ex_result =
      ex_soon | (alu_sum & halves(1'b1, ex_pick[0], ex_pick_high[0]))
      | (alu_shifted & halves(1'b1, ex_pick[1], ex_pick_high[1]));

  // ---- Data memory -----------------------------------------------------------------------------
  // A page of 128 rows for each slot; the state is at the end of slot 0's, for all slots.
  reg scrubbing;
  reg [7:0] scrub_row, scrub_last;
  wire writes_now =
      ex_valid && !dying && !limit_reached && !ex_bad && (in_data || in_stack)
      && (ex_store || (ex_atomic && step == 4'd3));
  wire [7:0] row_1 = spot[11:4];
  wire [7:0] row_0 = spot[11:4] + {7'd0, spot[3]};

  function [ROW_BITS-1:0] place(input is_stack, input [7:0] number, input [SLOT_BITS-1:0] of);
    reg [SLOT_BITS-1:0] page;
    begin
      page = number[6:5] == 2'b11 ? {SLOT_BITS{1'b0}} : of;
      place = {ROW_BITS{1'b0}};
      if (is_stack) place[7:0] = number;
      else begin
        place[6:0] = number[6:0];
        place[7+:SLOT_BITS] = page;
      end
      place[ROW_BITS-1] = is_stack;
    end
  endfunction

  // Tells the two apart; an access that is neither does nothing.
  wire is_stack = ex_a[36] && !ex_a[56];
  assign data_en = en;
  assign data_row_0 = scrubbing ? place(1'b1, scrub_row, slot) : place(is_stack, row_0, slot);
  assign data_row_1 = scrubbing ? place(1'b1, scrub_row, slot) : place(is_stack, row_1, slot);
  assign data_we_0 = scrubbing ? 8'hff : mask[7:0] & {8{writes_now}};
  assign data_we_1 = scrubbing ? 8'hff : mask[15:8] & {8{writes_now}};
  assign data_in = scrubbing ? 64'd0 : store_1;

  // What a program wrote on its stack is wiped before the next one starts: the rows between the
  // lowest and the highest that it touched.
  reg stained;
  reg [7:0] stain_low, stain_high;
  reg stains;
  reg [7:0] stains_low, stains_high;
  assign idle = en && !active && !ex_valid && !scrubbing && !stained && !stains;
  assign running = active;
  assign busy = active || scrubbing || stained || stains;

  always_ff @(posedge clk)
    if (rst) begin
      stained <= 1'b1;
      stain_low <= 8'd0;
      stain_high <= 8'd255;
      scrubbing <= 1'b0;
      stains <= 1'b0;
    end else if (en) begin
      stains <= writes_now && is_stack;
      stains_low <= row_1;
      stains_high <= crosses && spot[3] ? row_0 : row_1;
      if (stains) begin
        stained <= 1'b1;
        if (!stained || stains_low < stain_low) stain_low <= stains_low;
        if (!stained || stains_high > stain_high) stain_high <= stains_high;
      end else if (!active && !stains && stained && !scrubbing) begin
        scrubbing <= 1'b1;
        stained <= 1'b0;
        scrub_row <= stain_low;
        scrub_last <= stain_high;
      end else if (scrubbing) begin
        scrub_row <= scrub_row + 8'd1;
        if (scrub_row == scrub_last) scrubbing <= 1'b0;
      end
    end

  // ---- Memory ----------------------------------------------------------------------------------
  // Each byte is one of sixteen; where the first one is was decoded in execute.
  wire [127:0] banks = {data_out_1, data_out_0};
  generate
    for (g = 0; g < 8; g = g + 1) begin : bytes_loaded
      integer from;
      reg [7:0] one;
      always_comb begin
        one = 8'd0;
        for (from = 0; from < 16; from = from + 1)
          one = one | (banks[8*((from+g)%16)+:8] & {8{m_place[from]}});
      end
      assign there[8*g+:8] = one;
    end
  endgenerate
  wire [2:0] m_more = {
    m_size == `SIZE_DOUBLE, m_size == `SIZE_DOUBLE || m_size == `SIZE_WORD, m_size != `SIZE_BYTE
  };
  assign m_taken = {
    {32{m_load && m_more[2]}}, {16{m_load && m_more[1]}}, {8{m_load && m_more[0]}}, {8{m_load}}
  };
  assign m_value = (there & m_taken) | m_result;  // one of them is zero

  always_ff @(posedge clk)
    if (rst || cancel) begin
      m_writes <= 1'b0;
      w_writes <= 1'b0;
    end else if (en) begin
      w_writes <= m_writes;
      m_writes <= ex_fires && ex_writes && !ex_ends;
      m_load <= ex_load || ((ex_atomic || ex_load_signed) && !ex_done);
      m_index <= ex_index;
      m_place <= 16'd1 << spot[3:0];
      m_size <= ex_size;
    end

  always_ff @(posedge clk)
    if (en) begin
      if (ex_load || !ex_done) m_result <= 64'd0;
      else m_result <= ex_result;
      w_index <= m_index;
      w_value <= m_value;
    end

  // ---- Registers -------------------------------------------------------------------------------
  reg first_argument;   // in the cycle after a start
  always_ff @(posedge clk)
    if (rst || cancel) first_argument <= 1'b0;
    else if (en) first_argument <= starts && !hbpf;
  wire [3:0] c_index =
      !active ? register_index
      : ex_valid && (ex_call) ? {2'b01, kept_number} + 4'd2
      : ex_valid && ex_helper ? {1'b0, helper_number} : 4'd0;
  // What the program before wrote last is of no use when the next one starts.
  wire file_we = en && ((w_writes && !starts) || restores || first_argument);
  wire [3:0] file_index =
      w_writes ? w_index : restores ? {2'b01, kept_number} + 4'd2 : first_argument ? 4'd2
      : register_index;
  wire [63:0] from_page = {
    register_we[1] ? register_in[63:32] : 32'd0, register_we[0] ? register_in[31:0] : 32'd0
  };
  wire [63:0] file_in =
      w_writes ? w_value : restores ? restored : first_argument ? {53'd0, length} : from_page;

  ebpf_registers registers (
      .clk(clk), .rst(rst), .clear((starts && en) || register_clear),
      .keep(starts && !hbpf ? 10'd0 : 10'b00_0011_1110), .we(file_we),
      .half_we(active ? 2'b00 : register_we), .half_index(register_index), .write_index(file_index), .in(file_in), .a_index(id_a_index), .a(file_a), .b_index(d_b_index), .b(file_b),
      .c_index(c_index), .c(file_c)
  );
  assign register_out = active ? 64'd0 : register_index == 4'd10 ? stack_top : file_c;

  // ---- Limit, end, counts ----------------------------------------------------------------------
  assign retires = en && trace_now;
  always_ff @(posedge clk)
    if (en) begin
      if (starts) begin
        limit_left <= limit;
        limit_reached <= limit == 32'd0 && !hbpf;
      end else if (ex_leaves) begin
        limit_left <= limit_left - 32'd1;
        if (limit_left == 32'd1 && !hbpf) limit_reached <= 1'b1;
      end
    end

  always_ff @(posedge clk)
    if (rst || cancel) begin
      done <= 1'b0;
      if (rst || register_clear) begin
        fault <= `FAULT_NONE;
        cycles <= 32'd0;
      end
    end else begin
      done <= en && halts;
      if (en && starts) cycles <= 32'd0;
      else if (register_clear) cycles <= 32'd0;
      else if (active) cycles <= cycles + 32'd1;
      if (en && halts && !dying) result <= ex_helper ? helper_result[31:0] : ex_a[31:0];
      if (register_clear || (en && starts)) fault <= `FAULT_NONE;
      else if (en && dying) begin
        fault <= why;
        fault_row <= why_row_number;
      end
    end

  // ---- Trace -----------------------------------------------------------------------------------
  always_ff @(posedge clk)
    if (rst || cancel) trace_now <= 1'b0;
    else if (en) begin
      trace_now <= ex_fires;
      trace_row <= ex_row;
      trace_store <= writes_now;
      trace_size <= ex_size;
      trace_address <= ex_a + {{48{ex_offset[15]}}, ex_offset};
      trace_stored <= store_value;
    end
  assign trace_valid = trace_now && en;
  assign trace_write = m_writes;
  assign trace_index = m_index;
  assign trace_value = m_value;
endmodule
