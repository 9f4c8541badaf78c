#!/usr/bin/env bash
# Installs what building, testing and running here needs and is not there yet: Debian packages, the Kafka jars,
# and the Python and Node clients of the black-box tests. Everything but the Debian packages goes below ./local.
#
# Runs as often as you like: a finished part leaves a stamp (a hash of what it was made from), and a part whose
# stamp still fits is skipped, so a second run takes well under a second.
#
# Expected to be there already: git, a Rust toolchain, a JDK (17 or newer), Maven, Python 3.11+, Node 18+ with npm.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
deps=$root/local/deps
stamps=$deps/stamps
mkdir -p "$stamps"

say() { printf '\033[1msetup\033[0m  %s\n' "$*"; }
die() { printf 'setup: %s\n' "$*" >&2; exit 1; }

# One setup at a time: tests, `make up` and a colleague's terminal may all call it.
exec 9>"$deps/setup.lock"
if ! flock -n 9; then
  say "another setup is running; waiting for it"
  flock 9
fi

# fresh NAME FILE...: succeeds when NAME was finished with exactly these files.
fresh() {
  local name=$1; shift
  [[ -f $stamps/$name ]] && [[ $(cat "$stamps/$name") == "$(fingerprint "$@")" ]]
}
finished() { local name=$1; shift; fingerprint "$@" >"$stamps/$name"; }
fingerprint() { cat -- "$@" | sha256sum | cut -d' ' -f1; }

# quietly LOG COMMAND...: shows the log only when the command fails.
quietly() {
  local log=$deps/$1.log; shift
  if ! "$@" >"$log" 2>&1; then
    tail -n 40 "$log" >&2
    die "failed: $* (whole log: $log)"
  fi
}

# ---- Tools that a newcomer brings -----------------------------------------------------------------------------

brought_tools() {
  local missing=()
  type -P cargo >/dev/null || missing+=("a Rust toolchain (rustup.rs)")
  type -P java >/dev/null || missing+=("a JDK, 17 or newer (apt-get install openjdk-17-jdk-headless)")
  type -P mvn >/dev/null || missing+=("Maven (apt-get install maven)")
  type -P python3 >/dev/null || missing+=("Python 3.11 or newer (apt-get install python3)")
  type -P node >/dev/null || missing+=("Node 18 or newer (apt-get install nodejs)")
  type -P npm >/dev/null || missing+=("npm (apt-get install npm)")
  if ((${#missing[@]})); then
    printf 'setup: please install first:\n' >&2
    printf '  - %s\n' "${missing[@]}" >&2
    exit 1
  fi
}

# ---- Debian packages ------------------------------------------------------------------------------------------

# gcc to zlib1g-dev build librdkafka; its build also wants the curl header, though no curl code is linked.
# libpq is the database driver; kcat is a second look at topics; iproute2 has `ss`, by which tests see who connects;
# softhsm2 is a hardware module in software, on which tests keep key-encryption keys.
packages=(
  build-essential cmake pkg-config mold
  libssl-dev zlib1g-dev libpq-dev libcurl4-openssl-dev
  postgresql-15 postgresql-client-15
  python3-venv kcat curl iproute2 util-linux procps softhsm2
)

# `setup.sh profile`: what `make profile` needs beside that.
[[ ${1:-} != profile ]] || packages+=(linux-perf)

as_root() {
  if ((EUID == 0)); then "$@"
  elif command -v sudo >/dev/null; then sudo "$@"
  else die "Debian packages are missing and there is no sudo: run 'apt-get install ${missing[*]}' as root"
  fi
}

debian_packages() {
  # dpkg-query says non-zero when it knows none of a name; what counts is which lines say "installed".
  local installed missing=() package
  installed=$(dpkg-query -W -f '${db:Status-Status} ${Package}\n' "${packages[@]}" 2>/dev/null || true)
  for package in "${packages[@]}"; do
    grep -qx "installed $package" <<<"$installed" || missing+=("$package")
  done
  ((${#missing[@]})) || return 0
  command -v apt-get >/dev/null || die "not a Debian system; please install by hand: ${missing[*]}"
  say "Debian packages: ${missing[*]}"
  if [[ " ${missing[*]} " == *" postgresql-15 "* && ! -e /etc/postgresql-common/createcluster.conf ]]; then
    # Only the programs are wanted, not a server of the whole machine on port 5432.
    as_root mkdir -p /etc/postgresql-common/createcluster.d
    echo "create_main_cluster = false" | as_root tee /etc/postgresql-common/createcluster.d/joint-use.conf >/dev/null
  fi
  quietly apt-update as_root apt-get -qq update
  quietly apt-install as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq install --no-install-recommends "${missing[@]}"
}

# ---- Kafka ----------------------------------------------------------------------------------------------------

kafka_jars() {
  local pom=$root/infra/local/kafka/pom.xml
  fresh kafka "$pom" && return 0
  say "Apache Kafka $(sed -n 's:.*<kafka.version>\(.*\)</kafka.version>.*:\1:p' "$pom") and its tools (about 90 jars, 54 MB)"
  # Into a side folder first: a half-finished or mixed lib/ must never be picked up.
  rm -rf "$deps/kafka.new"
  quietly kafka mvn -q -B -f "$pom" dependency:copy-dependencies \
    -DoutputDirectory="$deps/kafka.new/lib" -DincludeScope=runtime
  rm -rf "$deps/kafka"
  mv "$deps/kafka.new" "$deps/kafka"
  finished kafka "$pom"
}

# A broker starts in 1.5 s instead of 4 when the JVM finds its classes parsed (class data sharing, JEP 350). The archive
# is made by one short run and is only good for the same JVM and the same jars; without it everything works, slower.
kafka_archive() {
  local pom=$root/infra/local/kafka/pom.xml java_release=$deps/java-release
  java -version 2>"$java_release"
  fresh kafka-archive "$pom" "$java_release" && return 0
  say "class archive for quick broker starts"
  rm -f "$deps/kafka/classes.jsa"
  if train_archive >"$deps/kafka-archive.log" 2>&1; then
    mv "$deps/kafka/classes.jsa.new" "$deps/kafka/classes.jsa"
  else
    say "could not make it; brokers will start slower (see $deps/kafka-archive.log)"
  fi
  finished kafka-archive "$pom" "$java_release"
}

train_archive() {
  local work ports class_path pid
  work=$(mktemp -d)
  # The class path must read the same as testkit's: jars sorted by byte.
  class_path=$(printf "%s\n" "$deps"/kafka/lib/*.jar | LC_ALL=C sort | paste -sd:)
  read -ra ports < <(python3 -c '
import socket
held = [socket.create_server(("127.0.0.1", 0)) for _ in range(2)]
print(*(s.getsockname()[1] for s in held))')
  local scram="org.apache.kafka.common.security.scram.ScramLoginModule required username=broker password=training;"
  cat >"$work/server.properties" <<END
node.id=1
process.roles=broker,controller
controller.quorum.voters=1@127.0.0.1:${ports[1]}
log.dirs=$work/data
listeners=CLIENT://127.0.0.1:${ports[0]},CONTROLLER://127.0.0.1:${ports[1]}
listener.security.protocol.map=CLIENT:SASL_PLAINTEXT,CONTROLLER:PLAINTEXT
inter.broker.listener.name=CLIENT
controller.listener.names=CONTROLLER
sasl.mechanism.inter.broker.protocol=SCRAM-SHA-512
listener.name.client.sasl.enabled.mechanisms=SCRAM-SHA-512
listener.name.client.scram-sha-512.sasl.jaas.config=$scram
authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
super.users=User:broker;User:ANONYMOUS
log.cleaner.dedupe.buffer.size=16777216
END
  java -cp "$class_path" kafka.tools.StorageTool format -t MkU3OEVBNTcwNTJENDM2Qg -c "$work/server.properties" \
    --add-scram 'SCRAM-SHA-512=[name=broker,password=training]' || return 1
  java -Xmx448m -XX:ArchiveClassesAtExit="$deps/kafka/classes.jsa.new" -cp "$class_path" \
    kafka.Kafka "$work/server.properties" >"$work/log" 2>&1 &
  pid=$!
  for _ in $(seq 600); do
    grep -q 'Kafka Server started' "$work/log" && break
    kill -0 $pid || break
    sleep 0.1
  done
  kill $pid
  wait $pid || true
  tail -n 20 "$work/log"
  rm -rf "$work"
  [[ -s $deps/kafka/classes.jsa.new ]]
}

# ---- Clients that we did not write ----------------------------------------------------------------------------

python_clients() {
  local requirements=$root/tests/clients/python/requirements.txt
  fresh python "$requirements" && [[ -x $deps/venv/bin/python ]] && return 0
  say "Python clients: confluent-kafka, kafka-python, aiokafka (in local/deps/venv)"
  quietly venv python3 -m venv --clear "$deps/venv"
  quietly pip "$deps/venv/bin/pip" install --quiet --disable-pip-version-check --no-input -r "$requirements"
  finished python "$requirements"
}

node_client() {
  local folder=$root/tests/clients/node
  fresh node "$folder/package-lock.json" && [[ -d $folder/node_modules/kafkajs ]] && return 0
  say "Node client: KafkaJS (in tests/clients/node/node_modules)"
  quietly npm npm ci --prefix "$folder" --no-audit --no-fund --ignore-scripts --loglevel=error
  finished node "$folder/package-lock.json"
}

started=$SECONDS
brought_tools
debian_packages
kafka_jars
kafka_archive
python_clients
node_client
say "everything is in place ($((SECONDS - started)) s)"
