#!/usr/bin/env python3
"""Writes the synthesis report from the logs of synth.sh, with hBPF's figures beside it.

report.py WORK-FOLDER
"""
import pathlib
import re
import sys

work = pathlib.Path(sys.argv[1])


def cells(name):
    path = work / f"{name}.stat"
    if not path.exists():
        return None
    found = re.findall(r"^\s+(\S+)\s+(\d+)\s*$", path.read_text(), re.M)
    return {cell: int(count) for cell, count in found}


def version(name):
    path = work / f"{name}.log"
    match = re.search(r"Yosys \d\S*", path.read_text()) if path.exists() else None
    return match.group(0) if match else "yosys"


print("# Synthesis\n")
print("Written by `gateware/synth/synth.sh`. One core with mailbox, rings, two packet slots and 4,096 rows of")
print("program memory, without the call handler of the conformance tests. hBPF: measured with the same tools")
print("on its whole SoC with bridge and without analyser (its 512 rows, one packet), by plain `synth_ecp5` where ours has")
print("`-abc9`, or as it publishes. RAM32M cells and CCU2C take lookup tables of their own, in both columns.\n")
print("| | ours | hBPF |\n|---|---|---|")
ecp5 = cells("ecp5")
if ecp5:
    for cell, theirs in (("LUT4", "31,052"), ("CCU2C", "not recorded"), ("TRELLIS_FF", "2,288"), ("MULT18X18D", "10"),
                         ("DP16KD", "1"), ("TRELLIS_DPR16X4", "1,472")):
        print(f"| ECP5 {cell}, {version('ecp5')} | {ecp5.get(cell, 0):,} | {theirs} |")
xilinx = cells("xilinx")
if xilinx:
    luts = sum(count for cell, count in xilinx.items() if re.fullmatch(r"LUT[1-6]", cell))
    ffs = sum(count for cell, count in xilinx.items() if re.fullmatch(r"FD[CRPS]E(_1)?", cell))
    rams = xilinx.get("RAMB18E1", 0), xilinx.get("RAMB36E1", 0)
    lutram = sum(count for cell, count in xilinx.items() if cell.startswith("RAM") and not cell.startswith("RAMB"))
    print(f"| Xilinx 7 LUT1-6, {version('xilinx')} | {luts:,} | 10,340 (bare core); published with bridge and analyser, Vivado: 10,130 to 10,702 |")
    print(f"| flip-flops | {ffs:,} | 1,884 (bare core); published 4,173 |")
    print(f"| DSP48E1 | {xilinx.get('DSP48E1', 0)} | 17 |")
    print(f"| block RAM (18 kb, 36 kb) | {rams[0]}, {rams[1]} | 1, 0 |")
    print(f"| LUT RAM cells | {lutram} | not recorded |")
placed, routed, comb = {}, {}, None
for path in sorted(work.glob("seed*.log")):
    seed, text = path.stem[4:], path.read_text()
    figures = [float(value) for value in re.findall(r"Max frequency for clock\s+'[^']*clk[^']*': ([\d.]+) MHz", text)]
    if figures:
        placed[seed] = figures[0]
    if len(figures) > 1 and "Program finished normally" in text:
        routed[seed] = figures[-1]
    match = re.search(r"TRELLIS_COMB:\s+(\d+)/", text)
    comb = int(match.group(1)) if match else comb
if comb:
    print(f"| nextpnr TRELLIS_COMB | {comb:,} | 40,790 |")
if placed:
    each = ", ".join(f"seed {seed}: {value:.1f}" for seed, value in placed.items())
    print(f"| nextpnr 85k speed 6, MHz after placement | {each} | 19.5 (seed 1) |")
if routed:
    each = ", ".join(f"seed {seed}: {value:.1f}" for seed, value in routed.items())
    print(f"| nextpnr 85k speed 6, MHz after routing | {each} | not waited for |")
    print(f"| worst of the seeds | {min(routed.values()):.1f} | |")
