#include "clinux_runtime.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

static atomic_int stop_requested;

// What a new thread is told; it frees it.
struct start {
  void (*body)(void *);
  void *context;
};

static void *run(void *argument) {
  struct start start = *(struct start *)argument;
  free(argument);
  // Sleeps of 50 us need a timer that is not rounded by another 50 us.
  prctl(PR_SET_TIMERSLACK, 1000UL, 0UL, 0UL, 0UL);
  start.body(start.context);
  return NULL;
}

int clinux_thread_start(
    void (*body)(void *), void *context, int core, const char *name, uint64_t *thread) {
  struct start *start = malloc(sizeof *start);
  if (start == NULL) return ENOMEM;
  *start = (struct start){body, context};

  pthread_attr_t attributes;
  int error = pthread_attr_init(&attributes);
  if (error == 0 && core >= 0) {
    cpu_set_t cores;
    CPU_ZERO(&cores);
    if (core < CPU_SETSIZE) CPU_SET(core, &cores);
    error = pthread_attr_setaffinity_np(&attributes, sizeof cores, &cores);
  }
  pthread_t created = 0;
  if (error == 0) error = pthread_create(&created, &attributes, run, start);
  pthread_attr_destroy(&attributes);
  if (error != 0) {
    free(start);
    return error;
  }
  pthread_setname_np(created, name);
  *thread = (uint64_t)created;
  return 0;
}

void clinux_thread_join(uint64_t thread) { pthread_join((pthread_t)thread, NULL); }

int clinux_core_count(void) {
  cpu_set_t cores;
  if (sched_getaffinity(0, sizeof cores, &cores) != 0) return 1;
  return CPU_COUNT(&cores);
}

int clinux_core_is_usable(int core) {
  cpu_set_t cores;
  if (core < 0 || core >= CPU_SETSIZE) return 0;
  if (sched_getaffinity(0, sizeof cores, &cores) != 0) return 0;
  return CPU_ISSET(core, &cores) != 0;
}

static void on_stop(int signal) {
  (void)signal;
  atomic_store(&stop_requested, 1);
}

static char *append(char *at, const char *text) {
  while (*text != 0) *at++ = *text++;
  return at;
}

// Only async-signal-safe calls here.
static void on_fatal(int signal, siginfo_t *info, void *context) {
  (void)info;
  uintptr_t counter = 0;
#if defined(__x86_64__)
  counter = (uintptr_t)((ucontext_t *)context)->uc_mcontext.gregs[REG_RIP];
#elif defined(__aarch64__)
  counter = (uintptr_t)((ucontext_t *)context)->uc_mcontext.pc;
#endif
  char text[96];
  char *at = append(text, "dpu: stopped by ");
  switch (signal) {
    case SIGILL: at = append(at, "SIGILL"); break;
    case SIGTRAP: at = append(at, "SIGTRAP"); break;
    case SIGSEGV: at = append(at, "SIGSEGV"); break;
    case SIGBUS: at = append(at, "SIGBUS"); break;
    case SIGFPE: at = append(at, "SIGFPE"); break;
    default: at = append(at, "SIGABRT"); break;
  }
  at = append(at, " at 0x");
  for (int shift = 60; shift >= 0; shift -= 4) *at++ = "0123456789abcdef"[counter >> shift & 15];
  *at++ = '\n';
  clinux_write(2, text, (uint32_t)(at - text));
  // SA_RESETHAND restored the default, which ends the process with this signal.
  raise(signal);
}

void clinux_signals_install(void) {
  struct sigaction action;
  memset(&action, 0, sizeof action);
  sigemptyset(&action.sa_mask);
  action.sa_handler = on_stop;
  sigaction(SIGTERM, &action, NULL);
  sigaction(SIGINT, &action, NULL);
  action.sa_handler = SIG_IGN;
  sigaction(SIGPIPE, &action, NULL);

  memset(&action, 0, sizeof action);
  sigemptyset(&action.sa_mask);
  action.sa_sigaction = on_fatal;
  action.sa_flags = SA_SIGINFO | (int)SA_RESETHAND;
  const int fatal[] = {SIGILL, SIGTRAP, SIGSEGV, SIGBUS, SIGFPE, SIGABRT};
  for (unsigned i = 0; i < sizeof fatal / sizeof fatal[0]; i++) sigaction(fatal[i], &action, NULL);
}

int clinux_stop_requested(void) {
  return atomic_load_explicit(&stop_requested, memory_order_relaxed);
}

void clinux_request_stop(void) { atomic_store(&stop_requested, 1); }

void clinux_pause(void) {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  __asm__ volatile("yield" ::: "memory");
#endif
}

void clinux_yield(void) { sched_yield(); }

void clinux_sleep(uint64_t nanoseconds) {
  struct timespec time = {
      .tv_sec = (time_t)(nanoseconds / 1000000000), .tv_nsec = (long)(nanoseconds % 1000000000)};
  nanosleep(&time, NULL);
}

uint64_t clinux_monotonic_nanoseconds(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (uint64_t)time.tv_sec * 1000000000 + (uint64_t)time.tv_nsec;
}

uint64_t clinux_thread_nanoseconds(void) {
  struct timespec time;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return (uint64_t)time.tv_sec * 1000000000 + (uint64_t)time.tv_nsec;
}

void clinux_random(void *bytes, uint32_t count) {
  uint8_t *at = bytes;
  while (count > 0) {
    ssize_t got = getrandom(at, count, 0);
    if (got < 0 && errno != EINTR) abort();
    if (got < 0) continue;
    at += got;
    count -= (uint32_t)got;
  }
}

void clinux_write(int descriptor, const void *bytes, uint32_t count) {
  const uint8_t *at = bytes;
  while (count > 0) {
    ssize_t written = write(descriptor, at, count);
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return;
    at += written;
    count -= (uint32_t)written;
  }
}

void clinux_exit(int code) { _exit(code); }

static int argument_count;
static char **arguments;

// glibc hands every constructor what it will hand to main, which Embedded Swift does not pass on.
__attribute__((constructor)) static void keep_arguments(int count, char **values) {
  argument_count = count;
  arguments = values;
}

int clinux_argument_count(void) { return argument_count; }

const char *clinux_argument(int index) {
  return index >= 0 && index < argument_count ? arguments[index] : "";
}
