/* Variables of all kinds, a function in the same section and one in .text. */
#include "program.h"
u32 limit = 3;
u64 seen;
const volatile u8 table[4] = {1, 2, 3, 0};
__attribute__((noinline)) u64 verdict(u64 which) { return table[which & 3]; }
static __attribute__((noinline, section("xdp"))) u32 note(u8 *packet) {
  packet[1] = 0x55;
  return ++seen;
}
SECTION("xdp") u64 choose(u8 *packet, u64 length) {
  if (note(packet) > limit) return REDIRECT;
  return verdict(packet[0]);
}
SECTION("xdp/other") u64 other(u8 *packet, u64 length) { return redirect(packet[0], 0); }
