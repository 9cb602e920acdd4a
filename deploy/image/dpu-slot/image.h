// An image: what one slot holds, as one file.
//
//   0    "dpu-image 1\n", zeros up to 16
//   16   length of the manifest, 64 bit, little endian; zeros up to 64
//   64   Ed25519 signature over the manifest
//   128  manifest, JSON; zeros up to a multiple of 512
//   ...  the files in the manifest's order, each with zeros up to a multiple of 512
//
// The manifest names version, architecture and kernel, and for each file its name, permissions,
// size and SHA-256. So a signature over the manifest is one over everything. Its `securityVersion`
// (0 when it has none) guards against going back: a board that committed an image takes none with a
// smaller one.
#pragma once

#include <stddef.h>
#include <stdint.h>

// Capacity of what `reason` points to.
#define IMAGE_REASON_MAX 200
#define IMAGE_FILES_MAX 64

struct image_file {
  char name[64];
  unsigned mode;
  const uint8_t *bytes;
  size_t size;
};

struct image {
  char version[64];
  char architecture[32];
  char kernel[64];
  uint32_t security;
  // Bytes of the whole image.
  size_t size;
  unsigned count;
  struct image_file files[IMAGE_FILES_MAX];
};

enum image_depth {
  // Header, signature and manifest; the files may be missing.
  image_manifest,
  // Files and their hashes, too.
  image_whole,
};

// Reads the public key in the PEM file at `path`. 0, or -1 with a reason.
int image_key_read(const char *path, uint8_t key[32], char *reason);

// Checks what `bytes` begin with. Nothing of the manifest is looked at before its signature is
// right. 0, or -1 with a reason; `image` points into `bytes`.
int image_check(struct image *image, const uint8_t *bytes, size_t count, const uint8_t key[32],
                enum image_depth depth, char *reason);

// Bytes that an image must have for its manifest to be checked, as far as `count` bytes tell: more
// than `count` when more are needed.
size_t image_manifest_end(const uint8_t *bytes, size_t count);

// Whether this machine can run it: architecture and kernel.
int image_fits(const struct image *image, char *reason);

// Whether a board may run it that has committed an image with this security version.
int image_is_recent(const struct image *image, uint32_t security, char *reason);

// Writes the files into the folder at `path`.
int image_unpack(const struct image *image, const char *path, char *reason);
