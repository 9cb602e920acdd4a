// Holds what a core retires against the model, instruction by instruction.
#pragma once
#include <cinttypes>
#include <cstdio>

#include "host.hpp"
#include "model.hpp"

class Follower {
 public:
  Model model;
  uint64_t followed = 0;
  bool differs = false;
  char why[256] = "";
  FILE* trace = nullptr;

  // A packet starts: the program and the memory stand in the model.
  void start(uint32_t length) {
    model.start(length);
    if (trace) fprintf(trace, "start %u\n", length);
  }

  void see(const Retired& core) {
    Retired expected;
    if (differs) return;
    if (model.ended || !model.step(expected)) {
      differ("the core retires row %u, the model has ended (fault %d)", core.row, model.fault);
      return;
    }
    followed++;
    uint64_t mask = core.size == 3 ? ~0ull : core.size == 0 ? 0xffffffff : core.size == 1 ? 0xffff : 0xff;
    if (trace) {
      fprintf(trace, "%u", core.row);
      if (core.writes) fprintf(trace, " r%u=%" PRIx64, core.index, core.value);
      if (core.stores) {
        int bytes = core.size == 3 ? 8 : core.size == 0 ? 4 : core.size == 1 ? 2 : 1;
        fprintf(trace, " m%" PRIx64 "/%d=%" PRIx64, core.address, bytes, core.stored & mask);
      }
      fputc('\n', trace);
    }
    if (core.row != expected.row) differ("row %u, expected %u", core.row, expected.row);
    else if (core.writes != expected.writes || (core.writes && (core.index != expected.index || core.value != expected.value)))
      differ("row %u (%016" PRIx64 "): r%u=%" PRIx64 ", expected r%u=%" PRIx64, core.row,
             model.program[core.row], core.writes ? core.index : 99, core.value,
             expected.writes ? expected.index : 99, expected.value);
    else if (core.stores != expected.stores || (core.stores && (core.size != expected.size || core.address != expected.address || (core.stored & mask) != expected.stored)))
      differ("row %u (%016" PRIx64 "): store %d %" PRIx64 "=%" PRIx64 ", expected %d %" PRIx64 "=%" PRIx64, core.row,
             model.program[core.row], core.stores, core.address, core.stored & mask,
             expected.stores, expected.address, expected.stored);
  }

  // The packet has ended with `completion`.
  void end(const Completion& completion) {
    if (trace) fprintf(trace, "end %u fault %u row %u\n", completion.verdict, completion.fault, completion.row);
    if (differs) return;
    if (!model.ended) {
      Retired rest;
      if (model.step(rest)) {
        differ("the core ended, fault %u, and the model goes on at row %u", completion.fault, rest.row);
        return;
      }
    }
    if (completion.fault != uint32_t(model.fault) || (model.fault && completion.row != model.faultRow))
      differ("fault %u at row %u, expected %d at row %u", completion.fault, completion.row, model.fault, model.faultRow);
    else if (!model.fault && completion.verdict != uint32_t(model.result))
      differ("verdict %x, expected %" PRIx64, completion.verdict, model.result);
  }

 private:
  template <class... Arguments>
  void differ(const char* format, Arguments... arguments) {
    differs = true;
    snprintf(why, sizeof why, format, arguments...);
  }
};
