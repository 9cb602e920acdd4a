// Giving up rights: capabilities of all threads, and a filter of system calls.
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "clinux_service.h"

// MARK: Threads

/// Calls `visit` with the number of each thread of this process.
static int each_thread(int (*visit)(int thread, void *context), void *context) {
  DIR *threads = opendir("/proc/self/task");
  if (threads == NULL) return -errno;
  int result = 0;
  struct dirent *entry;
  while (result == 0 && (entry = readdir(threads)) != NULL) {
    int thread = atoi(entry->d_name);
    if (thread > 0) result = visit(thread, context);
  }
  closedir(threads);
  return result;
}

struct status_search {
  const char *key;
  int base;
  int take_least;
  uint64_t result;
};

/// Reads one number of a thread's status, and keeps the union or the least.
static int read_status(int thread, void *context) {
  struct status_search *search = context;
  char path[64], line[256];
  snprintf(path, sizeof path, "/proc/self/task/%d/status", thread);
  FILE *file = fopen(path, "re");
  if (file == NULL) return 0;
  size_t length = strlen(search->key);
  while (fgets(line, sizeof line, file) != NULL) {
    if (strncmp(line, search->key, length) != 0) continue;
    uint64_t value = strtoull(line + length, NULL, search->base);
    if (!search->take_least) {
      search->result |= value;
    } else if (value < search->result) {
      search->result = value;
    }
  }
  fclose(file);
  return 0;
}

uint64_t clinux_rights_capabilities(void) {
  struct status_search search = {.key = "CapEff:", .base = 16};
  each_thread(read_status, &search);
  return search.result;
}

int32_t clinux_rights_seccomp(void) {
  struct status_search search = {
      .key = "Seccomp:", .base = 10, .take_least = 1, .result = UINT64_MAX};
  each_thread(read_status, &search);
  return search.result == UINT64_MAX ? 0 : (int32_t)search.result;
}

// MARK: Capabilities

static uint64_t kept;
static atomic_int followed, refused;

static int give_up(void) {
  struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
  struct __user_cap_data_struct data[2];
  if (syscall(SYS_capget, &header, data) != 0) return -errno;
  // Only what it had: asking for more would fail.
  for (int i = 0; i < 2; i++) {
    uint32_t keep = (uint32_t)(kept >> (32 * i)) & data[i].permitted;
    data[i] = (struct __user_cap_data_struct){.effective = keep, .permitted = keep};
  }
  header.pid = 0;
  prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return -errno;
  return syscall(SYS_capset, &header, data) == 0 ? 0 : -errno;
}

/// Capabilities belong to threads, and only a thread itself can give them up.
static void on_give_up(int signal) {
  (void)signal;
  int error = errno;
  if (give_up() != 0) atomic_store(&refused, 1);
  atomic_fetch_add(&followed, 1);
  errno = error;
}

struct summons {
  int signal;
  int sent;
};

static int summon(int thread, void *context) {
  struct summons *summons = context;
  if (thread == (int)syscall(SYS_gettid)) return 0;
  if (syscall(SYS_tgkill, getpid(), thread, summons->signal) == 0) summons->sent++;
  return 0;
}

int32_t clinux_rights_drop(uint32_t rights) {
  kept = 0;
  if (rights & clinux_rights_network) {
    kept |= 1ull << CAP_NET_ADMIN | 1ull << CAP_NET_RAW;
  }
  if (rights & clinux_rights_xdp) kept |= 1ull << CAP_NET_ADMIN | 1ull << CAP_BPF;
  struct sigaction action, before;
  memset(&action, 0, sizeof action);
  action.sa_handler = on_give_up;
  action.sa_flags = SA_RESTART;
  sigfillset(&action.sa_mask);
  struct summons summons = {.signal = SIGRTMIN + 7, .sent = 0};
  if (sigaction(summons.signal, &action, &before) != 0) return -errno;
  atomic_store(&followed, 0);
  atomic_store(&refused, 0);
  int error = each_thread(summon, &summons);
  if (error == 0) error = give_up();
  struct timespec pause = {.tv_nsec = 1000000};
  for (int i = 0; error == 0 && atomic_load(&followed) < summons.sent; i++) {
    if (i == 2000) error = -ETIMEDOUT;
    nanosleep(&pause, NULL);
  }
  if (error == 0 && atomic_load(&refused)) error = -EPERM;
  sigaction(summons.signal, &before, NULL);
  return error;
}

// MARK: System calls

#if defined(__x86_64__)
#define OWN_ARCHITECTURE AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define OWN_ARCHITECTURE AUDIT_ARCH_AARCH64
#endif

/// What a running firmware calls, with its drivers.
static const uint16_t allowed[] = {
    SYS_read, SYS_write, SYS_readv, SYS_writev, SYS_pread64, SYS_pwrite64, SYS_lseek, SYS_close,
    SYS_fstat, SYS_newfstatat, SYS_statx, SYS_openat, SYS_unlinkat, SYS_renameat, SYS_renameat2,
    SYS_fsync, SYS_fdatasync, SYS_fchmod, SYS_fchown, SYS_ftruncate, SYS_flock, SYS_fcntl,
    SYS_getdents64, SYS_readlinkat, SYS_faccessat, SYS_memfd_create, SYS_ioctl,
    SYS_mmap, SYS_munmap, SYS_mprotect, SYS_mremap, SYS_madvise, SYS_brk, SYS_membarrier,
    SYS_get_mempolicy, SYS_mbind,
    SYS_rt_sigaction, SYS_rt_sigprocmask, SYS_rt_sigreturn, SYS_sigaltstack, SYS_tgkill, SYS_kill,
    SYS_restart_syscall, SYS_exit, SYS_exit_group, SYS_futex, SYS_set_robust_list, SYS_rseq,
    SYS_sched_yield, SYS_sched_getaffinity, SYS_sched_setaffinity, SYS_nanosleep,
    SYS_clock_nanosleep, SYS_clock_gettime, SYS_gettimeofday, SYS_getrandom, SYS_getpid, SYS_gettid,
    SYS_geteuid, SYS_getuid, SYS_getgid, SYS_getegid, SYS_sysinfo, SYS_uname, SYS_prctl,
    SYS_epoll_create1, SYS_epoll_ctl, SYS_epoll_pwait, SYS_ppoll, SYS_eventfd2, SYS_timerfd_settime,
    SYS_accept4, SYS_accept, SYS_recvfrom, SYS_recvmsg, SYS_recvmmsg, SYS_sendto, SYS_sendmsg,
    SYS_sendmmsg, SYS_shutdown, SYS_getsockopt, SYS_setsockopt, SYS_getsockname, SYS_getpeername,
    SYS_connect, SYS_socketpair, SYS_pipe2, SYS_dup, SYS_dup3, SYS_timerfd_create,
    SYS_timerfd_gettime, SYS_prlimit64, SYS_getrusage, SYS_clock_getres,
    // Threads of drivers. What they begin is confined like the rest.
    SYS_clone, SYS_clone3, SYS_sched_setscheduler, SYS_sched_getscheduler, SYS_sched_getparam,
    SYS_sched_get_priority_max, SYS_sched_get_priority_min,
#if defined(__x86_64__)
    // glibc still uses the older names here.
    SYS_open, SYS_stat, SYS_lstat, SYS_access, SYS_unlink, SYS_rename, SYS_readlink, SYS_chmod,
    SYS_poll, SYS_epoll_wait, SYS_epoll_create, SYS_eventfd, SYS_time, SYS_getdents, SYS_select,
    SYS_pipe, SYS_dup2, SYS_getrlimit,
#endif
};

#define LENGTH(list) (sizeof(list) / sizeof *(list))
/// Checks of the architecture and the number, one for each call, sockets, and the verdicts.
#define PROGRAM_MAX (8 + 2 * LENGTH(allowed) + 16)

int32_t clinux_rights_confine(uint32_t rights) {
#ifdef OWN_ARCHITECTURE
  struct sock_filter program[PROGRAM_MAX];
  unsigned n = 0;
  const struct sock_filter allow = BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
  const struct sock_filter deny = BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM);
#define STATEMENT(...) program[n++] = (struct sock_filter)__VA_ARGS__
  STATEMENT(BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch)));
  STATEMENT(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, OWN_ARCHITECTURE, 1, 0));
  STATEMENT(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS));
  STATEMENT(BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)));
  for (unsigned i = 0; i < LENGTH(allowed); i++) {
    STATEMENT(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, allowed[i], 0, 1));
    program[n++] = allow;
  }
  if (rights & clinux_rights_xdp) {
    STATEMENT(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_bpf, 0, 1));
    program[n++] = allow;
    STATEMENT(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_bind, 0, 1));
    program[n++] = allow;
  }
  // Sockets of this machine only: a control client's or a link's are accepted, not made.
  STATEMENT(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_socket, 1, 0));
  program[n++] = deny;
  STATEMENT(BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[0])));
  STATEMENT(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AF_UNIX, 0, 1));
  program[n++] = allow;
  if (rights & (clinux_rights_xdp | clinux_rights_network)) {
    STATEMENT(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AF_NETLINK, 0, 1));
    program[n++] = allow;
  }
  program[n++] = deny;
#undef STATEMENT
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return -errno;
  struct sock_fprog filter = {.len = (unsigned short)n, .filter = program};
  long result = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, &filter);
  if (result > 0) return -ESRCH;  // The number of a thread that cannot follow.
  return result == 0 ? 0 : -errno;
#else
  (void)rights;
  return -ENOSYS;
#endif
}
