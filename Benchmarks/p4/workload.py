#!/usr/bin/python3
"""Writes the packets and table entries of the pipeline bench, the same for both engines.

usage: workload.py FOLDER

  packets.pcap, packets.bin     1,024 UDP packets of 60 bytes: for SWX, and one after the other
  PROGRAM.setup                 entries in the words of simple_switch_CLI
  PROGRAM.TABLE.swx             the same entries in the words of SWX

The numbers come from a fixed seed, so every run on every machine measures the same work.
"""

import ipaddress
import os
import random
import struct
import sys

PACKETS, LENGTH, PORTS = 1024, 60, 4
NETS, HOSTS_NETS_EACH, NEXT_HOPS = 256, 4, 256
ACL_RULES = (100, 1000)


def checksum(data):
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def packet(source, destination, source_port, destination_port):
    ethernet = bytes.fromhex("020000000001" "020000000002" "0800")
    length = LENGTH - len(ethernet)
    fields = [0x45, 0, length, 0, 0, 64, 17, 0, source, destination]
    form = "!BBHHHBBHII"
    fields[7] = checksum(struct.pack(form, *fields))
    udp = struct.pack("!HHHH", source_port, destination_port, length - 20, 0)
    return (ethernet + struct.pack(form, *fields) + udp).ljust(LENGTH, b"\0")


def flows(dice):
    """Destinations in 256 nets 10.x/16, four packets to each; all five-tuples differ."""
    found = []
    for index in range(PACKETS):
        net = index % NETS
        found.append((
            0xC0A80000 | dice.randrange(1 << 16), 0x0A000000 | net << 16 | dice.randrange(1 << 16),
            dice.randrange(1024, 65536), dice.choice((53, 80, 443, 1883, 5060, 8080))))
    dice.shuffle(found)
    return found


def routes(dice):
    """1,280 routes: the 256 nets, and in each four smaller ones; next hops are numbers."""
    found = []
    for net in range(NETS):
        base = 0x0A000000 | net << 16
        found.append((base, 16))
        found += [(base | part << 8, 24) for part in dice.sample(range(256), HOSTS_NETS_EACH)]
    return [(value, length, dice.randrange(NEXT_HOPS)) for value, length in found]


def mac(number):
    return 0x020000000000 | number


def mask_of(length, width=32):
    return ((1 << length) - 1) << (width - length)


def acl_rules(dice, found, count):
    """Five-tuple rules cut out of the flows, so that packets stop at many of them; the last rule
    lets everything pass. A flow's rule sits anywhere, as it would in a list that grew by hand."""
    rules = []
    widths = (10, 12, 14, 16, 24) if count < 500 else (12, 16, 16, 24, 32)
    while len(rules) < count - 1:
        source, destination, source_port, destination_port = dice.choice(found)
        source_mask = mask_of(dice.choice((0, 16, 24, 32)))
        destination_mask = mask_of(dice.choice(widths))
        source_port_mask = dice.choice((0, 0, 0xFC00, 0xFFFF))
        destination_port_mask = dice.choice((0, 0xFFFF, 0xFFFF))
        protocol_mask = dice.choice((0, 0xFF))
        # Half of the rules are for other traffic and match nothing here.
        if dice.random() < 0.5:
            destination ^= 1 << 30
        rule = (
            (source & source_mask, source_mask), (destination & destination_mask, destination_mask),
            (17 & protocol_mask, protocol_mask), (source_port & source_port_mask, source_port_mask),
            (destination_port & destination_port_mask, destination_port_mask))
        # None so wide that the rules behind it would never be reached.
        if rule not in rules and source_mask + source_port_mask + destination_port_mask > 0:
            rules.append(rule)
    return rules + [((0, 0),) * 5]


def write(folder, name, lines):
    with open(os.path.join(folder, name), "w") as file:
        file.writelines(line + "\n" for line in lines)


def write_l3(folder, dice):
    setup, routing, nexthop = [], [], []
    for value, length, hop in routes(dice):
        setup.append(
            f"table_add I.routing I.set_nh {ipaddress.ip_address(value)}/{length} => {hop}")
        routing.append(f"match {value:#x}/{mask_of(length):#x} action set_nh nexthop_id {hop}")
    for hop in range(NEXT_HOPS):
        to, origin, port = mac(0x100 + hop), mac(1), hop % PORTS
        setup.append(f"table_add I.nexthop I.rewrite {hop} => {to:#x} {origin:#x} {port}")
        nexthop.append(
            f"match {hop} action nexthop_action dst_addr {to:#x} src_addr {origin:#x} "
            f"ethertype 0x0800 port_out {port}")
    write(folder, "bench_l3.setup", setup)
    write(folder, "bench_l3.routing.swx", routing)
    write(folder, "bench_l3.nexthop.swx", nexthop)


def write_acl(folder, dice, found):
    for count in ACL_RULES:
        setup, entries = [], []
        for index, rule in enumerate(acl_rules(dice, found, count)):
            port = index % PORTS
            keys = " ".join(f"{value:#x}&&&{mask:#x}" for value, mask in rule)
            setup.append(f"table_add I.acl I.permit {keys} => {port} {index} {index + 1}")
            keys = " ".join(f"{value:#x}/{mask:#x}" for value, mask in rule)
            entries.append(
                f"match {keys} priority {index + 1} action permit port_out {port} idx {index}")
        write(folder, f"bench_acl_{count}.setup", setup)
        write(folder, f"bench_acl_{count}.acl.swx", entries)


def write_l3switch(folder, dice):
    """The same routes through the larger program of p4/; SWX has none like it."""
    setup = ["table_add L3Ingress.port_vrf L3Ingress.set_vrf 0 => 0",
             f"table_add L3Ingress.my_station L3Ingress.route {mac(1):#x} =>"]
    for value, length, hop in routes(dice):
        setup.append("table_add L3Ingress.ipv4_lpm L3Ingress.set_nexthop "
                     f"0 {ipaddress.ip_address(value)}/{length} => {hop + 1}")
    for hop in range(NEXT_HOPS):
        setup.append(f"table_add L3Ingress.nexthop L3Ingress.rewrite {hop + 1} => "
                     f"{hop % PORTS} {mac(1):#x} {mac(0x100 + hop):#x}")
    write(folder, "l3switch.setup", setup)


def write_pktgen(folder):
    write(folder, "pktgen.setup", [
        f"table_add PgIngress.control_port PgIngress.trust 1 {0x0200000000bb:#x}&&&{mask_of(48, 48):#x} => 1",
        "mirroring_add 100 0", "mirroring_add 101 3"])


def main():
    folder = sys.argv[1]
    os.makedirs(folder, exist_ok=True)
    found = flows(random.Random(1))
    packets = [packet(*flow) for flow in found]
    with open(os.path.join(folder, "packets.bin"), "wb") as file:
        file.write(b"".join(packets))
    with open(os.path.join(folder, "packets.pcap"), "wb") as file:
        file.write(struct.pack("=IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1))
        for data in packets:
            file.write(struct.pack("=IIII", 0, 0, len(data), len(data)) + data)
    write_l3(folder, random.Random(2))
    write_acl(folder, random.Random(3), found)
    write_l3switch(folder, random.Random(2))
    write_pktgen(folder)


if __name__ == "__main__":
    main()
