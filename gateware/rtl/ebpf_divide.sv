// Division and remainder, one bit a cycle; leading zeros of the dividend are skipped 32, 16 or 8 at
// a time. By zero: 0 and the dividend (RFC 9669, section 4.1).
module ebpf_divide (
    input wire clk,
    input wire rst,
    input wire en,
    input wire start,          // in the first cycle of the operands
    input wire is_64,
    input wire is_signed,
    input wire [63:0] a,
    input wire [63:0] b,
    output reg ready,          // both results stand, until the next start
    output wire [63:0] quotient,
    output wire [63:0] remainder
);
  reg [63:0] rest, bits, divisor;
  reg [6:0] left;
  reg busy, negative_quotient, negative_rest;

  wire a_negative = is_signed && (is_64 ? a[63] : a[31]);
  wire b_negative = is_signed && (is_64 ? b[63] : b[31]);
  wire [63:0] a_wide = is_64 ? a : {{32{a_negative}}, a[31:0]};
  wire [63:0] b_wide = is_64 ? b : {{32{b_negative}}, b[31:0]};
  wire [63:0] a_size = (a_wide ^ {64{a_negative}}) + {63'd0, a_negative};
  wire [63:0] b_size = (b_wide ^ {64{b_negative}}) + {63'd0, b_negative};

  wire [64:0] shifted = {rest, bits[63]};
  // verilator lint_off UNUSEDSIGNAL
  wire [65:0] difference = {1'b0, shifted} - {2'b0, divisor};
  // verilator lint_on UNUSEDSIGNAL
  wire fits = !difference[65];
  wire untouched = rest == 64'd0 && bits[63:56] == 8'd0;
  wire by_zero = b_wide == 64'd0;

  always_ff @(posedge clk)
    if (rst) begin
      busy <= 1'b0;
      ready <= 1'b0;
    end else if (en) begin
      if (start) begin
        busy <= !by_zero;
        ready <= by_zero;
        bits <= by_zero ? 64'd0 : a_size;
        rest <= by_zero ? a_wide : 64'd0;
        divisor <= b_size;
        left <= 7'd64;
        negative_quotient <= !by_zero && (a_negative ^ b_negative);
        negative_rest <= !by_zero && a_negative;
      end else if (busy) begin
        if (left == 7'd0) begin
          busy <= 1'b0;
          ready <= 1'b1;
        end else if (untouched && left[6:3] != 4'd0) begin
          if (bits[63:32] == 32'd0 && left >= 7'd32) begin
            bits <= {bits[31:0], 32'd0};
            left <= left - 7'd32;
          end else if (bits[63:48] == 16'd0 && left >= 7'd16) begin
            bits <= {bits[47:0], 16'd0};
            left <= left - 7'd16;
          end else begin
            bits <= {bits[55:0], 8'd0};
            left <= left - 7'd8;
          end
        end else begin
          rest <= fits ? difference[63:0] : shifted[63:0];
          bits <= {bits[62:0], fits};
          left <= left - 7'd1;
          if (left == 7'd1) begin
            busy <= 1'b0;
            ready <= 1'b1;
          end
        end
      end
    end

  assign quotient = (bits ^ {64{negative_quotient}}) + {63'd0, negative_quotient};
  assign remainder = (rest ^ {64{negative_rest}}) + {63'd0, negative_rest};
endmodule
