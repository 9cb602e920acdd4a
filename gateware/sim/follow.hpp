// Holds what a core retires against the model, instruction by instruction.
#pragma once
#include <cinttypes>
#include <cstdio>
#include <string>

#include "host.hpp"
#include "model.hpp"

class Follower {
 public:
  Model model;
  uint64_t followed = 0;
  bool differs = false;
  char why[256] = "";
  FILE* trace = nullptr;

  // The program of the packets that follow, and what they run under. `name` is for reports.
  void load(const std::vector<uint64_t>& rows, const std::string& name, uint32_t limit, bool divideFaults = false) {
    model.program = rows;
    model.limitOf = limit;
    model.divideFaults = divideFaults;
    if (!trace) return;
    fprintf(trace, "name %s\nlimit %u\n", name.c_str(), limit);
    if (divideFaults) fputs("divides\n", trace);
    hexadecimal("program ", rows.data(), rows.size() * 8);
  }

  // A packet starts; the memory stands in the model.
  void start(uint32_t length) {
    differs = false;
    model.start(length);
    if (!trace) return;
    hexadecimal("memory ", model.data, sizeof model.data);
    fprintf(trace, "start %u\n", length);
  }

  // The same with r1 to r5 as given, in hBPF's way.
  void start(const uint64_t* arguments) {
    differs = false;
    model.start(0);
    for (int index = 1; index <= 5; index++) model.r[index] = arguments[index - 1];
    if (!trace) return;
    hexadecimal("memory ", model.data, sizeof model.data);
    fprintf(trace, "start");
    for (int index = 0; index < 5; index++) fprintf(trace, " %" PRIx64, arguments[index]);
    fputc('\n', trace);
  }

  void see(const Retired& core) {
    Retired expected;
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
    if (differs) return;
    if (model.ended || !model.step(expected)) {
      differ("the core retires row %u, the model has ended (fault %d)", core.row, model.fault);
      return;
    }
    followed++;
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

  // What the core's memory holds after the packet; nothing when it is not looked at.
  void after(const uint8_t* memory) {
    if (trace) hexadecimal("after ", memory, sizeof model.data);
    if (!differs && memcmp(memory, model.data, sizeof model.data) != 0) differ("memory differs");
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
  void hexadecimal(const char* word, const void* bytes, size_t count) {
    static const char digits[] = "0123456789abcdef";
    std::string text = word;
    for (size_t at = 0; at < count; at++) {
      uint8_t byte = static_cast<const uint8_t*>(bytes)[at];
      text += digits[byte >> 4];
      text += digits[byte & 15];
    }
    text += '\n';
    fwrite(text.data(), 1, text.size(), trace);
  }

  template <class... Arguments>
  void differ(const char* format, Arguments... arguments) {
    differs = true;
    snprintf(why, sizeof why, format, arguments...);
  }
};
