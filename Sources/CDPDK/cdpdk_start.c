#include "CDPDK.h"
#include "cdpdk_internal.h"

#include <errno.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <rte_cycles.h>
#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_lcore.h>
#include <rte_version.h>

// More than any sensible list of devices and options.
#define ARGUMENTS_MAX 128

static char failure[256] = "";

// Nanoseconds = cycles * scale >> 32.
static uint64_t start_cycles;
static uint64_t scale;

const char *cdpdk_failure(void) { return failure; }

int cdpdk_fail(int error, const char *format, ...) {
  va_list list;
  va_start(list, format);
  int length = vsnprintf(failure, sizeof failure, format, list);
  va_end(list);
  if (length >= 0 && (size_t)length < sizeof failure) {
    snprintf(failure + length, sizeof failure - (size_t)length, ": %s", strerror(error));
  }
  return -error;
}

int cdpdk_start(const void *arguments, uint32_t size) {
  // The EAL permutes and keeps the array, so it gets one that lives as long as the process.
  static char *list[ARGUMENTS_MAX + 1];
  const char *next = arguments;
  const char *end = next + size;
  int count = 0;
  list[count++] = strdup("dpu");
  while (next < end) {
    if (count == ARGUMENTS_MAX) return cdpdk_fail(E2BIG, "reading the EAL arguments");
    list[count++] = strdup(next);
    next += strlen(next) + 1;
  }

  // The EAL pins its caller to one core, and with it every thread started later.
  cpu_set_t cores;
  int known = sched_getaffinity(0, sizeof cores, &cores);
  if (rte_eal_init(count, list) < 0) {
    return cdpdk_fail(rte_errno != 0 ? rte_errno : EINVAL, "starting DPDK's EAL");
  }
  if (known == 0) sched_setaffinity(0, sizeof cores, &cores);

  scale = (uint64_t)(((unsigned __int128)1000000000 << 32) / rte_get_tsc_hz());
  start_cycles = rte_rdtsc();
  return 0;
}

void cdpdk_stop(void) { rte_eal_cleanup(); }

int cdpdk_thread_register(void) {
  if (rte_thread_register() != 0) return cdpdk_fail(rte_errno, "registering a worker with DPDK");
  return 0;
}

void cdpdk_thread_unregister(void) { rte_thread_unregister(); }

uint64_t cdpdk_now(void) {
  uint64_t cycles = rte_rdtsc() - start_cycles;
  return (uint64_t)(((unsigned __int128)cycles * scale) >> 32);
}

const char *cdpdk_version(void) { return rte_version(); }
