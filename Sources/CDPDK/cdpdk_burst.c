#include "CDPDK.h"
#include "cdpdk_internal.h"

#include <stdatomic.h>
#include <stdio.h>

#include <rte_errno.h>
#include <rte_ethdev.h>
#include <rte_mbuf.h>
#include <rte_mempool.h>

#define BURST_MAX 32
// Buffers a worker keeps at hand without asking the pool's ring.
#define CACHE_FRAMES 256

static atomic_ullong dropped_scattered;

uintptr_t cdpdk_pool_create(uint32_t worker, uint32_t frames, uint16_t mtu) {
  char name[RTE_MEMPOOL_NAMESIZE];
  snprintf(name, sizeof name, "worker%u", worker);
  // Ethernet header, two VLAN tags and checksum around the MTU; cache-line multiples.
  uint32_t room = RTE_ALIGN_CEIL((uint32_t)mtu + 14 + 8 + 4, 64);
  if (room < RTE_MBUF_DEFAULT_DATAROOM) room = RTE_MBUF_DEFAULT_DATAROOM;
  uint32_t cache = frames / 2 < CACHE_FRAMES ? 0 : CACHE_FRAMES;
  struct rte_mempool *pool = rte_pktmbuf_pool_create(
      name, frames, cache, 0, (uint16_t)(room + RTE_PKTMBUF_HEADROOM), (int)rte_socket_id());
  if (pool == NULL) {
    cdpdk_fail(rte_errno, "making a pool of %u frames", frames);
    return 0;
  }
  return (uintptr_t)pool;
}

uint32_t cdpdk_pool_available(uintptr_t pool) {
  return rte_mempool_avail_count((struct rte_mempool *)pool);
}

static inline void describe(struct rte_mbuf *buffer, struct cdpdk_frame *frame) {
  frame->token = (uintptr_t)buffer;
  frame->address = (uintptr_t)rte_pktmbuf_mtod(buffer, void *);
  frame->length = buffer->data_len;
  frame->room = (uint16_t)(buffer->buf_len - buffer->data_off);
  frame->headroom = buffer->data_off;
}

uint32_t cdpdk_receive(uint16_t port, uint16_t queue, struct cdpdk_frame *frames,
                       uint32_t capacity) {
  struct rte_mbuf *buffers[BURST_MAX];
  if (capacity > BURST_MAX) capacity = BURST_MAX;
  uint16_t received = rte_eth_rx_burst(port, queue, buffers, (uint16_t)capacity);
  uint32_t kept = 0;
  for (uint16_t i = 0; i < received; i++) {
    struct rte_mbuf *buffer = buffers[i];
    if (unlikely(buffer->nb_segs > 1) && rte_pktmbuf_linearize(buffer) != 0) {
      rte_pktmbuf_free(buffer);
      atomic_fetch_add_explicit(&dropped_scattered, 1, memory_order_relaxed);
      continue;
    }
    describe(buffer, &frames[kept++]);
  }
  return kept;
}

uint32_t cdpdk_transmit(uint16_t port, uint16_t queue, const struct cdpdk_frame *frames,
                        uint32_t count) {
  struct rte_mbuf *buffers[BURST_MAX];
  if (count > BURST_MAX) count = BURST_MAX;
  for (uint32_t i = 0; i < count; i++) {
    struct rte_mbuf *buffer = (struct rte_mbuf *)frames[i].token;
    // A header in front of the frame may have grown or shrunk.
    buffer->data_off = (uint16_t)(frames[i].address - (uintptr_t)buffer->buf_addr);
    buffer->data_len = (uint16_t)frames[i].length;
    buffer->pkt_len = frames[i].length;
    // Whatever the receiving port found out about the frame does not hold for sending.
    buffer->ol_flags = 0;
    buffers[i] = buffer;
  }
  uint16_t sent = rte_eth_tx_burst(port, queue, buffers, (uint16_t)count);
  if (unlikely(sent < count)) rte_pktmbuf_free_bulk(buffers + sent, count - sent);
  return sent;
}

uint32_t cdpdk_allocate(uintptr_t pool, struct cdpdk_frame *frame) {
  struct rte_mbuf *buffer = rte_pktmbuf_alloc((struct rte_mempool *)pool);
  if (unlikely(buffer == NULL)) return 0;
  describe(buffer, frame);
  return 1;
}

void cdpdk_free(uintptr_t token) { rte_pktmbuf_free((struct rte_mbuf *)token); }

uint64_t cdpdk_dropped_scattered(void) {
  return atomic_load_explicit(&dropped_scattered, memory_order_relaxed);
}
