#include "clinux_link.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

// Runs inside a broker that looks at errno, and the shim interposes close, connect, accept and
// others: what has an interposed name goes to the kernel directly here.
static long kernel_close(int descriptor) { return syscall(SYS_close, descriptor); }

#define KEEP_ERRNO(type, expression)                                                              \
  ({                                                                                              \
    int saved = errno;                                                                            \
    type result = (expression);                                                                   \
    if (result < 0) result = -errno;                                                              \
    errno = saved;                                                                                \
    result;                                                                                       \
  })

int32_t clinux_link_errno(void) { return errno; }
void clinux_link_set_errno(int32_t error) { errno = error; }

uint64_t clinux_link_clock(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

const char *clinux_link_environment(const char *name) { return secure_getenv(name); }

int32_t clinux_link_epoll_create(void) { return KEEP_ERRNO(int, epoll_create1(EPOLL_CLOEXEC)); }

static uint32_t epoll_bits(uint32_t events) {
  uint32_t bits = 0;
  if (events & CLINUX_LINK_READABLE) bits |= EPOLLIN;
  if (events & CLINUX_LINK_WRITABLE) bits |= EPOLLOUT;
  if (events & CLINUX_LINK_PEER_SHUT) bits |= EPOLLRDHUP;
  if (events & CLINUX_LINK_EDGE) bits |= EPOLLET;
  return bits;
}

static int32_t epoll_change(int32_t epoll, int operation, int32_t descriptor, uint32_t events,
                            uint64_t tag) {
  struct epoll_event event = {.events = epoll_bits(events), .data.u64 = tag};
  return KEEP_ERRNO(int, epoll_ctl(epoll, operation, descriptor, &event));
}

int32_t clinux_link_epoll_add(int32_t epoll, int32_t descriptor, uint32_t events, uint64_t tag) {
  return epoll_change(epoll, EPOLL_CTL_ADD, descriptor, events, tag);
}

int32_t clinux_link_epoll_modify(int32_t epoll, int32_t descriptor, uint32_t events, uint64_t tag) {
  return epoll_change(epoll, EPOLL_CTL_MOD, descriptor, events, tag);
}

int32_t clinux_link_epoll_wait(int32_t epoll, struct clinux_link_event *events, int32_t events_max,
                            int32_t timeout_ms) {
  struct epoll_event ready[256];
  if (events_max > 256) events_max = 256;
  int32_t count = KEEP_ERRNO(int, epoll_wait(epoll, ready, events_max, timeout_ms));
  if (count == -EINTR) return 0;
  for (int32_t i = 0; i < count; i++) {
    uint32_t bits = ready[i].events;
    events[i].tag = ready[i].data.u64;
    events[i].events = (bits & EPOLLIN ? CLINUX_LINK_READABLE : 0) |
                       (bits & EPOLLOUT ? CLINUX_LINK_WRITABLE : 0) |
                       (bits & EPOLLRDHUP ? CLINUX_LINK_PEER_SHUT : 0) |
                       (bits & (EPOLLHUP | EPOLLERR) ? CLINUX_LINK_HUNG_UP : 0);
  }
  return count;
}

int32_t clinux_link_wait_readable(int32_t descriptor, int32_t timeout_ms) {
  struct pollfd entry = {.fd = descriptor, .events = POLLIN};
  return KEEP_ERRNO(int, poll(&entry, 1, timeout_ms));
}

int32_t clinux_link_is_hung_up(int32_t descriptor) {
  struct pollfd entry = {.fd = descriptor};
  return KEEP_ERRNO(int, poll(&entry, 1, 0)) == 1 && (entry.revents & POLLHUP);
}

int32_t clinux_link_eventfd(int32_t semaphore) {
  return KEEP_ERRNO(int, eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK | (semaphore ? EFD_SEMAPHORE : 0)));
}

void clinux_link_eventfd_ring(int32_t descriptor) {
  uint64_t one = 1;
  (void)KEEP_ERRNO(ssize_t, write(descriptor, &one, sizeof one));
}

void clinux_link_eventfd_take(int32_t descriptor) {
  uint64_t value;
  (void)KEEP_ERRNO(ssize_t, read(descriptor, &value, sizeof value));
}

int32_t clinux_link_socketpair(int32_t descriptors[2]) {
  return KEEP_ERRNO(int, socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, descriptors));
}

int32_t clinux_link_unix_connect(const char *path) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  if (strlen(path) >= sizeof address.sun_path) return -ENAMETOOLONG;
  strcpy(address.sun_path, path);
  int32_t descriptor =
      KEEP_ERRNO(int, socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (descriptor < 0) return descriptor;
  long result = KEEP_ERRNO(long, syscall(SYS_connect, descriptor, &address, sizeof address));
  if (result == 0) return descriptor;
  kernel_close(descriptor);
  return (int32_t)result;
}

void clinux_link_close(int32_t descriptor) { (void)KEEP_ERRNO(long, kernel_close(descriptor)); }

int64_t clinux_link_send(int32_t descriptor, const void *bytes, uint64_t count) {
  return KEEP_ERRNO(ssize_t, send(descriptor, bytes, count, MSG_DONTWAIT | MSG_NOSIGNAL));
}

int64_t clinux_link_receive(int32_t descriptor, void *bytes, uint64_t count) {
  return KEEP_ERRNO(ssize_t, recv(descriptor, bytes, count, MSG_DONTWAIT));
}

union descriptor_message {
  char bytes[CMSG_SPACE(CLINUX_LINK_DESCRIPTORS_MAX * sizeof(int32_t))];
  struct cmsghdr alignment;
};

int32_t clinux_link_send_descriptors(int32_t descriptor, const void *bytes, uint32_t count,
                                  const int32_t *descriptors, uint32_t descriptor_count) {
  if (descriptor_count == 0 || descriptor_count > CLINUX_LINK_DESCRIPTORS_MAX) return -EINVAL;
  union descriptor_message control;
  memset(&control, 0, sizeof control);
  struct iovec part = {.iov_base = (void *)bytes, .iov_len = count};
  struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = control.bytes};
  message.msg_controllen = CMSG_SPACE(descriptor_count * sizeof(int32_t));
  struct cmsghdr *header = CMSG_FIRSTHDR(&message);
  header->cmsg_level = SOL_SOCKET;
  header->cmsg_type = SCM_RIGHTS;
  header->cmsg_len = CMSG_LEN(descriptor_count * sizeof(int32_t));
  memcpy(CMSG_DATA(header), descriptors, descriptor_count * sizeof(int32_t));
  ssize_t sent = KEEP_ERRNO(ssize_t, sendmsg(descriptor, &message, MSG_DONTWAIT | MSG_NOSIGNAL));
  if (sent < 0) return (int32_t)sent;
  return sent == (ssize_t)count ? 0 : -EMSGSIZE;
}

int64_t clinux_link_receive_descriptors(int32_t descriptor, void *bytes, uint32_t count,
                                     int32_t *descriptors, uint32_t *descriptor_count) {
  union descriptor_message control;
  struct iovec part = {.iov_base = bytes, .iov_len = count};
  struct msghdr message = {.msg_iov = &part,
                           .msg_iovlen = 1,
                           .msg_control = control.bytes,
                           .msg_controllen = sizeof control.bytes};
  *descriptor_count = 0;
  ssize_t received =
      KEEP_ERRNO(ssize_t, recvmsg(descriptor, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC));
  if (received < 0) return received;
  for (struct cmsghdr *header = CMSG_FIRSTHDR(&message); header;
       header = CMSG_NXTHDR(&message, header)) {
    if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS) continue;
    uint32_t came = (uint32_t)((header->cmsg_len - CMSG_LEN(0)) / sizeof(int32_t));
    memcpy(descriptors, CMSG_DATA(header), came * sizeof(int32_t));
    *descriptor_count = came;
  }
  return received;
}

void clinux_link_shutdown_write(int32_t descriptor) {
  (void)KEEP_ERRNO(int, shutdown(descriptor, SHUT_WR));
}

int32_t clinux_link_unread(int32_t descriptor) {
  int count = 0;
  int32_t result = KEEP_ERRNO(int, ioctl(descriptor, FIONREAD, &count));
  return result < 0 ? result : count;
}

int32_t clinux_link_memory_create(uint64_t byte_count) {
  int32_t descriptor = KEEP_ERRNO(int, memfd_create("dpu-hostlink", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (descriptor < 0) return descriptor;
  int32_t result = KEEP_ERRNO(int, ftruncate(descriptor, (off_t)byte_count));
  if (result == 0)
    result = KEEP_ERRNO(int, fcntl(descriptor, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL));
  if (result == 0) return descriptor;
  kernel_close(descriptor);
  return result;
}

uintptr_t clinux_link_memory_map(int32_t descriptor, uint64_t byte_count) {
  int saved = errno;
  struct stat status;
  int seals = fcntl(descriptor, F_GET_SEALS);
  uintptr_t address = 0;
  if (seals >= 0 && (seals & F_SEAL_SHRINK) && fstat(descriptor, &status) == 0 &&
      (uint64_t)status.st_size >= byte_count) {
    void *mapped = mmap(NULL, byte_count, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0);
    if (mapped != MAP_FAILED) {
      madvise(mapped, byte_count, MADV_DONTFORK);
      address = (uintptr_t)mapped;
    }
  }
  errno = saved;
  return address;
}

void clinux_link_memory_unmap(uintptr_t address, uint64_t byte_count) {
  (void)KEEP_ERRNO(int, munmap((void *)address, byte_count));
}

uintptr_t clinux_link_reserve(uint64_t byte_count) {
  int saved = errno;
  void *mapped = mmap(NULL, byte_count, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  errno = saved;
  return mapped == MAP_FAILED ? 0 : (uintptr_t)mapped;
}

uint64_t clinux_link_raise_descriptor_limit(uint64_t wanted) {
  int saved = errno;
  struct rlimit limit;
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return 0;
  if (limit.rlim_cur < wanted) {
    limit.rlim_cur = wanted < limit.rlim_max ? wanted : limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    getrlimit(RLIMIT_NOFILE, &limit);
  }
  errno = saved;
  return limit.rlim_cur;
}

static void *run_thread(void *body) {
  ((void (*)(void))body)();
  return NULL;
}

int32_t clinux_link_thread_start(void (*body)(void), const char *name) {
  sigset_t all, before;
  pthread_attr_t attributes;
  pthread_t thread;
  sigfillset(&all);
  pthread_attr_init(&attributes);
  pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
  pthread_attr_setstacksize(&attributes, 256 * 1024);
  // The new thread inherits the mask: the broker's handlers never run on it.
  pthread_sigmask(SIG_SETMASK, &all, &before);
  int result = pthread_create(&thread, &attributes, run_thread, (void *)body);
  if (result == 0) pthread_setname_np(thread, name);
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  pthread_attr_destroy(&attributes);
  return -result;
}

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

void clinux_link_lock(void) { pthread_mutex_lock(&lock); }
void clinux_link_unlock(void) { pthread_mutex_unlock(&lock); }

static void (*fork_child)(void);

static void after_fork(void) {
  fork_child();
  pthread_mutex_unlock(&lock);
}

void clinux_link_at_fork(void (*child)(void)) {
  fork_child = child;
  pthread_atfork(clinux_link_lock, clinux_link_unlock, after_fork);
}

void clinux_link_log(const char *path, const char *text, int64_t number) {
  int saved = errno;
  struct timespec now;
  char line[256];
  clock_gettime(CLOCK_REALTIME, &now);
  int length = snprintf(line, sizeof line, "%lld.%03ld dpushim[%d]: %s", (long long)now.tv_sec,
                        now.tv_nsec / 1000000, (int)getpid(), text);
  if (length < 200 && number != INT64_MIN)
    length += snprintf(line + length, sizeof line - (size_t)length, " %lld", (long long)number);
  line[length++] = '\n';
  int standard = strcmp(path, "-") == 0;
  int descriptor =
      standard ? 2 : open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0640);
  if (descriptor >= 0) {
    if (write(descriptor, line, (size_t)length) < 0) length = 0;
    if (!standard) kernel_close(descriptor);
  }
  errno = saved;
}
