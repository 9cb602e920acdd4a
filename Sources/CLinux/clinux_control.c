#include "clinux_control.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

// MARK: Files and names

int64_t clinux_control_read_file(const char *path, uint8_t *buffer, size_t capacity) {
  int file = open(path, O_RDONLY | O_CLOEXEC);
  if (file < 0) return -errno;
  size_t count = 0;
  int64_t result;
  for (;;) {
    uint8_t beyond;
    // One byte more than fits tells a file of exactly `capacity` bytes from a longer one.
    ssize_t n = count < capacity ? read(file, buffer + count, capacity - count)
                                 : read(file, &beyond, 1);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) result = -errno;
    if (n == 0) result = (int64_t)count;
    if (n > 0 && count == capacity) result = -EFBIG;
    if (n <= 0 || count == capacity) break;
    count += (size_t)n;
  }
  close(file);
  return result;
}

/// Writes all of `bytes`; 0 or -errno.
static int32_t write_all(int file, const uint8_t *bytes, size_t count) {
  while (count > 0) {
    ssize_t n = write(file, bytes, count);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return n < 0 ? -errno : -ENOSPC;
    bytes += n;
    count -= (size_t)n;
  }
  return 0;
}

int32_t clinux_control_replace_file(const char *path, const uint8_t *bytes, size_t count) {
  char name[4096];
  int length = snprintf(name, sizeof name, "%s.new", path);
  if (length < 0 || (size_t)length >= sizeof name) return -ENAMETOOLONG;
  struct stat old;
  mode_t mode = stat(path, &old) == 0 ? old.st_mode & 07777 : 0640;
  int file = open(name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (file < 0) return -errno;
  int32_t result = write_all(file, bytes, count);
  // The new bytes are on the medium before the name is theirs.
  if (result == 0 && (fchmod(file, mode) != 0 || fsync(file) != 0)) result = -errno;
  close(file);
  if (result == 0 && rename(name, path) != 0) result = -errno;
  if (result != 0) {
    unlink(name);
    return result;
  }
  *strrchr(name, '/') = 0;
  int folder = open(name[0] == 0 ? "/" : name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (folder >= 0) {
    fsync(folder);
    close(folder);
  }
  return 0;
}

void clinux_control_print(int32_t descriptor, const uint8_t *bytes, size_t count) {
  (void)write_all(descriptor, bytes, count);
}

int64_t clinux_control_group(const char *name) {
  char *end;
  errno = 0;
  unsigned long number = strtoul(name, &end, 10);
  if (*name >= '0' && *name <= '9' && *end == 0) {
    return errno == 0 && number < UINT32_MAX ? (int64_t)number : -ENOENT;
  }
  // Not getgrnam: it loads libraries, which a static program cannot rely on.
  FILE *groups = fopen("/etc/group", "re");
  if (groups == NULL) return -errno;
  int64_t result = -ENOENT;
  struct group *group;
  while ((group = fgetgrent(groups)) != NULL) {
    if (strcmp(group->gr_name, name) == 0) {
      result = group->gr_gid;
      break;
    }
  }
  fclose(groups);
  return result;
}

const char *clinux_control_error_text(int32_t error) {
  const char *text = strerrordesc_np(error);
  return text == NULL ? "unknown error" : text;
}

uint32_t clinux_control_user(void) { return geteuid(); }

uint64_t clinux_control_now(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

// MARK: The listening socket

/// Makes the folder of `path` when only that is missing.
static void make_folder(const char *path) {
  char folder[sizeof(((struct sockaddr_un *)0)->sun_path) + 8];
  const char *slash = strrchr(path, '/');
  if (slash == NULL || slash == path || (size_t)(slash - path) >= sizeof folder) return;
  memcpy(folder, path, (size_t)(slash - path));
  folder[slash - path] = 0;
  mkdir(folder, 0755);
}

int32_t clinux_control_lock(const char *lock_path) {
  make_folder(lock_path);
  for (;;) {
    int file = open(lock_path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (file < 0) return -errno;
    if (flock(file, LOCK_EX | LOCK_NB) != 0) {
      int error = errno;
      close(file);
      return -error;
    }
    // Its last holder removes the file: what was locked must still be what others will open.
    struct stat locked, named;
    if (fstat(file, &locked) == 0 && stat(lock_path, &named) == 0 &&
        locked.st_ino == named.st_ino && locked.st_dev == named.st_dev) {
      return file;
    }
    close(file);
  }
}

/// Removes a socket that nobody serves any more.
static int clear_path(const struct sockaddr_un *address) {
  struct stat found;
  if (lstat(address->sun_path, &found) != 0) return errno == ENOENT ? 0 : -errno;
  if (!S_ISSOCK(found.st_mode)) return -EEXIST;
  int probe = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (probe < 0) return -errno;
  int served = connect(probe, (const struct sockaddr *)address, sizeof *address) == 0 ||
               errno != ECONNREFUSED;
  close(probe);
  if (served) return -EADDRINUSE;
  return unlink(address->sun_path) == 0 ? 0 : -errno;
}

int32_t clinux_control_listen(const char *path, uint32_t mode, int64_t group) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  if (strlen(path) >= sizeof address.sun_path) return -ENAMETOOLONG;
  strcpy(address.sun_path, path);
  int error = clear_path(&address);
  if (error != 0) return error;
  int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (listener < 0) return -errno;
  // The permissions before bind are those of the new file: nobody else until its group is set.
  if (fchmod(listener, mode & 0600) != 0 ||
      bind(listener, (struct sockaddr *)&address, sizeof address) != 0) {
    error = -errno;
    close(listener);
    return error;
  }
  if ((group >= 0 && chown(path, (uid_t)-1, (gid_t)group) != 0) || chmod(path, mode) != 0 ||
      listen(listener, 128) != 0) {
    error = -errno;
    unlink(path);
    close(listener);
    return error;
  }
  return listener;
}

void clinux_control_unlink(const char *path) { unlink(path); }

// MARK: Connections

int32_t clinux_control_accept(int32_t listener, uint32_t *user) {
  int descriptor = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
  if (descriptor < 0) return -errno;
  struct ucred peer;
  socklen_t length = sizeof peer;
  if (getsockopt(descriptor, SOL_SOCKET, SO_PEERCRED, &peer, &length) != 0) {
    int error = errno;
    close(descriptor);
    return -error;
  }
  *user = peer.uid;
  return descriptor;
}

int64_t clinux_control_receive(int32_t descriptor, uint8_t *buffer, size_t capacity) {
  ssize_t n = recv(descriptor, buffer, capacity, MSG_DONTWAIT);
  return n < 0 ? -errno : n;
}

int32_t clinux_control_is_member(int32_t descriptor, uint32_t group) {
  struct ucred peer;
  socklen_t length = sizeof peer;
  if (getsockopt(descriptor, SOL_SOCKET, SO_PEERCRED, &peer, &length) != 0) return 0;
  if (peer.gid == group) return 1;
  // NGROUPS_MAX: what a process can have.
  size_t size = 65536 * sizeof(gid_t);
  gid_t *groups = malloc(size);
  if (groups == NULL) return 0;
  length = (socklen_t)size;
  int found = 0;
  if (getsockopt(descriptor, SOL_SOCKET, SO_PEERGROUPS, groups, &length) == 0) {
    for (size_t i = 0; i < length / sizeof(gid_t); i++) found |= groups[i] == group;
  }
  free(groups);
  return found;
}

int64_t clinux_control_send(int32_t descriptor, const uint8_t *bytes, size_t count,
                            int32_t attached) {
  struct iovec part = {.iov_base = (void *)bytes, .iov_len = count};
  struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
  union {
    struct cmsghdr header;
    char space[CMSG_SPACE(sizeof(int))];
  } control;
  if (attached >= 0) {
    message.msg_control = &control;
    message.msg_controllen = sizeof control;
    control.header = (struct cmsghdr){
        .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS, .cmsg_len = CMSG_LEN(sizeof(int))};
    memcpy(CMSG_DATA(&control.header), &attached, sizeof attached);
  }
  ssize_t n = sendmsg(descriptor, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
  return n < 0 ? -errno : n;
}

void clinux_control_close(int32_t descriptor) { close(descriptor); }

// MARK: Waiting

int32_t clinux_control_poller(void) {
  int poller = epoll_create1(EPOLL_CLOEXEC);
  return poller < 0 ? -errno : poller;
}

int32_t clinux_control_watch(int32_t poller, int32_t descriptor, uint32_t readiness,
                             uint64_t token) {
  struct epoll_event event = {.data.u64 = token};
  if (readiness & clinux_control_readable) event.events |= EPOLLIN;
  if (readiness & clinux_control_writable) event.events |= EPOLLOUT;
  if (epoll_ctl(poller, EPOLL_CTL_MOD, descriptor, &event) == 0) return 0;
  if (errno == ENOENT && epoll_ctl(poller, EPOLL_CTL_ADD, descriptor, &event) == 0) return 0;
  return -errno;
}

int32_t clinux_control_wait(int32_t poller, struct clinux_control_event *events, int32_t capacity,
                            int32_t milliseconds) {
  struct epoll_event ready[64];
  if (capacity > 64) capacity = 64;
  int n = epoll_wait(poller, ready, capacity, milliseconds);
  if (n < 0) return errno == EINTR ? 0 : -errno;
  for (int i = 0; i < n; i++) {
    uint32_t readiness = 0;
    if (ready[i].events & EPOLLIN) readiness |= clinux_control_readable;
    if (ready[i].events & EPOLLOUT) readiness |= clinux_control_writable;
    if (ready[i].events & (EPOLLHUP | EPOLLERR)) readiness |= clinux_control_hung_up;
    events[i] = (struct clinux_control_event){
        .token = ready[i].data.u64, .readiness = readiness, .padding = 0};
  }
  return n;
}

int32_t clinux_control_bell(void) {
  int bell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  return bell < 0 ? -errno : bell;
}

void clinux_control_ring(int32_t bell) { eventfd_write(bell, 1); }

// MARK: Threads

_Static_assert(sizeof(struct clinux_control_processors) == sizeof(cpu_set_t), "same 1,024 bits");

int32_t clinux_control_processors_now(struct clinux_control_processors *set) {
  int error = pthread_getaffinity_np(pthread_self(), sizeof *set, (cpu_set_t *)set);
  return -error;
}

void clinux_control_processors_remove(struct clinux_control_processors *set, uint32_t processor) {
  cpu_set_t *processors = (cpu_set_t *)set;
  if (CPU_COUNT(processors) > 1) CPU_CLR(processor, processors);
}

struct start {
  void (*body)(void *);
  void *context;
};

static void *run(void *argument) {
  struct start start = *(struct start *)argument;
  free(argument);
  start.body(start.context);
  return NULL;
}

int32_t clinux_control_thread_start(void (*body)(void *), void *context, const char *name,
                                    const struct clinux_control_processors *set,
                                    uint64_t *thread) {
  struct start *start = malloc(sizeof *start);
  if (start == NULL) return -ENOMEM;
  *start = (struct start){.body = body, .context = context};
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  pthread_attr_setaffinity_np(&attributes, sizeof *set, (const cpu_set_t *)set);
  // A thread inherits the signal mask: signals are for the threads that wait for them.
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  pthread_t started;
  int error = pthread_create(&started, &attributes, run, start);
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  pthread_attr_destroy(&attributes);
  if (error != 0) {
    free(start);
    return -error;
  }
  pthread_setname_np(started, name);
  *thread = (uint64_t)started;
  return 0;
}

void clinux_control_thread_join(uint64_t thread) { pthread_join((pthread_t)thread, NULL); }
