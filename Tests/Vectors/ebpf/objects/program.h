/* What these programs share: r1 = 2,048 bytes with the packet in front, r2 = its length. */
typedef unsigned char u8; typedef unsigned short u16; typedef unsigned int u32;
typedef unsigned long long u64;
#define SECTION(name) __attribute__((section(name), used))
#define __uint(name, value) int (*name)[value]
#define __type(name, type) type *name
enum { ABORTED, DROP, PASS, TX, REDIRECT };
static void *(*lookup)(void *map, const void *key) = (void *)1;
static long (*update)(void *map, const void *key, const void *value, u64 flags) = (void *)2;
static long (*delete)(void *map, const void *key) = (void *)3;
static u64 (*now)(void) = (void *)5;
static long (*redirect)(u32 port, u64 flags) = (void *)23;
