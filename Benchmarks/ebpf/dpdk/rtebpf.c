// One filter over memory images with DPDK's rte_bpf, run on command.
//
//   rtebpf interpreter|jit PROGRAM.bin IMAGES.bin
//
// IMAGES holds data memories of 2,048 bytes, each with its packet's length at byte 2,044. Prints
// "ready", then answers each line "MILLISECONDS" with one line of JSON: what it did in so long on
// this thread's CPU clock. Ends with status 3 when the library refuses the program.
#define _GNU_SOURCE
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <rte_bpf.h>
#include <rte_eal.h>
#include <rte_errno.h>

enum { IMAGE_BYTES = 2048, PACKETS_BETWEEN_CLOCKS = 4096 };

static void die(const char *what, const char *detail) {
  fprintf(stderr, "rtebpf: %s: %s\n", what, detail);
  exit(1);
}

static uint8_t *read_file(const char *path, size_t *count) {
  FILE *file = fopen(path, "r");
  if (!file) die(path, strerror(errno));
  uint8_t *bytes = aligned_alloc(64, 16 << 20);
  *count = bytes ? fread(bytes, 1, 16 << 20, file) : 0;
  fclose(file);
  return bytes;
}

static uint64_t cpu_nanoseconds(void) {
  struct timespec now;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

int main(int count, char **arguments) {
  if (count != 4) die("usage", "rtebpf interpreter|jit PROGRAM.bin IMAGES.bin");
  char *eal[] = {arguments[0], "--no-huge", "--no-pci", "--no-telemetry", "--no-shconf", "-m",
                 "64", "--log-level=error", "--file-prefix=rtebpf"};
  if (rte_eal_init(sizeof eal / sizeof *eal, eal) < 0) die("EAL", rte_strerror(rte_errno));

  size_t program_bytes, image_bytes;
  uint8_t *program = read_file(arguments[2], &program_bytes);
  uint8_t *images = read_file(arguments[3], &image_bytes);
  size_t image_count = image_bytes / IMAGE_BYTES;
  if (image_count == 0) die(arguments[3], "no image");
  struct rte_bpf_prm parameters = {
      .ins = (const struct ebpf_insn *)program,
      .nb_ins = program_bytes / sizeof(struct ebpf_insn),
      .prog_arg = {.type = RTE_BPF_ARG_PTR, .size = IMAGE_BYTES},
  };
  struct rte_bpf *bpf = rte_bpf_load(&parameters);
  if (!bpf) {
    fprintf(stderr, "rtebpf: refused: %s\n", rte_strerror(rte_errno));
    return 3;
  }
  struct rte_bpf_jit jit = {0};
  int compiled = strcmp(arguments[1], "jit") == 0;
  if (compiled && (rte_bpf_get_jit(bpf, &jit) != 0 || !jit.func)) die("jit", "none");

  puts("ready");
  fflush(stdout);
  char line[64];
  while (fgets(line, sizeof line, stdin)) {
    uint64_t limit = strtoull(line, NULL, 10) * 1000000, spent = 0, packets = 0;
    uint64_t verdicts[8] = {0};
    size_t image = 0;
    uint64_t start = cpu_nanoseconds();
    while (spent < limit) {
      for (int each = 0; each < PACKETS_BETWEEN_CLOCKS; each++) {
        uint8_t *memory = images + image * IMAGE_BYTES;
        uint64_t r0 = compiled ? jit.func(memory) : rte_bpf_exec(bpf, memory);
        verdicts[r0 & 7]++;
        image = image + 1 == image_count ? 0 : image + 1;
      }
      packets += PACKETS_BETWEEN_CLOCKS;
      spent = cpu_nanoseconds() - start;
    }
    printf("{\"packets\":%lu,\"cpuNanoseconds\":%lu,\"verdicts\":[%lu,%lu,%lu,%lu,%lu]}\n",
           packets, spent, verdicts[0], verdicts[1], verdicts[2], verdicts[3], verdicts[4]);
    fflush(stdout);
  }
  return 0;
}
