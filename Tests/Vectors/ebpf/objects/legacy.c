/* Maps as older programs declare them. */
#include "program.h"
struct bpf_map_def { u32 type, key_size, value_size, max_entries, map_flags; };
struct bpf_map_def SECTION("maps") first = {2, 4, 8, 2, 0};
struct bpf_map_def SECTION("maps") second = {1, 2, 4, 8, 0};
SECTION("xdp") u64 both(u8 *packet, u64 length) {
  u32 index = 1;
  u64 *sum = lookup(&first, &index);
  u16 key = packet[0];
  u32 one = 1;
  if (!sum) return ABORTED;
  *sum += length;
  update(&second, &key, &one, 0);
  return PASS;
}
