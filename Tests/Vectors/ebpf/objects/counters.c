/* An array of counters: packets by the first byte's low three bits; six entries, so two miss. */
#include "program.h"
struct { __uint(type, 2); __type(key, u32); __type(value, u64); __uint(max_entries, 6); }
  counters SECTION(".maps");
SECTION("xdp") u64 count(u8 *packet, u64 length) {
  u32 key = packet[0] & 7;
  u64 *value = lookup(&counters, &key);
  if (!value) return ABORTED;
  __sync_fetch_and_add(value, 1);
  return PASS;
}
