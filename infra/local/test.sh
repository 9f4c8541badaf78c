#!/usr/bin/env bash
# Runs every test program of the workspace, PROGRAMS at a time, and then the examples in the documentation.
#
#   infra/local/test.sh [CARGO ARGUMENT...]      as `cargo test` takes them, e.g. --features seal/pkcs11
#
# Most of the black-box tests wait for brokers, so two programs beside each other take little more than half the time.
# A program tells one line when it has passed, and all that it said when it has not.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
: "${CARGO:=cargo}" "${PROGRAMS:=2}" "${THREADS:=1}"

logs=$(mktemp -d)
trap 'rm -rf "$logs"' EXIT

# The black-box tests first: they are the long ones, and what is long should not begin last.
"$CARGO" test --workspace "$@" --no-run --message-format=json-render-diagnostics | python3 -c '
import json, os, sys
found = []
for line in sys.stdin:
    told = json.loads(line)
    if told.get("reason") == "compiler-artifact" and told["profile"]["test"] and told["executable"]:
        package = os.path.dirname(told["manifest_path"])
        found.append((os.path.basename(package) != "tests", package, told["target"]["name"], told["executable"]))
for order, (_, package, name, program) in enumerate(sorted(found), 1):
    print(order, len(found), package, name, program, sep="\t")
' >"$logs/programs"

run() {
  local order count package name program
  IFS=$'\t' read -r order count package name program <<<"$1"
  local said=$logs/$order begun=$SECONDS outcome=ok
  (cd "$package" && exec "$program" --test-threads="$THREADS") >"$said" 2>&1 || outcome=FAILED
  local tests; tests=$(sed -n 's/^test result: [a-zA-Z]*\. //p' "$said" | cut -d';' -f1,2)
  {
    flock 9
    [[ $outcome == ok ]] || { echo; cat "$said"; echo "$name" >>"$logs/failed"; }
    printf 'test   %3d/%d %-6s %s/%s: %s, %d s\n' "$order" "$count" "$outcome" "$(basename "$package")" "$name" \
      "${tests:-no result}" $((SECONDS - begun))
  } 9>"$logs/lock"
}
export -f run
export logs THREADS
xargs -d '\n' -P "$PROGRAMS" -I{} bash -c 'run "$1"' _ {} <"$logs/programs"

echo "test   the examples in the documentation"
"$CARGO" test --workspace "$@" --doc --no-fail-fast >"$logs/doc" 2>&1 || { cat "$logs/doc"; echo "examples" >>"$logs/failed"; }
if [[ -s $logs/failed ]]; then
  echo "test   failed: $(sort "$logs/failed" | tr '\n' ' ')"
  echo "test   look for 'failures:' above; 'kept for a look' names folders with logs"
  exit 1
fi
echo "test   all $(wc -l <"$logs/programs") programs passed, and the examples"
