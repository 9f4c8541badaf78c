#!/usr/bin/env bash
# Fuzzes every decoder that takes bytes of others: fuzz.sh SECONDS [CARGO FUZZ OPTION...], so long for each target.
#
# cargo-fuzz builds with unstable flags of the compiler, which RUSTC_BOOTSTRAP lets the stable one take. All fuzz crates build
# below one folder, so that what they share is built once. `--dev` builds in a fraction of the time what runs slower: right for
# a short run. Every target has its run; then a finding fails the whole, and is printed, for the machine may be gone tomorrow.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
seconds=${1:?how many seconds for each target}
shift
crates=(wire contract seal)
export RUSTC_BOOTSTRAP=1 CARGO_TARGET_DIR=$root/target/fuzz

say() { printf 'fuzz   %s\n' "$*"; }

if ! command -v cargo-fuzz >/dev/null; then
  say "installing cargo-fuzz"
  cargo install --quiet --debug --locked cargo-fuzz
  export PATH=$PATH:${CARGO_HOME:-$HOME/.cargo}/bin
fi

failed=()
for crate in "${crates[@]}"; do
  cd "$root/libs/$crate"
  say "building $crate's targets"
  cargo fuzz build "$@"
  for target in $(cargo fuzz list); do
    mkdir -p "fuzz/corpus/$target"
    say "$crate/$target for $seconds s"
    cargo fuzz run "$@" "$target" "fuzz/corpus/$target" "fuzz/seeds/$target" -- \
      -max_total_time="$seconds" -malloc_limit_mb=64 -rss_limit_mb=1024 -verbosity=0 -print_final_stats=1 ||
      failed+=("$crate/$target")
  done
done
((${#failed[@]})) || exit 0

for name in "${failed[@]}"; do
  say "FAILED: $name. Its input: libs/${name%/*}/fuzz/artifacts/${name#*/}"
  find "$root/libs/${name%/*}/fuzz/artifacts/${name#*/}" -type f -size -16k 2>/dev/null | while read -r input; do
    say "${input#"$root/"} in base64:"
    base64 -w0 "$input"
    echo
  done
done
exit 1
