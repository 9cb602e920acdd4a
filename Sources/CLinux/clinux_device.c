#include "clinux_device.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static uint64_t whole_pages(uint64_t count) {
  uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
  return ((count > 0 ? count : 1) + page - 1) / page * page;
}

int32_t clinux_code_install(const void *code, uint64_t count, uint64_t *address) {
  uint64_t size = whole_pages(count);
  void *pages = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (pages == MAP_FAILED) return -errno;
  memcpy(pages, code, count);
  __builtin___clear_cache((char *)pages, (char *)pages + count);
  if (mprotect(pages, size, PROT_READ | PROT_EXEC) != 0) {
    int error = errno;
    munmap(pages, size);
    return -error;
  }
  *address = (uint64_t)(uintptr_t)pages;
  return 0;
}

void clinux_code_remove(uint64_t address, uint64_t count) {
  munmap((void *)(uintptr_t)address, whole_pages(count));
}

int32_t clinux_device_map(const char *path, uint64_t count, uint64_t *address) {
  int descriptor = open(path, O_RDWR | O_CLOEXEC);
  if (descriptor < 0) return -errno;
  struct stat status;
  int error = fstat(descriptor, &status) != 0 ? errno : 0;
  if (error == 0 && flock(descriptor, LOCK_EX | LOCK_NB) != 0)
    error = errno == EWOULDBLOCK ? EBUSY : errno;
  if (error == 0 && (uint64_t)status.st_size < count) error = ENODATA;
  void *memory = MAP_FAILED;
  if (error == 0) {
    memory = mmap(NULL, count, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0);
    if (memory == MAP_FAILED) error = errno;
  }
  if (error != 0) {
    close(descriptor);
    return -error;
  }
  // The descriptor stays: it holds the lock until the process ends.
  *address = (uint64_t)(uintptr_t)memory;
  return 0;
}
