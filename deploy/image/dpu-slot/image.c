#include "image.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

#define MAGIC "dpu-image 1\n\0\0\0\0"
#define MANIFEST_OFFSET 128
#define MANIFEST_MAX (1 << 20)
#define FILE_MAX ((size_t)1 << 30)

static int refuse(char *reason, const char *text) {
  snprintf(reason, IMAGE_REASON_MAX, "%s", text);
  return -1;
}

static size_t padded(size_t size) { return (size + 511) / 512 * 512; }

int image_key_read(const char *path, uint8_t key[32], char *reason) {
  // SubjectPublicKeyInfo of an Ed25519 key: this, and the 32 bytes of the key.
  static const uint8_t prefix[12] = {0x30, 0x2a, 0x30, 0x05, 0x06, 0x03,
                                     0x2b, 0x65, 0x70, 0x03, 0x21, 0x00};
  char text[1024];
  int descriptor = open(path, O_RDONLY | O_CLOEXEC);
  ssize_t count = descriptor < 0 ? -1 : read(descriptor, text, sizeof text - 1);
  if (descriptor >= 0) close(descriptor);
  if (count < 0) {
    snprintf(reason, IMAGE_REASON_MAX, "key %s: %s", path, strerror(errno));
    return -1;
  }
  text[count] = 0;
  static const char begin[] = "-----BEGIN PUBLIC KEY-----";
  const char *body = strstr(text, begin);
  const char *end = body ? strstr(body, "-----END") : NULL;
  uint8_t der[64];
  size_t length = 0;
  if (!end ||
      sodium_base642bin(der, sizeof der, body + strlen(begin), (size_t)(end - body) - strlen(begin),
                        " \r\n", &length, NULL, sodium_base64_VARIANT_ORIGINAL) != 0 ||
      length != sizeof prefix + 32 || memcmp(der, prefix, sizeof prefix) != 0) {
    snprintf(reason, IMAGE_REASON_MAX, "key %s: not an Ed25519 public key in PEM form", path);
    return -1;
  }
  memcpy(key, der + sizeof prefix, 32);
  return 0;
}

// Names become paths below a folder: one level, and nothing that leads out of it.
static int is_name(const char *name) {
  size_t slashes = 0;
  for (const char *c = name; *c; c++) {
    if (*c == '/') {
      if (c == name || c[1] == 0 || ++slashes > 1) return 0;
    } else if (*c == '.') {
      if (c == name || c[-1] == '/' || c[-1] == '.') return 0;
    } else if (!strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_+-", *c)) {
      return 0;
    }
  }
  return *name != 0;
}

static int take_text(const json_t *object, const char *key, char *into, size_t capacity) {
  const char *text = json_string_value(json_object_get(object, key));
  if (!text || !*text || strlen(text) >= capacity) return -1;
  for (const char *c = text; *c; c++)
    if (*c <= ' ' || *c > '~' || *c == '"' || *c == '\\') return -1;
  strcpy(into, text);
  return 0;
}

static int read_file_entry(const json_t *entry, struct image_file *file, uint8_t hash[32]) {
  json_int_t mode = json_integer_value(json_object_get(entry, "mode"));
  json_int_t size = json_integer_value(json_object_get(entry, "size"));
  const char *hex = json_string_value(json_object_get(entry, "sha256"));
  size_t length = 0;
  if (take_text(entry, "name", file->name, sizeof file->name) || !is_name(file->name) ||
      mode < 0 || mode > 0777 || size < 0 || (size_t)size > FILE_MAX || !hex ||
      sodium_hex2bin(hash, 32, hex, strlen(hex), NULL, &length, NULL) != 0 || length != 32)
    return -1;
  file->mode = (unsigned)mode;
  file->size = (size_t)size;
  return 0;
}

static int read_manifest(struct image *image, const json_t *manifest, const uint8_t *bytes,
                         size_t count, size_t offset, enum image_depth depth, char *reason) {
  if (json_integer_value(json_object_get(manifest, "format")) != 1)
    return refuse(reason, "the manifest is of a format that is unknown here");
  const json_t *files = json_object_get(manifest, "files");
  size_t entries = json_array_size(files);
  if (take_text(manifest, "version", image->version, sizeof image->version) ||
      take_text(manifest, "architecture", image->architecture, sizeof image->architecture) ||
      take_text(manifest, "kernel", image->kernel, sizeof image->kernel) || entries == 0 ||
      entries > IMAGE_FILES_MAX)
    return refuse(reason, "the manifest lacks something");
  const json_t *security = json_object_get(manifest, "securityVersion");
  if (security && (!json_is_integer(security) || json_integer_value(security) < 0 ||
                   json_integer_value(security) > INT32_MAX))
    return refuse(reason, "the security version is no number from 0 to 2147483647");
  image->security = (uint32_t)json_integer_value(security);
  image->count = (unsigned)entries;
  for (size_t i = 0; i < entries; i++) {
    struct image_file *file = &image->files[i];
    uint8_t hash[32], actual[crypto_hash_sha256_BYTES];
    if (read_file_entry(json_array_get(files, i), file, hash))
      return refuse(reason, "a file of the manifest cannot be right");
    file->bytes = bytes + offset;
    if (depth == image_whole) {
      if (offset + file->size > count) {
        snprintf(reason, IMAGE_REASON_MAX, "truncated: %s ends at %zu, the image at %zu",
                 file->name, offset + file->size, count);
        return -1;
      }
      crypto_hash_sha256(actual, file->bytes, file->size);
      if (memcmp(actual, hash, sizeof hash) != 0) {
        snprintf(reason, IMAGE_REASON_MAX, "%s is not what was signed", file->name);
        return -1;
      }
    }
    offset += padded(file->size);
  }
  image->size = offset;
  return 0;
}

static uint64_t manifest_length(const uint8_t *bytes) {
  uint64_t length = 0;
  for (int i = 7; i >= 0; i--) length = length << 8 | bytes[16 + i];
  return length;
}

size_t image_manifest_end(const uint8_t *bytes, size_t count) {
  if (count < MANIFEST_OFFSET) return MANIFEST_OFFSET;
  uint64_t length = manifest_length(bytes);
  return length <= MANIFEST_MAX ? MANIFEST_OFFSET + length : MANIFEST_OFFSET;
}

int image_check(struct image *image, const uint8_t *bytes, size_t count, const uint8_t key[32],
                enum image_depth depth, char *reason) {
  memset(image, 0, sizeof *image);
  static const uint8_t nothing[16];
  if (count >= sizeof nothing && memcmp(bytes, nothing, sizeof nothing) == 0)
    return refuse(reason, "empty");
  if (count < MANIFEST_OFFSET || memcmp(bytes, MAGIC, 16) != 0)
    return refuse(reason, "not a dpu image");
  uint64_t length = manifest_length(bytes);
  if (length == 0 || length > MANIFEST_MAX) return refuse(reason, "not a dpu image");
  if (length > count - MANIFEST_OFFSET) return refuse(reason, "truncated within the manifest");
  const uint8_t *text = bytes + MANIFEST_OFFSET;
  if (crypto_sign_verify_detached(bytes + 64, text, length, key) != 0)
    return refuse(reason, "the signature is not of this machine's key");
  json_t *manifest = json_loadb((const char *)text, length, JSON_REJECT_DUPLICATES, NULL);
  if (!manifest) return refuse(reason, "the manifest is not JSON");
  int result = read_manifest(image, manifest, bytes, count, padded(MANIFEST_OFFSET + length),
                             depth, reason);
  json_decref(manifest);
  return result;
}

int image_fits(const struct image *image, char *reason) {
  struct utsname machine;
  uname(&machine);
  if (strcmp(image->architecture, machine.machine) != 0) {
    snprintf(reason, IMAGE_REASON_MAX, "for %s; this machine is %s", image->architecture,
             machine.machine);
    return -1;
  }
  if (strcmp(image->kernel, machine.release) != 0) {
    snprintf(reason, IMAGE_REASON_MAX, "for kernel %s; this machine runs %s", image->kernel,
             machine.release);
    return -1;
  }
  return 0;
}

int image_is_recent(const struct image *image, uint32_t security, char *reason) {
  if (image->security >= security) return 0;
  snprintf(reason, IMAGE_REASON_MAX, "security version %u; this board has committed %u",
           image->security, security);
  return -1;
}

static int write_whole(const char *path, const struct image_file *file) {
  int descriptor = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, file->mode);
  if (descriptor < 0) return -1;
  for (size_t done = 0; done < file->size;) {
    ssize_t count = write(descriptor, file->bytes + done, file->size - done);
    if (count <= 0) {
      close(descriptor);
      return -1;
    }
    done += (size_t)count;
  }
  fchmod(descriptor, file->mode);
  return close(descriptor);
}

int image_unpack(const struct image *image, const char *folder, char *reason) {
  for (unsigned i = 0; i < image->count; i++) {
    const struct image_file *file = &image->files[i];
    char path[512];
    const char *slash = strchr(file->name, '/');
    if (slash) {
      snprintf(path, sizeof path, "%s/%.*s", folder, (int)(slash - file->name), file->name);
      mkdir(path, 0755);
    }
    snprintf(path, sizeof path, "%s/%s", folder, file->name);
    if (write_whole(path, file) != 0) {
      snprintf(reason, IMAGE_REASON_MAX, "%s: %s", file->name, strerror(errno));
      return -1;
    }
  }
  return 0;
}
