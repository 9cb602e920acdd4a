#include "state.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#define COPY_DISTANCE 4096
#define MAGIC "dpuslot1"

struct record {
  char magic[8];
  uint64_t sequence;
  struct slot_state state;
  uint8_t hash[32];
};

static void hash_of(const struct record *record, uint8_t hash[32]) {
  crypto_hash_sha256(hash, (const uint8_t *)record, offsetof(struct record, hash));
}

static int is_whole(const struct record *record) {
  uint8_t hash[32];
  hash_of(record, hash);
  return memcmp(record->magic, MAGIC, 8) == 0 && memcmp(record->hash, hash, 32) == 0;
}

// The newer whole copy, and where it is; -1 when there is none.
static int newest(int descriptor, struct record *record) {
  struct record copies[2];
  int best = -1;
  for (int i = 0; i < 2; i++) {
    memset(&copies[i], 0, sizeof copies[i]);
    if (pread(descriptor, &copies[i], sizeof copies[i], i * COPY_DISTANCE) < 0) return -errno;
    if (is_whole(&copies[i]) && (best < 0 || copies[i].sequence > copies[best].sequence)) best = i;
  }
  if (best >= 0) *record = copies[best];
  return best;
}

uint32_t slot_state_security(const struct slot_state *state) {
  uint32_t security = 0;
  for (int i = 3; i >= 0; i--) security = security << 8 | state->security[i];
  return security;
}

void slot_state_raise_security(struct slot_state *state, uint32_t security) {
  if (security <= slot_state_security(state)) return;
  for (int i = 0; i < 4; i++) state->security[i] = (uint8_t)(security >> 8 * i);
}

int slot_state_open(const char *path, int for_writing) {
  int descriptor = open(path, (for_writing ? O_RDWR : O_RDONLY) | O_CLOEXEC);
  if (descriptor < 0) return -errno;
  if (for_writing && flock(descriptor, LOCK_EX | LOCK_NB) != 0) {
    close(descriptor);
    return -EBUSY;
  }
  return descriptor;
}

int slot_state_read(int descriptor, struct slot_state *state) {
  struct record record;
  if (newest(descriptor, &record) >= 0) {
    *state = record.state;
    state->note[sizeof state->note - 1] = 0;
    return 0;
  }
  memset(state, 0, sizeof *state);
  state->active = slot_a;
  state->trial = slot_none;
  state->tries[slot_a] = SLOT_TRIES;
  return 0;
}

int slot_state_write(int descriptor, const struct slot_state *state) {
  struct record record;
  int last = newest(descriptor, &record);
  if (last < 0) record.sequence = 0;
  memcpy(record.magic, MAGIC, 8);
  record.sequence++;
  record.state = *state;
  hash_of(&record, record.hash);
  off_t place = last == 0 ? COPY_DISTANCE : 0;
  if (pwrite(descriptor, &record, sizeof record, place) != sizeof record) return -errno;
  return fsync(descriptor) == 0 ? 0 : -errno;
}
