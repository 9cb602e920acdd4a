#include "CDPDK.h"
#include "cdpdk_internal.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <rte_errno.h>
#include <rte_eth_ring.h>
#include <rte_ethdev.h>
#include <rte_lcore.h>

// What a connection's hash is computed from; the device takes the part it knows.
#define RSS_WANTED (RTE_ETH_RSS_IP | RTE_ETH_RSS_TCP)
#define PAIR_RING_SIZE 1024

int cdpdk_port_find(const char *name) {
  uint16_t port;
  if (rte_eth_dev_get_port_by_name(name, &port) != 0) {
    return cdpdk_fail(ENODEV, "looking for the device %s", name);
  }
  return port;
}

static struct rte_ring *pair_ring(const char *name) {
  return rte_ring_create(name, PAIR_RING_SIZE, (int)rte_socket_id(), RING_F_SP_ENQ | RING_F_SC_DEQ);
}

int cdpdk_port_pair(uint16_t *first, uint16_t *second) {
  struct rte_ring *there = pair_ring("there");
  struct rte_ring *back = pair_ring("back");
  if (there == NULL || back == NULL) return cdpdk_fail(rte_errno, "making the rings of a port pair");
  int one = rte_eth_from_rings("pair0", &back, 1, &there, 1, rte_socket_id());
  int other = rte_eth_from_rings("pair1", &there, 1, &back, 1, rte_socket_id());
  if (one < 0 || other < 0) return cdpdk_fail(ENODEV, "making a port pair");
  *first = (uint16_t)one;
  *second = (uint16_t)other;
  return 0;
}

static int configure(uint16_t port, const struct cdpdk_port_options *options,
                     const struct rte_eth_dev_info *device) {
  if (options->queues > device->max_rx_queues || options->queues > device->max_tx_queues) {
    return cdpdk_fail(ENOSPC, "port %u offers %u receive and %u transmit queues, %u are needed",
                      port, device->max_rx_queues, device->max_tx_queues, options->queues);
  }
  struct rte_eth_conf conf;
  memset(&conf, 0, sizeof conf);
  conf.rxmode.mtu = options->mtu;
  uint64_t hash = device->flow_type_rss_offloads & RSS_WANTED;
  if (options->queues > 1 && hash != 0) {
    conf.rxmode.mq_mode = RTE_ETH_MQ_RX_RSS;
    conf.rx_adv_conf.rss_conf.rss_hf = hash;
  }
  int error = rte_eth_dev_configure(port, options->queues, options->queues, &conf);
  if (error != 0) return cdpdk_fail(-error, "configuring port %u", port);
  return 0;
}

static int set_up_queues(uint16_t port, const struct cdpdk_port_options *options,
                         const uintptr_t *pools) {
  uint16_t receive = options->descriptors;
  uint16_t transmit = options->descriptors;
  int error = rte_eth_dev_adjust_nb_rx_tx_desc(port, &receive, &transmit);
  if (error != 0) return cdpdk_fail(-error, "sizing the queues of port %u", port);
  unsigned socket = (unsigned)rte_eth_dev_socket_id(port);
  for (uint16_t queue = 0; queue < options->queues; queue++) {
    error = rte_eth_rx_queue_setup(port, queue, receive, socket, NULL,
                                   (struct rte_mempool *)pools[queue]);
    if (error != 0) return cdpdk_fail(-error, "making receive queue %u of port %u", queue, port);
    error = rte_eth_tx_queue_setup(port, queue, transmit, socket, NULL);
    if (error != 0) return cdpdk_fail(-error, "making transmit queue %u of port %u", queue, port);
  }
  return 0;
}

int cdpdk_port_open(uint16_t port, const struct cdpdk_port_options *options,
                    const uintptr_t *pools) {
  struct rte_eth_dev_info device;
  int error = rte_eth_dev_info_get(port, &device);
  if (error != 0) return cdpdk_fail(-error, "asking port %u what it offers", port);
  if ((error = configure(port, options, &device)) != 0) return error;
  if ((error = set_up_queues(port, options, pools)) != 0) return error;

  // Devices that cannot set an MTU keep theirs; it only has to be large enough.
  uint16_t mtu = 0;
  error = rte_eth_dev_set_mtu(port, options->mtu);
  if (error != 0 && rte_eth_dev_get_mtu(port, &mtu) == 0 && mtu < options->mtu) {
    return cdpdk_fail(-error, "setting the MTU of port %u to %u (it has %u)", port, options->mtu,
                      mtu);
  }
  error = rte_eth_dev_start(port);
  if (error != 0) return cdpdk_fail(-error, "starting port %u", port);
  if (options->promiscuous) {
    // Virtual devices without this mode receive everything anyway.
    error = rte_eth_promiscuous_enable(port);
    if (error != 0 && error != -ENOTSUP) {
      return cdpdk_fail(-error, "making port %u promiscuous", port);
    }
  } else {
    // Neighbour discovery needs multicast.
    error = rte_eth_allmulticast_enable(port);
    if (error != 0 && error != -ENOTSUP) {
      return cdpdk_fail(-error, "letting port %u receive multicast", port);
    }
  }
  return 0;
}

void cdpdk_port_close(uint16_t port) {
  rte_eth_dev_stop(port);
  rte_eth_dev_close(port);
}

int cdpdk_port_set_link(uint16_t port, int up) {
  return up ? rte_eth_dev_set_link_up(port) : rte_eth_dev_set_link_down(port);
}

int cdpdk_port_info(uint16_t port, struct cdpdk_port_info *info) {
  struct rte_eth_dev_info device;
  struct rte_ether_addr address;
  memset(info, 0, sizeof *info);
  int error = rte_eth_dev_info_get(port, &device);
  if (error == 0) error = rte_eth_macaddr_get(port, &address);
  if (error == 0) error = rte_eth_dev_get_mtu(port, &info->mtu);
  if (error != 0) return cdpdk_fail(-error, "asking about port %u", port);
  char name[RTE_ETH_NAME_MAX_LEN];
  if (rte_eth_dev_get_name_by_port(port, name) == 0) {
    snprintf(info->device, sizeof info->device, "%s", name);
  }
  snprintf(info->driver, sizeof info->driver, "%s", device.driver_name);
  memcpy(info->mac, address.addr_bytes, sizeof info->mac);
  info->queues = device.nb_rx_queues;
  struct rte_eth_rss_conf rss;
  memset(&rss, 0, sizeof rss);
  info->rss = device.nb_rx_queues > 1 && rte_eth_dev_rss_hash_conf_get(port, &rss) == 0 &&
              rss.rss_hf != 0;
  struct rte_eth_link link;
  if (rte_eth_link_get_nowait(port, &link) == 0) {
    info->link_up = link.link_status == RTE_ETH_LINK_UP;
    if (link.link_speed != RTE_ETH_SPEED_NUM_UNKNOWN) info->speed_mbps = link.link_speed;
  }
  return 0;
}

int cdpdk_port_stats(uint16_t port, struct cdpdk_port_stats *stats) {
  struct rte_eth_stats of_device;
  int error = rte_eth_stats_get(port, &of_device);
  if (error != 0) return cdpdk_fail(-error, "reading the statistics of port %u", port);
  *stats = (struct cdpdk_port_stats){
      .frames_received = of_device.ipackets,
      .bytes_received = of_device.ibytes,
      .frames_transmitted = of_device.opackets,
      .bytes_transmitted = of_device.obytes,
      .missed = of_device.imissed,
      .receive_errors = of_device.ierrors,
      .transmit_errors = of_device.oerrors,
      .no_buffer = of_device.rx_nombuf,
  };
  return 0;
}

int cdpdk_port_xstats(uint16_t port, struct cdpdk_xstat *stats, uint32_t capacity) {
  // Large enough for mlx5, which has about 200.
  enum { known = 512 };
  static struct rte_eth_xstat_name names[known];
  static struct rte_eth_xstat values[known];
  int count = rte_eth_xstats_get_names(port, names, known);
  if (count < 0) return cdpdk_fail(-count, "naming the counters of port %u", port);
  if (count > known) return cdpdk_fail(E2BIG, "port %u has %d named counters", port, count);
  count = rte_eth_xstats_get(port, values, known);
  if (count < 0) return cdpdk_fail(-count, "reading the counters of port %u", port);
  if ((uint32_t)count > capacity) count = (int)capacity;
  for (int i = 0; i < count; i++) {
    snprintf(stats[i].name, sizeof stats[i].name, "%s", names[values[i].id].name);
    stats[i].value = values[i].value;
  }
  return count;
}
