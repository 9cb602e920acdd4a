// DPDK for Swift: start it, open ports, move whole bursts. DPDK's own headers stop in the .c files.
//
// Unless said otherwise a function returns 0 or a positive number on success and a negative errno
// on failure; cdpdk_failure() then says in words what was being done.
#pragma once

#include <stdint.h>

// One packet buffer; the layout of Swift's FrameHandle.
struct cdpdk_frame {
  uintptr_t token;    // the mbuf
  uintptr_t address;  // first byte of the frame
  uint32_t length;    // bytes in the frame
  uint16_t room;      // bytes the buffer holds from `address` on
  uint16_t headroom;  // bytes it holds before `address`
};

// MARK: start and stop

// Starts the EAL with `arguments`: strings one after the other, each with its terminator, without
// a program name. The calling thread keeps the cores it may run on. Call once.
int cdpdk_start(const void *arguments, uint32_t size);
void cdpdk_stop(void);
// DPDK's name and version.
const char *cdpdk_version(void);
// What failed last, in words. Start-up is single-threaded, so one text is enough.
const char *cdpdk_failure(void);

// Makes the calling thread known to DPDK, which gives it a cache of each pool.
int cdpdk_thread_register(void);
void cdpdk_thread_unregister(void);

// Nanoseconds of the core's time-stamp counter since cdpdk_start. Never goes back on one core.
uint64_t cdpdk_now(void);

// MARK: ports

// The port with this device name ("net_af_packet0", "0000:03:00.0"), or -ENODEV.
int cdpdk_port_find(const char *name);

// Makes two ports joined by memory, for self-tests: what one sends the other receives. Call once.
int cdpdk_port_pair(uint16_t *first, uint16_t *second);

struct cdpdk_port_options {
  uint16_t queues;         // one for each worker
  uint16_t descriptors;    // wanted for each queue, both directions; adjusted to the device
  uint16_t mtu;            // bytes of an IP packet
  uint8_t promiscuous;     // also frames for other addresses
};

// Configures and starts a port; queue `i` receives into `pools[i]`. Refuses a port that offers
// fewer queues than asked for.
int cdpdk_port_open(uint16_t port, const struct cdpdk_port_options *options,
                    const uintptr_t *pools);
void cdpdk_port_close(uint16_t port);
// Takes the link up or down. -ENOTSUP when the driver cannot.
int cdpdk_port_set_link(uint16_t port, int up);

struct cdpdk_port_info {
  char device[64];
  char driver[64];
  uint8_t mac[6];
  uint8_t link_up;
  uint8_t rss;             // receive queues are chosen by a hash of the flow
  uint16_t mtu;
  uint16_t queues;
  uint32_t speed_mbps;     // 0 when unknown
};
int cdpdk_port_info(uint16_t port, struct cdpdk_port_info *info);

// The driver's own view; counts since the port was opened.
struct cdpdk_port_stats {
  uint64_t frames_received, bytes_received;
  uint64_t frames_transmitted, bytes_transmitted;
  uint64_t missed;             // arrived while the receive queue was full
  uint64_t receive_errors, transmit_errors;
  uint64_t no_buffer;          // arrived while the pool was empty
};
int cdpdk_port_stats(uint16_t port, struct cdpdk_port_stats *stats);

struct cdpdk_xstat {
  char name[64];
  uint64_t value;
};
// Writes at most `capacity` of the driver's named counters; returns how many.
int cdpdk_port_xstats(uint16_t port, struct cdpdk_xstat *stats, uint32_t capacity);

// MARK: buffers

// The pool of one worker: `frames` buffers that hold packets of `mtu` plus headers. 0 on failure.
uintptr_t cdpdk_pool_create(uint32_t worker, uint32_t frames, uint16_t mtu);
// Free buffers, those in the callers' caches included. Slow; for statistics.
uint32_t cdpdk_pool_available(uintptr_t pool);

// MARK: the packet path

// Takes up to `capacity` frames that arrived; returns how many. Frames in several pieces are made
// one; those that do not fit one buffer are dropped and counted (cdpdk_dropped_scattered).
uint32_t cdpdk_receive(uint16_t port, uint16_t queue, struct cdpdk_frame *frames,
                       uint32_t capacity);
// Sends `count` frames, at most 32, each from its `address`, which may have moved; frees those the
// port has no room for and returns how many were sent.
uint32_t cdpdk_transmit(uint16_t port, uint16_t queue, const struct cdpdk_frame *frames,
                        uint32_t count);
// Takes one empty buffer; 0 when the pool is empty.
uint32_t cdpdk_allocate(uintptr_t pool, struct cdpdk_frame *frame);
void cdpdk_free(uintptr_t token);

uint64_t cdpdk_dropped_scattered(void);
