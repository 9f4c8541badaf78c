#!/usr/bin/env bash
# Runs every test program of the workspace, and then the examples in the documentation.
#
#   infra/local/test.sh [CARGO ARGUMENT...]      as `cargo test` takes them, e.g. --features seal/pkcs11
#
# PROGRAMS run beside each other, the black-box tests first. Those in ALONE hold what they measure to a bound, and have the
# machine to themselves.
# A program tells one line when it has passed, with the figures that it measured (lines that begin with `figure: `), and all
# that it said when it has not.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
: "${CARGO:=cargo}" "${PROGRAMS:=2}" "${THREADS:=2}" "${ALONE:=revocation}"

logs=$(mktemp -d)
trap 'rm -rf "$logs"' EXIT

"$CARGO" test --workspace "$@" --no-run --message-format=json-render-diagnostics | python3 -c '
import json, os, sys
found = []
for line in sys.stdin:
    told = json.loads(line)
    if told.get("reason") == "compiler-artifact" and told["profile"]["test"] and told["executable"]:
        package = os.path.dirname(told["manifest_path"])
        found.append((os.path.basename(package) != "tests", package, told["target"]["name"], told["executable"]))
folder, alone_names = sys.argv[1], sys.argv[2].split()
with open(f"{folder}/alone", "w") as alone, open(f"{folder}/beside", "w") as beside:
    for order, (light, package, name, program) in enumerate(sorted(found), 1):
        print(order, len(found), package, name, program, sep="\t", file=alone if name in alone_names else beside)
' "$logs" "$ALONE"

run() {
  local order count package name program
  IFS=$'\t' read -r order count package name program <<<"$1"
  local said=$logs/$order begun=$SECONDS outcome=ok
  (cd "$package" && exec "$program" --test-threads="$THREADS" --show-output) >"$said" 2>&1 || outcome=FAILED
  local tests; tests=$(sed -n 's/^test result: [a-zA-Z]*\. //p' "$said" | cut -d';' -f1,2)
  {
    flock 9
    [[ $outcome == ok ]] || { echo; cat "$said"; echo "$name" >>"$logs/failed"; }
    printf 'test   %3d/%d %-6s %s/%s: %s, %d s\n' "$order" "$count" "$outcome" "$(basename "$package")" "$name" \
      "${tests:-no result}" $((SECONDS - begun))
    [[ $outcome != ok ]] || sed -n 's/^figure: /test           /p' "$said"
  } 9>"$logs/lock"
}
export -f run
export logs THREADS
xargs -d '\n' -I{} bash -c 'run "$1"' _ {} <"$logs/alone"
xargs -d '\n' -P "$PROGRAMS" -I{} bash -c 'run "$1"' _ {} <"$logs/beside"

echo "test   the examples in the documentation"
"$CARGO" test --workspace "$@" --doc --no-fail-fast >"$logs/doc" 2>&1 || { cat "$logs/doc"; echo "examples" >>"$logs/failed"; }
if [[ -s $logs/failed ]]; then
  echo "test   failed: $(sort "$logs/failed" | tr '\n' ' ')"
  echo "test   look for 'failures:' above; 'kept for a look' names folders with logs"
  exit 1
fi
echo "test   all $(cat "$logs/alone" "$logs/beside" | wc -l) programs passed, and the examples"
