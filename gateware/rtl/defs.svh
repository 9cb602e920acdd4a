// Numbers that the cores and the mailbox share; docs/ebpf-registers.md says what they mean.
`ifndef DPU_EBPF_DEFS
`define DPU_EBPF_DEFS

`define FAULT_NONE 5'd0
`define FAULT_BOUNDS 5'd1
`define FAULT_LIMIT 5'd2
`define FAULT_HELPER 5'd3
`define FAULT_DEPTH 5'd4
`define FAULT_OPCODE 5'd5
`define FAULT_REGISTER 5'd6
`define FAULT_FIELD 5'd7
`define FAULT_ROW 5'd8
`define FAULT_DIVIDE 5'd9
`define FAULT_RESET 5'd16
`define FAULT_DESCRIPTOR 5'd17
`define FAULT_BUSY 5'd18
`define FAULT_PROGRAM 5'd19

// Upper half of the opcode of an arithmetic instruction.
`define ALU_ADD 4'h0
`define ALU_SUB 4'h1
`define ALU_MUL 4'h2
`define ALU_DIV 4'h3
`define ALU_OR 4'h4
`define ALU_AND 4'h5
`define ALU_LSH 4'h6
`define ALU_RSH 4'h7
`define ALU_NEG 4'h8
`define ALU_MOD 4'h9
`define ALU_XOR 4'ha
`define ALU_MOV 4'hb
`define ALU_ARSH 4'hc
`define ALU_END 4'hd

// Bits 4:3 of the opcode of a load or store.
`define SIZE_WORD 2'd0
`define SIZE_HALF 2'd1
`define SIZE_BYTE 2'd2
`define SIZE_DOUBLE 2'd3

`endif
