/* One mistake for each -D: what a loader or verifier must name. */
#include "program.h"
#ifdef UNDEFINED
extern u64 elsewhere(u64);
SECTION("xdp") u64 f(u8 *packet, u64 length) { return elsewhere(length); }
#endif
#ifdef KIND
struct { __uint(type, 27); __uint(max_entries, 4096); } ring SECTION(".maps");
SECTION("xdp") u64 f(u8 *packet, u64 length) { u32 k = 0; return (u64)lookup(&ring, &k) != 0; }
#endif
#ifdef UNCHECKED
struct { __uint(type, 2); __type(key, u32); __type(value, u64); __uint(max_entries, 6); }
  counters SECTION(".maps");
SECTION("xdp") u64 f(u8 *packet, u64 length) { u32 k = 0; return *(u64 *)lookup(&counters, &k); }
#endif
#ifdef POINTER
static u64 one(u64 a) { return a; }
SECTION("xdp") u64 f(u8 *packet, u64 length) {
  u64 (*volatile pointer)(u64) = one;
  return pointer(length);
}
#endif
#ifdef CONSTANT
static const volatile u8 table[4] = {1, 2, 3, 4};
SECTION("xdp") u64 f(u8 *packet, u64 length) { ((volatile u8 *)table)[1] = 2; return PASS; }
#endif
#ifdef BEYOND
struct { __uint(type, 2); __type(key, u32); __type(value, u64); __uint(max_entries, 6); }
  counters SECTION(".maps");
SECTION("xdp") u64 f(u8 *packet, u64 length) {
  u32 k = 0;
  u64 *v = lookup(&counters, &k);
  return v ? v[1] : PASS;
}
#endif
