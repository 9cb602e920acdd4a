// System calls of the link between the firmware and the shim in the broker.
// Results: 0 or a count or a descriptor; a negative errno on failure. `errno` is left alone.
#pragma once
#include <stdint.h>

// Descriptors carried by one message: three for each ring pair.
#define CLINUX_LINK_DESCRIPTORS_MAX 96

enum {
  CLINUX_LINK_READABLE = 1 << 0,
  CLINUX_LINK_WRITABLE = 1 << 1,
  // The peer of a stream will write no more.
  CLINUX_LINK_PEER_SHUT = 1 << 2,
  // Closed in both directions, or failed.
  CLINUX_LINK_HUNG_UP = 1 << 3,
  // Report each change once instead of a state.
  CLINUX_LINK_EDGE = 1 << 4,
};

struct clinux_link_event {
  uint64_t tag;
  uint32_t events;
};

int32_t clinux_link_errno(void);
void clinux_link_set_errno(int32_t error);
// Monotonic, in nanoseconds.
uint64_t clinux_link_clock(void);
// NULL when unset, or when the process gained privileges by its executable.
const char *clinux_link_environment(const char *name);

int32_t clinux_link_epoll_create(void);
int32_t clinux_link_epoll_add(int32_t epoll, int32_t descriptor, uint32_t events, uint64_t tag);
int32_t clinux_link_epoll_modify(int32_t epoll, int32_t descriptor, uint32_t events, uint64_t tag);
// At most 256 events; timeout in milliseconds, -1 for none. Interrupted: 0 events.
int32_t clinux_link_epoll_wait(int32_t epoll, struct clinux_link_event *events, int32_t events_max,
                            int32_t timeout_ms);
// Waits for readability or hang-up. 1, 0 after the timeout, negative errno (EINTR included).
int32_t clinux_link_wait_readable(int32_t descriptor, int32_t timeout_ms);
// Whether a stream is closed in both directions.
int32_t clinux_link_is_hung_up(int32_t descriptor);

// A counter that starts at 0. `semaphore`: reading takes one, else all.
int32_t clinux_link_eventfd(int32_t semaphore);
void clinux_link_eventfd_ring(int32_t descriptor);
void clinux_link_eventfd_take(int32_t descriptor);

int32_t clinux_link_socketpair(int32_t descriptors[2]);
int32_t clinux_link_unix_connect(const char *path);
void clinux_link_close(int32_t descriptor);

// Never block, never raise SIGPIPE.
int64_t clinux_link_send(int32_t descriptor, const void *bytes, uint64_t count);
int64_t clinux_link_receive(int32_t descriptor, void *bytes, uint64_t count);
int32_t clinux_link_send_descriptors(int32_t descriptor, const void *bytes, uint32_t count,
                                  const int32_t *descriptors, uint32_t descriptor_count);
// Bytes received; fills as many descriptors as came, closed on exec.
int64_t clinux_link_receive_descriptors(int32_t descriptor, void *bytes, uint32_t count,
                                     int32_t *descriptors, uint32_t *descriptor_count);
void clinux_link_shutdown_write(int32_t descriptor);
// Bytes that wait to be read.
int32_t clinux_link_unread(int32_t descriptor);

// Shared memory that neither side can shrink under the other.
int32_t clinux_link_memory_create(uint64_t byte_count);
// Its address; 0 when it is smaller than `byte_count`, can shrink, or does not map. Not inherited
// by a fork.
uintptr_t clinux_link_memory_map(int32_t descriptor, uint64_t byte_count);
void clinux_link_memory_unmap(uintptr_t address, uint64_t byte_count);
// Zeroed pages that cost nothing until touched; 0 on failure.
uintptr_t clinux_link_reserve(uint64_t byte_count);

// Lifts the limit of open descriptors as far as allowed; returns it.
uint64_t clinux_link_raise_descriptor_limit(uint64_t wanted);

// A detached thread that gets no signal.
int32_t clinux_link_thread_start(void (*body)(void), const char *name);
// A lock for the whole process, for the shim.
void clinux_link_lock(void);
void clinux_link_unlock(void);
// Called with the lock taken around a fork; `child` in the new process, its lock free again.
void clinux_link_at_fork(void (*child)(void));

// Appends one line, time first, to the file; standard error for "-".
void clinux_link_log(const char *path, const char *text, int64_t number);

// IPv6, or IPv4 in its v4-mapped form: the bytes as two numbers, most significant first.
struct clinux_link_address {
  uint64_t high, low;
  uint16_t port;
};

// 1 for "tcp:192.0.2.1:1000" or "tcp:[2001:db8::1]:1000"; 0 for what does not begin with "tcp:", a
// path then; else a negative errno.
int32_t clinux_link_parse_place(const char *text, struct clinux_link_address *address);
// TCP sockets that do not block and are closed on exec. A connection may still be under way when
// `connect` returns: it is writable once it stands, and the first send fails when it does not.
int32_t clinux_link_tcp_listen(struct clinux_link_address address);
int32_t clinux_link_tcp_accept(int32_t listener, struct clinux_link_address *peer);
int32_t clinux_link_tcp_connect(struct clinux_link_address address);
// Closes, and what was not sent yet is never sent.
void clinux_link_reset(int32_t descriptor);
// As send and receive, with two runs of memory; the second may be empty.
int64_t clinux_link_send_parts(int32_t descriptor, uintptr_t first, uint64_t first_count,
                               uintptr_t second, uint64_t second_count);
int64_t clinux_link_receive_parts(int32_t descriptor, uintptr_t first, uint64_t first_count,
                                  uintptr_t second, uint64_t second_count);
// Zeroed memory of this process alone, not inherited by a fork; 0 on failure.
uintptr_t clinux_link_memory_private(uint64_t byte_count);

// A number that grows with each announcement. Waiting ends when it is no longer `seen`, when the
// time is over, or for no reason.
uint32_t clinux_link_news(void);
void clinux_link_news_announce(void);
void clinux_link_news_wait(uint32_t seen, int32_t timeout_ms);
