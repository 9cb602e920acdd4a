#pragma once

// Remembers what failed for cdpdk_failure() and returns -error.
int cdpdk_fail(int error, const char *format, ...) __attribute__((format(printf, 2, 3)));
