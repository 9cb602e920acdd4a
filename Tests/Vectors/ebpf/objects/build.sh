#!/bin/bash
# Compiles the programs here for all versions of the instruction set; the objects are committed.
# Needs a clang with the bpf target, and llvm-objcopy.
set -euo pipefail
cd "$(dirname "$0")"
compile() {
  clang -target bpfel -O2 -g -fno-ident -fdebug-prefix-map="$PWD=." -mcpu="$1" "${@:4}" -c "$2" -o "$3.elf"
  llvm-objcopy --strip-debug "$3.elf"
}
for version in v1 v2 v3 v4; do
  for name in counters flows variables legacy; do
    compile $version $name.c "$name.$version"
  done
done
for mistake in UNDEFINED KIND UNCHECKED POINTER CONSTANT BEYOND; do
  compile v3 refused.c "refused-${mistake,,}" -D$mistake -Wno-everything
done
