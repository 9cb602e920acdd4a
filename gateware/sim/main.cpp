// ebpf-check: the gateware's tests. See docs/gateware.md.
#include <cstdlib>
#include <cstring>

#include "check.hpp"
#include "device.hpp"

static void usage() {
  fprintf(stderr,
          "usage: ebpf-check exec [MEMORY-HEX]\n"
          "       ebpf-check vectors|lockstep|programs|stress|scaling [--root DIR] [--cores N]\n"
          "                  [--seed S] [--instructions N] [--packets N] [--programs FILE]\n"
          "                  [--trace FILE] [--verbose]\n");
  exit(2);
}

int main(int count, char** arguments) {
  if (count < 2) usage();
  if (!strcmp(arguments[1], "exec")) return executeProgram(count > 2 ? arguments[2] : "");
  Options options;
  for (int index = 2; index < count; index++) {
    std::string name = arguments[index];
    if (name == "--verbose") {
      options.verbose = true;
      continue;
    }
    if (index + 1 == count) usage();
    const char* value = arguments[++index];
    if (name == "--root") options.root = value;
    else if (name == "--cores") options.cores = atoi(value);
    else if (name == "--seed") options.seed = strtoull(value, nullptr, 0);
    else if (name == "--instructions") options.instructions = strtoull(value, nullptr, 0);
    else if (name == "--packets") options.packets = strtoull(value, nullptr, 0);
    else if (name == "--programs") options.programs = value;
    else if (name == "--trace") options.trace = value;
    else usage();
  }
  if (!Device::make(options.cores)) {
    fprintf(stderr, "ebpf-check: no build with %d cores\n", options.cores);
    return 2;
  }
  setvbuf(stdout, nullptr, _IOLBF, 0);
  Tally tally;
  std::string what = arguments[1];
  if (what == "vectors") checkVectors(options, tally);
  else if (what == "lockstep") checkLockstep(options, tally);
  else if (what == "programs") checkPrograms(options, tally);
  else if (what == "stress") checkStress(options, tally);
  else if (what == "scaling") measureScaling(options, tally);
  else usage();
  printf("%d passed, %d failed\n", tally.passed, tally.failed);
  return tally.failed ? 1 : 0;
}
