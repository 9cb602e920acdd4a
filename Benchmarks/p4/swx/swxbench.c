// A DPDK SWX pipeline between a source and a sink in memory, run on command.
//
//   swxbench codegen PROGRAM.spec PROGRAM.c
//   swxbench run PROGRAM.so PACKETS.pcap [TABLE=ENTRIES.txt]...
//
// `run` prints "ready", then waits for lines on standard input. "MILLISECONDS" runs the pipeline
// for so long on this thread's CPU clock and answers with one line of JSON; the end of the input
// ends the program. So the caller decides whose turn it is, and tables are filled only once.
//
// Source and sink are the library's own: the source allocates a buffer and copies a packet into
// it, the sink frees it. The last of the output ports is where SWX puts packets that are dropped.
#define _GNU_SOURCE
#include <errno.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_mbuf.h>
#include <rte_swx_ctl.h>
#include <rte_swx_pipeline.h>

enum { OUTPUT_PORTS = 5, INSTRUCTIONS = 4096, CALLS_BETWEEN_CLOCKS = 16 };

static void die(const char *what, const char *detail) {
  fprintf(stderr, "swxbench: %s: %s\n", what, detail);
  exit(1);
}

static int codegen(const char *spec, const char *code) {
  FILE *in = fopen(spec, "r");
  if (!in) die(spec, strerror(errno));
  FILE *out = fopen(code, "w");
  if (!out) die(code, strerror(errno));
  uint32_t line = 0;
  const char *message = "";
  int status = rte_swx_pipeline_codegen(in, out, &line, &message);
  fclose(in);
  if (fclose(out)) die(code, strerror(errno));
  if (status) {
    fprintf(stderr, "swxbench: %s:%u: %s\n", spec, line, message);
    return 1;
  }
  return 0;
}

static uint64_t cpu_nanoseconds(void) {
  struct timespec now;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static void start_eal(char *name) {
  // No telemetry thread, no hugepages, no devices; the memory is this process's own.
  char *arguments[] = {
      name, "--no-huge", "--no-pci", "--no-telemetry", "--no-shconf", "-m", "256",
      "--log-level=*:error"};
  // The EAL pins its first thread to a core; the caller has pinned us, so it is given that one.
  char core[16];
  cpu_set_t set;
  CPU_ZERO(&set);
  sched_getaffinity(0, sizeof set, &set);
  int first = 0;
  while (first < CPU_SETSIZE - 1 && !CPU_ISSET(first, &set)) first++;
  snprintf(core, sizeof core, "%d", first);
  int count = sizeof arguments / sizeof *arguments;
  char *all[16];
  memcpy(all, arguments, sizeof arguments);
  all[count++] = "-l";
  all[count++] = core;
  if (rte_eal_init(count, all) < 0) die("rte_eal_init", rte_strerror(rte_errno));
}

static struct rte_swx_pipeline *build(const char *library, const char *packets) {
  char ports[4096];
  int length = snprintf(
      ports, sizeof ports, "port in 0 source mempool MEMPOOL0 file %s loop 0 packets 1024\n",
      packets);
  for (int port = 0; port < OUTPUT_PORTS; port++)
    length += snprintf(
        ports + length, sizeof ports - length, "port out %d sink file none\n", port);
  FILE *file = fmemopen(ports, length, "r");
  struct rte_swx_pipeline *pipeline = NULL;
  int status = rte_swx_pipeline_build_from_lib(&pipeline, "bench", library, file, 0);
  if (status) die(library, strerror(-status));
  fclose(file);
  return pipeline;
}

static void fill(struct rte_swx_ctl_pipeline *control, char *argument) {
  char *path = strchr(argument, '=');
  if (!path) die(argument, "not TABLE=ENTRIES");
  *path++ = 0;
  FILE *file = fopen(path, "r");
  if (!file) die(path, strerror(errno));
  char line[1024];
  while (fgets(line, sizeof line, file)) {
    int blank = 0;
    struct rte_swx_table_entry *entry =
        rte_swx_ctl_pipeline_table_entry_read(control, argument, line, &blank);
    if (!entry && blank) continue;
    if (!entry) die(path, line);
    int status = rte_swx_ctl_pipeline_table_entry_add(control, argument, entry);
    if (status) die(path, line);
  }
  fclose(file);
}

static void turn(struct rte_swx_pipeline *pipeline, uint64_t milliseconds) {
  struct rte_swx_port_in_stats before, after;
  struct rte_swx_port_out_stats sent_before[OUTPUT_PORTS], sent[OUTPUT_PORTS];
  rte_swx_ctl_pipeline_port_in_stats_read(pipeline, 0, &before);
  for (int port = 0; port < OUTPUT_PORTS; port++)
    rte_swx_ctl_pipeline_port_out_stats_read(pipeline, port, &sent_before[port]);
  uint64_t start = cpu_nanoseconds(), now = start;
  while (now - start < milliseconds * 1000000) {
    for (int i = 0; i < CALLS_BETWEEN_CLOCKS; i++) rte_swx_pipeline_run(pipeline, INSTRUCTIONS);
    now = cpu_nanoseconds();
  }
  rte_swx_ctl_pipeline_port_in_stats_read(pipeline, 0, &after);
  printf("{\"packets\":%lu,\"cpuNanoseconds\":%lu,\"sent\":[", after.n_pkts - before.n_pkts,
         now - start);
  for (int port = 0; port < OUTPUT_PORTS; port++) {
    rte_swx_ctl_pipeline_port_out_stats_read(pipeline, port, &sent[port]);
    // The library's sink counts everything as dropped.
    uint64_t count = sent[port].n_pkts_drop - sent_before[port].n_pkts_drop;
    printf("%s%lu", port ? "," : "", count);
  }
  printf("]}\n");
}

int main(int count, char **arguments) {
  if (count == 4 && !strcmp(arguments[1], "codegen"))
    return codegen(arguments[2], arguments[3]);
  if (count < 4 || strcmp(arguments[1], "run")) {
    fprintf(stderr, "usage: swxbench codegen SPEC C | run LIBRARY PACKETS [TABLE=ENTRIES]...\n");
    return 2;
  }
  start_eal(arguments[0]);
  if (!rte_pktmbuf_pool_create("MEMPOOL0", 4095, 256, 0, RTE_MBUF_DEFAULT_BUF_SIZE, 0))
    die("rte_pktmbuf_pool_create", rte_strerror(rte_errno));
  struct rte_swx_pipeline *pipeline = build(arguments[2], arguments[3]);
  struct rte_swx_ctl_pipeline *control = rte_swx_ctl_pipeline_create(pipeline);
  if (!control) die(arguments[2], "no control");
  for (int i = 4; i < count; i++) fill(control, arguments[i]);
  int status = rte_swx_ctl_pipeline_commit(control, 1);
  if (status) die("commit", strerror(-status));
  setvbuf(stdout, NULL, _IOLBF, 0);
  printf("ready\n");
  char line[64];
  while (fgets(line, sizeof line, stdin)) turn(pipeline, strtoul(line, NULL, 10));
  return 0;
}
