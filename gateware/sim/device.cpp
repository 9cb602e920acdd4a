#include "device.hpp"

#include "verilated.h"
#ifdef WITH_1
#include "Vcores1.h"
#endif
#ifdef WITH_2
#include "Vcores2.h"
#endif
#ifdef WITH_4
#include "Vcores4.h"
#endif
#ifdef WITH_8
#include "Vcores8.h"
#endif

namespace {

uint64_t field(uint64_t value, int number, int bits) {
  return value >> (number * bits) & (bits == 64 ? ~0ull : (1ull << bits) - 1);
}

// Wide ports are arrays of 32-bit words.
template <std::size_t N>
uint64_t field(const VlWide<N>& value, int number, int bits) {
  uint64_t result = 0;
  for (int bit = 0; bit < bits;) {
    int at = number * bits + bit, low = at % 32, count = 32 - low;
    if (count > bits - bit) count = bits - bit;
    uint64_t part = value[at / 32] >> low;
    if (count < 32) part &= (1u << count) - 1;
    result |= part << bit;
    bit += count;
  }
  return result;
}

template <class Model, int Cores>
struct DeviceOf : Device {
  VerilatedContext context;
  Model model{&context};

  DeviceOf() {
    cores = Cores;
    reset = true;
    for (int cycle = 0; cycle < 4; cycle++) clock();
    reset = false;
    clock();
  }

  void clock() override {
    model.clk = 0;
    model.rst = reset;
    model.bus_valid = valid;
    model.bus_write = write;
    model.bus_address = address;
    model.bus_enables = enables;
    model.bus_data = data;
    model.stall = stall;
    model.eval();
    model.clk = 1;
    model.eval();
    answers = model.bus_answers;
    answer = model.bus_answer;
    completes = model.cpl_valid;
    if (completes) {
      completionIndex = model.cpl_index;
      completion[0] = field(model.cpl_data, 0, 64);
      completion[1] = field(model.cpl_data, 1, 64);
    }
  }

  uint32_t retired() const override { return model.trace_valid; }

  Retired retired(int core) const override {
    return {uint32_t(field(model.trace_row, core, 13)),
            bool(model.trace_write >> core & 1),
            uint32_t(field(model.trace_index, core, 4)),
            field(model.trace_value, core, 64),
            bool(model.trace_store >> core & 1),
            uint32_t(field(model.trace_size, core, 2)),
            field(model.trace_address, core, 64),
            field(model.trace_stored, core, 64)};
  }
};

}  // namespace

std::unique_ptr<Device> Device::make(int cores) {
  switch (cores) {
#ifdef WITH_1
    case 1: return std::make_unique<DeviceOf<Vcores1, 1>>();
#endif
#ifdef WITH_2
    case 2: return std::make_unique<DeviceOf<Vcores2, 2>>();
#endif
#ifdef WITH_4
    case 4: return std::make_unique<DeviceOf<Vcores4, 4>>();
#endif
#ifdef WITH_8
    case 8: return std::make_unique<DeviceOf<Vcores8, 8>>();
#endif
    default: return nullptr;
  }
}
