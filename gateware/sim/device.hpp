// The Verilated mailbox with any number of cores behind one face: inputs, a clock edge, outputs.
#pragma once
#include <cstdint>
#include <memory>

struct Retired {
  uint32_t row;
  bool writes;
  uint32_t index;
  uint64_t value;
  bool stores;
  uint32_t size;  // bits 4:3 of the opcode
  uint64_t address, stored;
};

struct Device {
  int cores = 0;
  int slotsPerCore = 2;

  // Inputs of the next cycle.
  bool reset = false, valid = false, write = false;
  uint32_t address = 0;
  uint8_t enables = 0;
  uint64_t data = 0;
  uint32_t stall = 0;

  // Outputs of the last one.
  bool answers = false;
  uint64_t answer = 0;
  bool completes = false;
  uint32_t completionIndex = 0;
  uint64_t completion[2] = {};

  virtual ~Device() = default;
  virtual void clock() = 0;
  // Cores that retired an instruction in the last cycle, and what.
  virtual uint32_t retired() const = 0;
  virtual Retired retired(int core) const = 0;

  static std::unique_ptr<Device> make(int cores);  // null if there is no such build
};
