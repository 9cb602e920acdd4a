/* A hash map: the first packet of a source (bytes 0 to 3) is let through, the third and later ones
 * are dropped, and a packet of kind 9 (byte 4) forgets the source. */
#include "program.h"
struct flow { u64 since; u32 packets; };
struct { __uint(type, 1); __type(key, u32); __type(value, struct flow); __uint(max_entries, 4); }
  flows SECTION(".maps");
SECTION("xdp") u64 limit(u8 *packet, u64 length) {
  u32 source = packet[0] | packet[1] << 8 | packet[2] << 16 | (u32)packet[3] << 24;
  if (packet[4] == 9) return delete(&flows, &source) == 0 ? PASS : ABORTED;
  struct flow *flow = lookup(&flows, &source);
  if (!flow) {
    struct flow fresh = {.since = now(), .packets = 1};
    return update(&flows, &source, &fresh, 1) == 0 ? PASS : REDIRECT;
  }
  return ++flow->packets > 2 ? DROP : PASS;
}
