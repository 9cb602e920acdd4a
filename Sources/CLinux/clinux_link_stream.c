// TCP between the firmware and a broker on another machine.
#include <arpa/inet.h>
#include <errno.h>
#include <linux/futex.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "clinux_link.h"

// As in clinux_link.c: nothing here goes through a function that the shim interposes, and errno is
// the broker's.
#define CALL(...)                        \
  ({                                     \
    int saved = errno;                   \
    long result = syscall(__VA_ARGS__);  \
    if (result < 0) result = -errno;     \
    errno = saved;                       \
    result;                              \
  })

union name {
  struct sockaddr any;
  struct sockaddr_in ipv4;
  struct sockaddr_in6 ipv6;
};

static void store_bytes(uint8_t *bytes, uint64_t value) {
  for (int i = 0; i < 8; i++) bytes[i] = (uint8_t)(value >> (56 - 8 * i));
}

static uint64_t load_bytes(const uint8_t *bytes) {
  uint64_t value = 0;
  for (int i = 0; i < 8; i++) value = value << 8 | bytes[i];
  return value;
}

/// IPv4 addresses are in their v4-mapped form. Returns the length.
static socklen_t make_name(union name *name, struct clinux_link_address address) {
  memset(name, 0, sizeof *name);
  if (address.high == 0 && address.low >> 32 == 0xffff) {
    name->ipv4.sin_family = AF_INET;
    name->ipv4.sin_port = htons(address.port);
    name->ipv4.sin_addr.s_addr = htonl((uint32_t)address.low);
    return sizeof name->ipv4;
  }
  name->ipv6.sin6_family = AF_INET6;
  name->ipv6.sin6_port = htons(address.port);
  store_bytes(name->ipv6.sin6_addr.s6_addr, address.high);
  store_bytes(name->ipv6.sin6_addr.s6_addr + 8, address.low);
  return sizeof name->ipv6;
}

static struct clinux_link_address read_name(const union name *name) {
  struct clinux_link_address address = {0};
  if (name->any.sa_family == AF_INET) {
    address.low = 0xffff00000000u | ntohl(name->ipv4.sin_addr.s_addr);
    address.port = ntohs(name->ipv4.sin_port);
  } else if (name->any.sa_family == AF_INET6) {
    address.high = load_bytes(name->ipv6.sin6_addr.s6_addr);
    address.low = load_bytes(name->ipv6.sin6_addr.s6_addr + 8);
    address.port = ntohs(name->ipv6.sin6_port);
  }
  return address;
}

int32_t clinux_link_parse_place(const char *text, struct clinux_link_address *address) {
  static const char prefix[] = "tcp:";
  if (strncmp(text, prefix, sizeof prefix - 1) != 0) return 0;
  text += sizeof prefix - 1;
  char host[INET6_ADDRSTRLEN];
  uint8_t bytes[16] = {[10] = 0xff, [11] = 0xff};
  const char *colon = strrchr(text, ':');
  if (colon == NULL) return -EINVAL;
  int is_ipv6 = text[0] == '[' && colon > text && colon[-1] == ']';
  const char *start = text + is_ipv6;
  size_t length = (size_t)(colon - is_ipv6 - start);
  if (length >= sizeof host) return -EINVAL;
  memcpy(host, start, length);
  host[length] = 0;
  if (inet_pton(is_ipv6 ? AF_INET6 : AF_INET, host, is_ipv6 ? bytes : bytes + 12) != 1)
    return -EINVAL;
  uint32_t port = 0;
  for (const char *digit = colon + 1; *digit; digit++) {
    if (*digit < '0' || *digit > '9' || port > 65535) return -EINVAL;
    port = port * 10 + (uint32_t)(*digit - '0');
  }
  if (port == 0 || port > 65535) return -EINVAL;
  address->high = load_bytes(bytes);
  address->low = load_bytes(bytes + 8);
  address->port = (uint16_t)port;
  return 1;
}

static long make_socket(int family) {
  return CALL(SYS_socket, family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
}

static long set_option(int32_t descriptor, int level, int option) {
  int one = 1;
  return CALL(SYS_setsockopt, descriptor, level, option, &one, sizeof one);
}

int32_t clinux_link_tcp_listen(struct clinux_link_address address) {
  union name name;
  socklen_t length = make_name(&name, address);
  long descriptor = make_socket(name.any.sa_family);
  if (descriptor < 0) return (int32_t)descriptor;
  long result = set_option((int32_t)descriptor, SOL_SOCKET, SO_REUSEADDR);
  if (result == 0) result = CALL(SYS_bind, descriptor, &name, length);
  // One broker, with a connection for each worker and one for control; and those who keep trying.
  if (result == 0) result = CALL(SYS_listen, descriptor, 64);
  if (result == 0) return (int32_t)descriptor;
  clinux_link_close((int32_t)descriptor);
  return (int32_t)result;
}

int32_t clinux_link_tcp_accept(int32_t listener, struct clinux_link_address *peer) {
  union name name;
  socklen_t length = sizeof name;
  long descriptor =
      CALL(SYS_accept4, listener, &name, &length, SOCK_CLOEXEC | SOCK_NONBLOCK);
  if (descriptor < 0) return (int32_t)descriptor;
  *peer = read_name(&name);
  set_option((int32_t)descriptor, IPPROTO_TCP, TCP_NODELAY);
  return (int32_t)descriptor;
}

int32_t clinux_link_tcp_connect(struct clinux_link_address address) {
  union name name;
  socklen_t length = make_name(&name, address);
  long descriptor = make_socket(name.any.sa_family);
  if (descriptor < 0) return (int32_t)descriptor;
  set_option((int32_t)descriptor, IPPROTO_TCP, TCP_NODELAY);
  long result = CALL(SYS_connect, descriptor, &name, length);
  if (result == 0 || result == -EINPROGRESS) return (int32_t)descriptor;
  clinux_link_close((int32_t)descriptor);
  return (int32_t)result;
}

void clinux_link_reset(int32_t descriptor) {
  struct linger linger = {.l_onoff = 1, .l_linger = 0};
  CALL(SYS_setsockopt, descriptor, SOL_SOCKET, SO_LINGER, &linger, sizeof linger);
  clinux_link_close(descriptor);
}

static struct msghdr make_message(struct iovec parts[2], uintptr_t first, uint64_t first_count,
                                  uintptr_t second, uint64_t second_count) {
  parts[0] = (struct iovec){.iov_base = (void *)first, .iov_len = first_count};
  parts[1] = (struct iovec){.iov_base = (void *)second, .iov_len = second_count};
  return (struct msghdr){.msg_iov = parts, .msg_iovlen = second_count > 0 ? 2 : 1};
}

int64_t clinux_link_send_parts(int32_t descriptor, uintptr_t first, uint64_t first_count,
                               uintptr_t second, uint64_t second_count) {
  struct iovec parts[2];
  struct msghdr message = make_message(parts, first, first_count, second, second_count);
  return CALL(SYS_sendmsg, descriptor, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
}

int64_t clinux_link_receive_parts(int32_t descriptor, uintptr_t first, uint64_t first_count,
                                  uintptr_t second, uint64_t second_count) {
  struct iovec parts[2];
  struct msghdr message = make_message(parts, first, first_count, second, second_count);
  return CALL(SYS_recvmsg, descriptor, &message, MSG_DONTWAIT);
}

uintptr_t clinux_link_memory_private(uint64_t byte_count) {
  uintptr_t address = clinux_link_reserve(byte_count);
  if (address != 0) CALL(SYS_madvise, address, byte_count, MADV_DONTFORK);
  return address;
}

static _Atomic uint32_t news;

uint32_t clinux_link_news(void) { return atomic_load(&news); }

void clinux_link_news_announce(void) {
  atomic_fetch_add(&news, 1);
  CALL(SYS_futex, &news, FUTEX_WAKE_PRIVATE, INT32_MAX, NULL, NULL, 0);
}

void clinux_link_news_wait(uint32_t seen, int32_t timeout_ms) {
  struct timespec timeout = {.tv_sec = timeout_ms / 1000,
                             .tv_nsec = timeout_ms % 1000 * 1000000L};
  CALL(SYS_futex, &news, FUTEX_WAIT_PRIVATE, seen, &timeout, NULL, 0);
}
