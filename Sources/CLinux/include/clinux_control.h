// Linux calls of the control plane. Only fixed-width types stand here, because Swift for the
// firmware imports this header without any C library headers.
//
// Where not said otherwise a call returns 0 or more when it worked and -errno when not.
#pragma once

#include <stddef.h>
#include <stdint.h>

// MARK: Files and names

/// Bytes of the file at `path`, at most `capacity`; -EFBIG when it is longer.
int64_t clinux_control_read_file(const char *path, uint8_t *buffer, size_t capacity);
/// Puts a file of `count` bytes in place of the one at `path`, which stays as it is when that
/// fails. Permissions stay; a new file has 0640. `path` has a folder.
int32_t clinux_control_replace_file(const char *path, const uint8_t *bytes, size_t count);
/// Writes a message for people; what does not go out is lost.
void clinux_control_print(int32_t descriptor, const uint8_t *bytes, size_t count);
/// The number of a group given by name (from /etc/group) or as digits; -ENOENT when unknown.
int64_t clinux_control_group(const char *name);
/// What an errno means; never NULL.
const char *clinux_control_error_text(int32_t error);
/// The effective user of this process.
uint32_t clinux_control_user(void);
/// Nanoseconds on the monotonic clock.
uint64_t clinux_control_now(void);

// MARK: The listening socket

/// Takes the exclusive lock that guards a socket path, creating the lock file. Returns its
/// descriptor; -EWOULDBLOCK when another process holds it.
int32_t clinux_control_lock(const char *lock_path);
/// Listens at `path`, whose lock the caller holds. A socket that nobody serves is replaced;
/// -EADDRINUSE when somebody does, -EEXIST when something else stands there. The socket belongs
/// to `group` (-1: unchanged) and has the permissions `mode` from its first moment or fewer.
/// A missing last folder of the path is made. Returns the descriptor, not blocking.
int32_t clinux_control_listen(const char *path, uint32_t mode, int64_t group);
/// Removes the file at `path`.
void clinux_control_unlink(const char *path);

// MARK: Connections, all without blocking

/// Accepts a connection and names its user. -EAGAIN when there is none.
int32_t clinux_control_accept(int32_t listener, uint32_t *user);
int64_t clinux_control_receive(int32_t descriptor, uint8_t *buffer, size_t capacity);
/// Whether the process at the other end belongs to `group`: 1 or 0.
int32_t clinux_control_is_member(int32_t descriptor, uint32_t group);
/// -EPIPE when the peer is gone; never a signal. `attached`: a descriptor that the peer gets a copy
/// of with the first byte; -1: none.
int64_t clinux_control_send(int32_t descriptor, const uint8_t *bytes, size_t count,
                            int32_t attached);
void clinux_control_close(int32_t descriptor);

// MARK: Waiting

enum clinux_control_readiness {
  clinux_control_readable = 1,
  clinux_control_writable = 2,
  /// Both directions are shut or broken; reported always.
  clinux_control_hung_up = 4,
};

struct clinux_control_event {
  uint64_t token;
  uint32_t readiness;
  uint32_t padding;
};

/// A descriptor for the calls below.
int32_t clinux_control_poller(void);
/// Adds `descriptor`, or changes what is waited for.
int32_t clinux_control_watch(int32_t poller, int32_t descriptor, uint32_t readiness,
                             uint64_t token);
/// Waits for at most `milliseconds` (-1: for ever). Returns the number of events.
int32_t clinux_control_wait(int32_t poller, struct clinux_control_event *events, int32_t capacity,
                            int32_t milliseconds);
/// A descriptor that becomes readable at `clinux_control_ring`.
int32_t clinux_control_bell(void);
void clinux_control_ring(int32_t bell);

// MARK: Threads

/// A set of processors.
struct clinux_control_processors {
  uint64_t words[16];
};

/// Those on which the calling thread may run.
int32_t clinux_control_processors_now(struct clinux_control_processors *set);
/// Takes one out, unless it is the last.
void clinux_control_processors_remove(struct clinux_control_processors *set, uint32_t processor);
/// Starts a thread with all signals blocked that runs on `set` only.
int32_t clinux_control_thread_start(void (*body)(void *), void *context, const char *name,
                                    const struct clinux_control_processors *set,
                                    uint64_t *thread);
/// Waits for its end.
void clinux_control_thread_join(uint64_t thread);
