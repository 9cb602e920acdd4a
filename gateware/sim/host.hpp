// A driver's view of the mailbox over its bus: registers, programs, slots, rings, hBPF's page.
// docs/ebpf-registers.md is what it follows.
#pragma once
#include <cstring>
#include <functional>
#include <vector>

#include "device.hpp"

namespace at {
enum : uint32_t {
  control = 0x018, status = 0x020, programLength = 0x030, programChecksum = 0x038,
  programGeneration = 0x040, activeGeneration = 0x048, submitTail = 0x050, submitHead = 0x058,
  completionHead = 0x060, completionTail = 0x068, limit = 0x070, coreEnable = 0x078,
  coreReset = 0x080, coreHBPF = 0x088, slotsBusy = 0x090, refused = 0x098, clock = 0x0a0,
  counters = 0x100, submitRing = 0x1000, completionRing = 0x2000, program = 0x8000,
  slots = 0x10000, pages = 0x20000
};
}

struct Completion {
  uint32_t cookie, verdict, length, fault, row, cycles;
  bool phase;

  static Completion from(uint64_t low, uint64_t high) {
    return {uint32_t(low), uint32_t(low >> 32), uint32_t(high & 0xffff),
            uint32_t(high >> 16 & 0xff), uint32_t(high >> 24 & 0x1fff),
            uint32_t(high >> 40 & 0x7fffff), bool(high >> 63)};
  }
};

inline uint32_t checksum(const std::vector<uint64_t>& rows) {
  uint32_t sum = ~0u;
  for (uint64_t row : rows)
    for (int byte = 0; byte < 8; byte++) {
      sum ^= row >> (8 * byte) & 0xff;
      for (int bit = 0; bit < 8; bit++) sum = sum >> 1 ^ (sum & 1 ? 0xedb88320u : 0);
    }
  return ~sum;
}

class Host {
 public:
  explicit Host(Device& device) : device(device) {}

  Device& device;
  uint64_t cycles = 0;    // of the clock
  uint64_t requests = 0;  // on the bus
  std::function<void(Device&)> afterClock;   // sees every cycle
  std::function<uint32_t()> stalls;          // cores to freeze in the next cycle

  void clock() {
    if (stalls) device.stall = stalls();
    device.clock();
    cycles++;
    if (afterClock) afterClock(device);
  }

  void write(uint32_t address, uint64_t data, uint8_t enables = 0xff) {
    device.valid = device.write = true;
    device.address = address;
    device.enables = enables;
    device.data = data;
    requests++;
    clock();
    device.valid = device.write = false;
  }

  uint64_t read(uint32_t address) {
    uint64_t value;
    read(address, 1, &value);
    return value;
  }

  // Several words, one request a cycle.
  void read(uint32_t address, size_t count, uint64_t* values) {
    size_t asked = 0, answered = 0;
    while (answered < count) {
      device.valid = asked < count;
      device.write = false;
      device.address = address + 8 * uint32_t(asked);
      if (asked < count) requests++, asked++;
      clock();
      device.valid = false;
      if (device.answers) values[answered++] = device.answer;
    }
  }

  // 32-bit access, as hBPF's page wants it.
  void write32(uint32_t address, uint32_t data) {
    write(address, uint64_t(data) << 32 | data, address & 4 ? 0xf0 : 0x0f);
  }
  uint32_t read32(uint32_t address) { return uint32_t(read(address)); }

  // Loads and activates; false when it is refused.
  bool load(const std::vector<uint64_t>& rows, bool upper = false) {
    for (size_t row = 0; row < rows.size(); row++)
      write(at::program + 8 * uint32_t(row + (upper ? 2048 : 0)), rows[row]);
    write(at::programLength, rows.size() | (upper ? 1 << 16 : 0));
    write(at::programChecksum, checksum(rows));
    write(at::programGeneration, ++generation);
    uint64_t state;
    do state = read(at::status) >> 2 & 3;
    while (state == 1);
    return state == 2;
  }

  void writeSlot(uint32_t slot, uint32_t offset, const uint8_t* bytes, size_t count) {
    for (size_t done = 0; done < count; done += 8) {
      uint64_t word = 0;
      memcpy(&word, bytes + done, count - done < 8 ? count - done : 8);
      write(at::slots + slot * 0x800 + offset + uint32_t(done), word);
    }
  }
  void readSlot(uint32_t slot, uint32_t offset, uint8_t* bytes, size_t count) {
    std::vector<uint64_t> words((count + 7) / 8);
    read(at::slots + slot * 0x800 + offset, words.size(), words.data());
    memcpy(bytes, words.data(), count);
  }

  // Puts a descriptor into the ring; `ring` tells the gateware.
  void submit(uint32_t slot, uint32_t length, uint32_t cookie) {
    uint32_t place = at::submitRing + 16 * (tail & 255);
    write(place, cookie);
    write(place + 8, slot | length << 16);
    tail++;
  }
  void ring() { write(at::submitTail, tail & 0xffff); }

  // The next completion, if there is one.
  bool poll(Completion& completion) {
    uint32_t place = at::completionRing + 16 * (head & 255);
    uint64_t high = read(place + 8);
    if (bool(high >> 63) != !(head >> 8 & 1)) return false;
    completion = Completion::from(read(place), high);
    head++;
    return true;
  }
  void consumed() { write(at::completionHead, head & 0xffff); }

  // One packet, start to end.
  Completion run(uint32_t slot, uint32_t length, uint32_t cookie = 0) {
    submit(slot, length, cookie);
    ring();
    Completion completion;
    while (!poll(completion)) {}
    consumed();
    return completion;
  }

  uint64_t counter(int core, int which) {
    return read(at::counters + uint32_t(core) * 0x40 + uint32_t(which) * 8);
  }

  uint32_t tail = 0, head = 0, generation = 0;
};
