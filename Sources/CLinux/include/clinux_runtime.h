// Threads, signals and waiting: what the firmware needs of Linux around its poll loops.
#pragma once

#include <stdint.h>

// Starts a thread. `core` pins it; -1 does not. `name` has at most 15 characters.
// Returns 0 or an errno value; `thread` names it for clinux_thread_join.
int clinux_thread_start(
    void (*body)(void *), void *context, int core, const char *name, uint64_t *thread);
void clinux_thread_join(uint64_t thread);

// Cores this process may run on.
int clinux_core_count(void);
// Whether the process may run on `core`.
int clinux_core_is_usable(int core);

// SIGTERM and SIGINT ask to stop, SIGPIPE is ignored, and what kills the process (SIGILL,
// SIGTRAP, SIGSEGV, SIGBUS, SIGFPE, SIGABRT) says so on standard error before it does.
void clinux_signals_install(void);
int clinux_stop_requested(void);
void clinux_request_stop(void);

// Tells the core that this is a waiting loop.
void clinux_pause(void);
void clinux_yield(void);
void clinux_sleep(uint64_t nanoseconds);

// CLOCK_MONOTONIC.
uint64_t clinux_monotonic_nanoseconds(void);
// Processor time of the calling thread.
uint64_t clinux_thread_nanoseconds(void);
// Fills `bytes` from the kernel's random source; traps when there is none.
void clinux_random(void *bytes, uint32_t count);

// Writes all of `bytes` to a descriptor; for messages, so errors are ignored.
void clinux_write(int descriptor, const void *bytes, uint32_t count);
// Ends the process at once, without exit handlers.
void clinux_exit(int code) __attribute__((noreturn));

// What the program was called with; the first is its name. Zero-terminated.
int clinux_argument_count(void);
const char *clinux_argument(int index);
