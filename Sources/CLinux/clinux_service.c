#include "clinux_service.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "clinux_runtime.h"

// MARK: Service manager

int32_t clinux_service_notify(const char *state) {
  const char *path = getenv("NOTIFY_SOCKET");
  if (path == NULL || (path[0] != '/' && path[0] != '@')) return 0;
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  size_t length = strlen(path);
  if (length >= sizeof address.sun_path) return -ENAMETOOLONG;
  memcpy(address.sun_path, path, length);
  // An abstract name begins with a zero byte and has no end mark.
  if (path[0] == '@') address.sun_path[0] = 0;
  int descriptor = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (descriptor < 0) return -errno;
  socklen_t size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length);
  ssize_t sent = sendto(descriptor, state, strlen(state), MSG_NOSIGNAL,
                        (const struct sockaddr *)&address, size);
  int error = errno;
  close(descriptor);
  return sent < 0 ? -error : 0;
}

uint64_t clinux_service_watchdog(void) {
  const char *period = getenv("WATCHDOG_USEC"), *process = getenv("WATCHDOG_PID");
  if (period == NULL) return 0;
  if (process != NULL && strtoul(process, NULL, 10) != (unsigned long)getpid()) return 0;
  return strtoull(period, NULL, 10) * 1000;
}

// MARK: Asking a firmware

static uint64_t now_milliseconds(void) { return clinux_monotonic_nanoseconds() / 1000000; }

/// 0 when the socket is ready for `events`, -ETIMEDOUT after the deadline.
static int await(int descriptor, short events, uint64_t deadline) {
  for (;;) {
    uint64_t now = now_milliseconds();
    if (now >= deadline) return -ETIMEDOUT;
    struct pollfd wait = {.fd = descriptor, .events = events};
    int count = poll(&wait, 1, (int)(deadline - now));
    if (count > 0) return 0;
    if (count < 0 && errno != EINTR) return -errno;
  }
}

static int64_t exchange(int descriptor, const uint8_t *request, size_t count, uint8_t *reply,
                        size_t capacity, uint64_t deadline) {
  while (count > 0) {
    int error = await(descriptor, POLLOUT, deadline);
    if (error != 0) return error;
    ssize_t sent = send(descriptor, request, count, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent < 0 && (errno == EINTR || errno == EAGAIN)) continue;
    // Who is turned away is told why before the connection closes: look for that.
    if (sent < 0) break;
    request += sent;
    count -= (size_t)sent;
  }
  size_t got = 0;
  for (;;) {
    int error = await(descriptor, POLLIN, deadline);
    if (error != 0) return error;
    ssize_t n = recv(descriptor, reply + got, capacity - got, MSG_DONTWAIT);
    if (n < 0 && (errno == EINTR || errno == EAGAIN)) continue;
    if (n < 0) return -errno;
    if (n == 0) return -ENODATA;
    uint8_t *end = memchr(reply + got, '\n', (size_t)n);
    if (end != NULL) return end - reply;
    got += (size_t)n;
    if (got == capacity) return -EFBIG;
  }
}

int64_t clinux_service_ask(const char *path, const uint8_t *request, size_t count,
                           uint8_t *reply, size_t capacity, uint32_t milliseconds) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  if (strlen(path) >= sizeof address.sun_path) return -ENAMETOOLONG;
  strcpy(address.sun_path, path);
  int descriptor = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (descriptor < 0) return -errno;
  int64_t result;
  if (connect(descriptor, (const struct sockaddr *)&address, sizeof address) != 0) {
    result = -errno;
  } else {
    result = exchange(descriptor, request, count, reply, capacity,
                      now_milliseconds() + milliseconds);
  }
  close(descriptor);
  return result;
}

// MARK: Statistics

int32_t clinux_service_shared_memory(uint64_t byte_count, uintptr_t *address) {
  int descriptor = memfd_create("dpu-statistics", MFD_CLOEXEC | MFD_ALLOW_SEALING);
  if (descriptor < 0) return -errno;
  int error = 0;
  void *memory = MAP_FAILED;
  if (ftruncate(descriptor, (off_t)byte_count) != 0) error = errno;
  if (error == 0) {
    memory = mmap(NULL, byte_count, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0);
    if (memory == MAP_FAILED) error = errno;
  }
  // Our own mapping stays writable, new ones are not.
  const int seals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_FUTURE_WRITE | F_SEAL_SEAL;
  if (error == 0 && fcntl(descriptor, F_ADD_SEALS, seals) != 0) error = errno;
  if (error != 0) {
    if (memory != MAP_FAILED) munmap(memory, byte_count);
    close(descriptor);
    return -error;
  }
  *address = (uintptr_t)memory;
  return descriptor;
}

void clinux_service_publish(uintptr_t address, uint64_t value) {
  __atomic_store_n((uint64_t *)address, value, __ATOMIC_RELEASE);
}

uint64_t clinux_service_observe(uintptr_t address) {
  return __atomic_load_n((const uint64_t *)address, __ATOMIC_ACQUIRE);
}
