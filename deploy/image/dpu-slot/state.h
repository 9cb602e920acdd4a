// Which slot to start: two copies on the state partition, written in turns, so that a loss of power
// costs the last change at most.
#pragma once

#include <stdint.h>

enum { slot_a = 0, slot_b = 1, slot_none = 0xff };

// Starts that a good slot has until it must have been healthy once.
#define SLOT_TRIES 3

struct slot_state {
  // The slot to start.
  uint8_t active;
  // The slot to start once before that; `slot_none` mostly.
  uint8_t trial;
  uint8_t tries[2];
  // Was healthy once and committed.
  uint8_t good[2];
  // Why the last start of another slot failed; text.
  char note[196];
  // Of the images that were good the largest security version, little endian.
  uint8_t security[4];
};

uint32_t slot_state_security(const struct slot_state *state);
// Never goes back.
void slot_state_raise_security(struct slot_state *state, uint32_t security);

// Opens the state at `path` and keeps others out. The descriptor, or -errno; -EBUSY when another
// process changes it.
int slot_state_open(const char *path, int for_writing);
// An unwritten partition is a state in which slot a is active and nothing is known to be good.
int slot_state_read(int descriptor, struct slot_state *state);
int slot_state_write(int descriptor, const struct slot_state *state);
