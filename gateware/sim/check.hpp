// Counting of what passed, and the checks that `ebpf-check` offers.
#pragma once
#include <cstdarg>
#include <cstdio>
#include <string>

struct Tally {
  int passed = 0, failed = 0;
  void check(bool good, const char* format, ...) {
    if (good) {
      passed++;
      return;
    }
    failed++;
    if (failed > 40) return;
    va_list arguments;
    va_start(arguments, format);
    printf("FAILED ");
    vprintf(format, arguments);
    printf("\n");
    va_end(arguments);
  }
};

struct Options {
  std::string root = ".";     // of the repository
  int cores = 1;
  uint64_t seed = 1;
  uint64_t instructions = 200000;
  uint64_t packets = 20000;
  std::string trace;          // file to write
  std::string programs;       // file to read
  bool verbose = false;
};

void checkVectors(const Options&, Tally&);
void checkPrograms(const Options&, Tally&);
void checkLockstep(const Options&, Tally&);
void checkStress(const Options&, Tally&);
void measureScaling(const Options&, Tally&);
int executeProgram(const std::string& memory);
