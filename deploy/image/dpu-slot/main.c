// dpu-slot: the two slots of a board, for the loader and for `dpuctl flash`.
#include "image.h"
#include "state.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

// A state partition needs two copies; a whole slot must fit into memory while it is checked.
#define IMAGE_BYTES_MAX ((size_t)512 << 20)

static const char usage[] =
    "usage: dpu-slot [--devices FOLDER] [--key FILE] [--running FILE] VERB\n"
    "  status           both slots, as JSON\n"
    "  check FILE       whether an image would be accepted here\n"
    "  write SLOT       takes an image from standard input into the slot that does not run\n"
    "  try SLOT         the next start is one of this slot, once\n"
    "  commit           the running slot is good and stays\n"
    "  healthy          the running slot works; a trial remains one\n"
    "  trial            exit status 0 while the running slot is on trial\n"
    "  failed REASON    the running slot does not work\n"
    "  boot FOLDER      chooses a slot, checks it, unpacks it, prints its name\n"
    "exit status: 0 done, 1 wrong usage, 2 refused\n";

static const char *devices = "/dev/disk/by-partlabel";
static const char *key_path = "/etc/dpu/image.pub";
static const char *running_path = "/run/dpu-slot";
static const char names[] = "ab";

__attribute__((noreturn, format(printf, 2, 3))) static void fail(int status, const char *format,
                                                                 ...) {
  va_list arguments;
  va_start(arguments, format);
  fputs("dpu-slot: ", stderr);
  vfprintf(stderr, format, arguments);
  fputc('\n', stderr);
  va_end(arguments);
  exit(status);
}

static unsigned slot_named(const char *text) {
  if (strcmp(text, "a") == 0) return slot_a;
  if (strcmp(text, "b") == 0) return slot_b;
  fail(1, "'%s' is no slot: a or b", text);
}

static char *device_path(const char *name) {
  char *path = NULL;
  if (asprintf(&path, "%s/%s", devices, name) < 0) fail(2, "no memory");
  return path;
}

static char *slot_path(unsigned slot) { return device_path(slot == slot_a ? "dpu-a" : "dpu-b"); }

// The slot that was started; `slot_none` in the loader and in rescue.
static unsigned running(void) {
  char name = 0;
  int descriptor = open(running_path, O_RDONLY | O_CLOEXEC);
  if (descriptor < 0) return slot_none;
  ssize_t count = read(descriptor, &name, 1);
  close(descriptor);
  return count == 1 && name == 'a' ? slot_a : count == 1 && name == 'b' ? slot_b : slot_none;
}

static unsigned running_or_fail(void) {
  unsigned slot = running();
  if (slot == slot_none) fail(2, "no slot runs");
  return slot;
}

static int open_state(struct slot_state *state, int for_writing) {
  char *path = device_path("dpu-state");
  int descriptor = slot_state_open(path, for_writing);
  if (descriptor == -EBUSY) fail(2, "another dpu-slot is at work");
  if (descriptor < 0) fail(2, "%s: %s", path, strerror(-descriptor));
  slot_state_read(descriptor, state);
  free(path);
  return descriptor;
}

static void save_state(int descriptor, const struct slot_state *state) {
  int error = slot_state_write(descriptor, state);
  if (error) fail(2, "the state cannot be written: %s", strerror(-error));
}

static void note(struct slot_state *state, unsigned slot, const char *reason) {
  snprintf(state->note, sizeof state->note, "slot %c: %.180s", names[slot], reason);
  // It is shown as JSON.
  for (char *c = state->note; *c; c++)
    if (*c < ' ' || *c > '~' || *c == '"' || *c == '\\') *c = '?';
}

static void read_key(uint8_t key[32]) {
  char reason[IMAGE_REASON_MAX];
  if (image_key_read(key_path, key, reason)) fail(2, "%s", reason);
}

// All of a file or device into memory.
static uint8_t *map_file(const char *path, size_t *count) {
  int descriptor = open(path, O_RDONLY | O_CLOEXEC);
  if (descriptor < 0) fail(2, "%s: %s", path, strerror(errno));
  off_t size = lseek(descriptor, 0, SEEK_END);
  void *bytes = size > 0 ? mmap(NULL, (size_t)size, PROT_READ, MAP_PRIVATE, descriptor, 0) : "";
  if (bytes == MAP_FAILED) fail(2, "%s: %s", path, strerror(errno));
  close(descriptor);
  *count = size > 0 ? (size_t)size : 0;
  return bytes;
}

// Whether the slot holds an image that was signed.
static int check_slot(unsigned slot, struct image *image, enum image_depth depth, char *reason) {
  uint8_t key[32];
  size_t count;
  read_key(key);
  char *path = slot_path(slot);
  const uint8_t *bytes = map_file(path, &count);
  free(path);
  return image_check(image, bytes, count, key, depth, reason);
}

// Whether this board may run an image that was found to be signed.
static int suits(const struct image *image, const struct slot_state *state, char *reason) {
  return image_fits(image, reason) || image_is_recent(image, slot_state_security(state), reason);
}

static void print_name(const char *key, unsigned slot) {
  if (slot == slot_none)
    printf("\"%s\":null,", key);
  else
    printf("\"%s\":\"%c\",", key, names[slot]);
}

static int status(void) {
  struct slot_state state;
  struct utsname machine;
  char boot[64] = "";
  open_state(&state, 0);
  uname(&machine);
  FILE *file = fopen("/proc/sys/kernel/random/boot_id", "re");
  if (file) {
    if (fscanf(file, "%63s", boot) != 1) boot[0] = 0;
    fclose(file);
  }
  putchar('{');
  print_name("running", running());
  print_name("active", state.active);
  print_name("trial", state.trial);
  printf("\"architecture\":\"%s\",\"kernel\":\"%s\",\"securityVersion\":%u,\"boot\":\"%s\","
         "\"note\":\"%s\",\"slots\":[",
         machine.machine, machine.release, slot_state_security(&state), boot, state.note);
  for (unsigned slot = slot_a; slot <= slot_b; slot++) {
    struct image image;
    char reason[IMAGE_REASON_MAX];
    int fits = check_slot(slot, &image, image_manifest, reason) == 0 &&
               suits(&image, &state, reason) == 0;
    printf("%s{\"slot\":\"%c\",\"good\":%s,\"tries\":%u,\"version\":", slot ? "," : "",
           names[slot], state.good[slot] ? "true" : "false", state.tries[slot]);
    if (fits)
      printf("\"%s\",\"state\":\"signed\"}", image.version);
    else
      printf("null,\"state\":\"%s\"}", reason);
  }
  puts("]}");
  return 0;
}

static int check(const char *path) {
  uint8_t key[32];
  size_t count;
  struct image image;
  struct slot_state state;
  char reason[IMAGE_REASON_MAX];
  open_state(&state, 0);
  read_key(key);
  const uint8_t *bytes = map_file(path, &count);
  if (image_check(&image, bytes, count, key, image_whole, reason) ||
      suits(&image, &state, reason))
    fail(2, "refused: %s", reason);
  printf("%s\n", image.version);
  return 0;
}

// An image from standard input, at most `capacity` bytes. One that is not for this machine is refused
// before the rest of it has come.
static uint8_t *read_input(size_t capacity, const uint8_t key[32], const struct slot_state *state,
                           size_t *count) {
  uint8_t *bytes = NULL;
  size_t room = 0;
  int has_manifest = 0;
  *count = 0;
  for (;;) {
    if (*count == room) {
      room = room ? room * 2 : 1 << 20;
      bytes = realloc(bytes, room);
      if (!bytes) fail(2, "no memory for an image of more than %zu bytes", *count);
    }
    ssize_t got = read(STDIN_FILENO, bytes + *count, room - *count);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) fail(2, "standard input: %s", strerror(errno));
    if (got == 0) return bytes;
    *count += (size_t)got;
    if (*count > capacity) fail(2, "refused: more than the %zu bytes of a slot", capacity);
    if (!has_manifest && *count >= image_manifest_end(bytes, *count)) {
      struct image image;
      char reason[IMAGE_REASON_MAX];
      has_manifest = 1;
      if (image_check(&image, bytes, *count, key, image_manifest, reason) ||
          suits(&image, state, reason))
        fail(2, "refused: %s", reason);
    }
  }
}

// Nothing is changed before the image is known to be right. While it is being written the slot is
// not good, so a loss of power then leaves a slot that nobody starts.
static int write_slot(unsigned slot) {
  struct slot_state state;
  struct image image;
  char reason[IMAGE_REASON_MAX];
  uint8_t key[32];
  size_t count;
  int descriptor = open_state(&state, 1);
  if (running() == slot) fail(2, "refused: slot %c runs", names[slot]);
  read_key(key);
  char *path = slot_path(slot);
  int device = open(path, O_RDWR | O_CLOEXEC);
  if (device < 0) fail(2, "%s: %s", path, strerror(errno));
  off_t capacity = lseek(device, 0, SEEK_END);
  if (capacity <= 0 || (size_t)capacity > IMAGE_BYTES_MAX) fail(2, "%s: no slot of a size", path);
  const uint8_t *bytes = read_input((size_t)capacity, key, &state, &count);
  if (image_check(&image, bytes, count, key, image_whole, reason) ||
      suits(&image, &state, reason))
    fail(2, "refused: %s", reason);
  if (image.size != count)
    fail(2, "refused: %zu bytes, of which %zu are signed", count, image.size);

  state.good[slot] = 0;
  state.tries[slot] = 0;
  if (state.trial == slot) state.trial = slot_none;
  if (running() != slot_none) state.active = (uint8_t)running();
  save_state(descriptor, &state);
  for (size_t done = 0; done < count;) {
    ssize_t part = pwrite(device, bytes + done, count - done, (off_t)done);
    if (part <= 0) fail(2, "%s: %s", path, strerror(errno));
    done += (size_t)part;
  }
  if (fsync(device) != 0) fail(2, "%s: %s", path, strerror(errno));
  posix_fadvise(device, 0, capacity, POSIX_FADV_DONTNEED);
  if (check_slot(slot, &image, image_whole, reason)) fail(2, "%s: read back: %s", path, reason);
  printf("%s\n", image.version);
  return 0;
}

static int try_slot(unsigned slot) {
  struct slot_state state;
  struct image image;
  char reason[IMAGE_REASON_MAX];
  int descriptor = open_state(&state, 1);
  if (running() == slot) fail(2, "refused: slot %c runs", names[slot]);
  if (check_slot(slot, &image, image_manifest, reason) ||
      image_is_recent(&image, slot_state_security(&state), reason))
    fail(2, "refused: %s", reason);
  state.trial = (uint8_t)slot;
  state.tries[slot] = 1;
  state.note[0] = 0;
  save_state(descriptor, &state);
  return 0;
}

// The slot is good and stays. Nothing older than what it holds is started from now on.
static void keep(int descriptor, struct slot_state *state, unsigned slot) {
  struct image image;
  char reason[IMAGE_REASON_MAX];
  if (check_slot(slot, &image, image_manifest, reason)) fail(2, "refused: %s", reason);
  state->active = (uint8_t)slot;
  state->good[slot] = 1;
  state->tries[slot] = SLOT_TRIES;
  slot_state_raise_security(state, image.security);
  save_state(descriptor, state);
}

static int commit(void) {
  struct slot_state state;
  unsigned slot = running_or_fail();
  int descriptor = open_state(&state, 1);
  state.trial = slot_none;
  keep(descriptor, &state, slot);
  return 0;
}

// The first slot of a new board becomes good by working; one that replaces another by `commit`.
static int healthy(void) {
  struct slot_state state;
  unsigned slot = running_or_fail();
  int descriptor = open_state(&state, 1);
  if (state.trial != slot) keep(descriptor, &state, slot);
  return 0;
}

static int trial(void) {
  struct slot_state state;
  unsigned slot = running();
  open_state(&state, 0);
  return slot != slot_none && state.trial == slot ? 0 : 2;
}

static int failed(const char *reason) {
  struct slot_state state;
  unsigned slot = running_or_fail();
  int descriptor = open_state(&state, 1);
  note(&state, slot, reason);
  if (state.trial == slot) state.trial = slot_none;
  save_state(descriptor, &state);
  return 0;
}

// Takes one try of the slot, checks all of it and unpacks it. 0 when it may be started.
static int start(int descriptor, struct slot_state *state, unsigned slot, const char *folder) {
  struct image image;
  char reason[IMAGE_REASON_MAX] = "";
  if (state->tries[slot] == 0) {
    if (state->good[slot] || state->trial == slot)
      note(state, slot, "was started and did not become healthy");
    return -1;
  }
  state->tries[slot]--;
  // Before anything of the slot is looked at, so that whatever it does costs a try.
  save_state(descriptor, state);
  if (check_slot(slot, &image, image_whole, reason) == 0 && suits(&image, state, reason) == 0 &&
      image_unpack(&image, folder, reason) == 0)
    return 0;
  fprintf(stderr, "dpu-slot: slot %c: %s\n", names[slot], reason);
  state->tries[slot] = 0;
  state->good[slot] = 0;
  note(state, slot, reason);
  return -1;
}

static int boot(const char *folder) {
  struct slot_state state;
  int descriptor = open_state(&state, 1);
  unsigned active = state.active == slot_b ? slot_b : slot_a;
  unsigned other = 1 - active;
  if (state.trial != slot_none) {
    unsigned slot = state.trial == slot_b ? slot_b : slot_a;
    if (start(descriptor, &state, slot, folder) == 0) {
      printf("%c\n", names[slot]);
      return 0;
    }
    state.trial = slot_none;
    save_state(descriptor, &state);
  }
  for (int i = 0; i < 2; i++) {
    unsigned slot = i == 0 ? active : other;
    // The other one only when it worked before.
    if (i == 1 && !state.good[slot]) continue;
    if (start(descriptor, &state, slot, folder) == 0) {
      save_state(descriptor, &state);
      printf("%c\n", names[slot]);
      return 0;
    }
  }
  save_state(descriptor, &state);
  fail(2, "no slot can be started: %s", state.note);
}

int main(int count, char **arguments) {
  static const struct option options[] = {{"devices", required_argument, NULL, 'd'},
                                          {"key", required_argument, NULL, 'k'},
                                          {"running", required_argument, NULL, 'r'},
                                          {NULL, 0, NULL, 0}};
  int option;
  while ((option = getopt_long(count, arguments, "+", options, NULL)) != -1) {
    switch (option) {
      case 'd': devices = optarg; break;
      case 'k': key_path = optarg; break;
      case 'r': running_path = optarg; break;
      default: fputs(usage, stderr); return 1;
    }
  }
  if (sodium_init() < 0) fail(2, "libsodium does not start");
  char **rest = arguments + optind;
  int words = count - optind;
  const char *verb = words > 0 ? rest[0] : "";
  if (words == 1) {
    if (strcmp(verb, "status") == 0) return status();
    if (strcmp(verb, "commit") == 0) return commit();
    if (strcmp(verb, "healthy") == 0) return healthy();
    if (strcmp(verb, "trial") == 0) return trial();
  } else if (words == 2) {
    if (strcmp(verb, "check") == 0) return check(rest[1]);
    if (strcmp(verb, "write") == 0) return write_slot(slot_named(rest[1]));
    if (strcmp(verb, "try") == 0) return try_slot(slot_named(rest[1]));
    if (strcmp(verb, "failed") == 0) return failed(rest[1]);
    if (strcmp(verb, "boot") == 0) return boot(rest[1]);
  }
  fputs(usage, stderr);
  return 1;
}
