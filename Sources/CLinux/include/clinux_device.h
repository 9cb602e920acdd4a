// Memory of its own kind: machine code made at run time, and devices behind a file.
// Results: 0, or a negative errno.
#pragma once

#include <stdint.h>

// Copies `count` bytes of machine code to fresh pages and makes those executable and read-only.
int32_t clinux_code_install(const void *code, uint64_t count, uint64_t *address);
// Gives back what clinux_code_install made.
void clinux_code_remove(uint64_t address, uint64_t count);

// Maps the first `count` bytes of a file, shared with whoever else has it: a PCI BAR under
// /sys/bus/pci/devices, or the file of a simulated device. -ENODATA when the file is shorter,
// -EBUSY when another process, or this one, has mapped it so before: two drivers of one device
// would not notice each other.
int32_t clinux_device_map(const char *path, uint64_t count, uint64_t *address);
