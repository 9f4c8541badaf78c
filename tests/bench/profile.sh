#!/usr/bin/env bash
# Samples the hub while it opens sealed records, and draws where its time goes: OUT.svg (a flame graph, for a browser) and
# OUT.txt (the functions that take most by themselves).
set -euo pipefail
out=${1:-local/profile}
mkdir -p "$(dirname "$out")"
export PATH=$PATH:${CARGO_HOME:-$HOME/.cargo}/bin
command -v inferno-flamegraph >/dev/null || cargo install --quiet --locked inferno
target/release/bench profile "$out.data"
perf script --input "$out.data" --no-inline 2>/dev/null | inferno-collapse-perf --quiet >"$out.folded"
inferno-flamegraph --title "hub: open, 1 % withheld, 3 items blanked" --countname samples "$out.folded" >"$out.svg"
perf report --input "$out.data" --no-children --no-inline --call-graph none --sort symbol --stdio 2>/dev/null |
  sed -e '/^#/d' -e '/^$/d' -e 's/[ -]*$//' | awk 'NR <= 40' | tee "$out.txt"
rm -f "$out.data" "$out.folded"
echo
echo "flame graph: $out.svg; the table above: $out.txt. What the limit is: docs/benchmarks.md."
