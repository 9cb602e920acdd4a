#!/usr/bin/env python3
"""Prints hBPF's register page of one core as LiteX writes csr.csv, for tools made for hBPF."""
import argparse

REGISTERS = [  # name, offset, 32-bit words, access
    ("hbpf_csr_status", 0x00, 1, "ro"), ("hbpf_csr_r0", 0x04, 2, "ro"),
    *[(f"hbpf_csr_r{n}", 0x04 + 8 * n, 2, "rw" if n <= 5 else "ro") for n in range(1, 11)],
    ("hbpf_csr_ticks", 0x5c, 2, "ro"), ("hbpf_csr_ctl", 0x64, 1, "rw"),
    ("hbpf_pgm_mem_page", 0x68, 1, "rw"), ("hbpf_data_mem_page", 0x6c, 1, "rw"),
    ("hbpf_csr_fault", 0x70, 1, "ro"),
]
BASES = [("hbpf", 0x0000), ("hbpf_pgm_mem", 0x1000), ("hbpf_data_mem", 0x1800)]

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--core", type=int, default=0, choices=range(8))
parser.add_argument("--bar", type=lambda text: int(text, 0), default=0, help="address of the BAR")
arguments = parser.parse_args()
page = arguments.bar + 0x20000 + 0x2000 * arguments.core
for name, offset in BASES:
    print(f"csr_base,{name},0x{page + offset:08x},,")
for name, offset, words, access in REGISTERS:
    print(f"csr_register,{name},0x{page + offset:08x},{words},{access}")
print("constant,config_csr_data_width,32,,")
print("constant,config_csr_alignment,32,,")
print(f"memory_region,csr,0x{page:08x},8192,io")
