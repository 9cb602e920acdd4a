// The firmware as a service: what it tells the service manager, and which rights it gives up.
//
// Where not said otherwise a call returns 0 or more when it worked and -errno when not.
#pragma once

#include <stddef.h>
#include <stdint.h>

// MARK: Service manager

/// Tells the service manager (sd_notify(3)): lines as `READY=1`. 0 also when there is none.
int32_t clinux_service_notify(const char *state);
/// How often it wants to hear `WATCHDOG=1`, in nanoseconds; 0 when it does not.
uint64_t clinux_service_watchdog(void);

// MARK: Asking a firmware

/// Sends `request` to the Unix stream socket at `path` and waits for one line, without its line
/// feed. Returns its length; -EFBIG when it is longer than `capacity`, -ENODATA when the
/// connection ends before, -ETIMEDOUT when it takes longer than `milliseconds`.
int64_t clinux_service_ask(const char *path, const uint8_t *request, size_t count,
                           uint8_t *reply, size_t capacity, uint32_t milliseconds);

// MARK: Statistics

/// Shared memory of `byte_count` zero bytes that this process can write and others, who get the
/// descriptor, can only read; nobody can change its size. Returns the descriptor.
int32_t clinux_service_shared_memory(uint64_t byte_count, uintptr_t *address);
/// Stores a word at `address`; whoever sees it sees all that was stored before.
void clinux_service_publish(uintptr_t address, uint64_t value);
/// Reads a word at `address`, and sees all that its writer had stored before it.
uint64_t clinux_service_observe(uintptr_t address);

// MARK: Rights

enum clinux_rights {
  /// Network settings (mlx5, and taking an XDP program off at the end).
  clinux_rights_network = 1,
  /// The bpf and netlink calls of the af_xdp driver's end.
  clinux_rights_xdp = 2,
};

/// Every thread of the process gives up its capabilities, but for those that `rights` need, and
/// the chance to get others by executing a file. -ETIMEDOUT when a thread does not follow.
int32_t clinux_rights_drop(uint32_t rights);
/// No thread may call anything of the kernel from now on but what a running firmware needs: no new
/// program, listener, or connection over a network. Other calls fail with EPERM.
int32_t clinux_rights_confine(uint32_t rights);

/// Effective capabilities that any thread has, as a bit set (capabilities(7)).
uint64_t clinux_rights_capabilities(void);
/// What /proc says in `Seccomp:`: 0 none, 2 a filter; of the thread that has the least.
int32_t clinux_rights_seccomp(void);
