#!/usr/bin/env bash
# The real services that tests and benchmarks talk to, all at once.
#
# usage: services.sh install            fetch everything: packages, Python, Kafka, TimescaleDB, JDBC, a
#                                       schema registry
#        services.sh up [name …]        start them and write the file that names them
#        services.sh down               stop this instance; its data stays
#        services.sh remove             stop this instance and delete its data
#        services.sh env                print where that file is
#        services.sh sweep              remove instances whose run was killed before it could
#        services.sh clean              stop and remove every instance and its data
#
# Names: kafka timescale postgres s3 registry (default: all). `up` writes shell assignments:
#   RTSAP_TEST_KAFKA      host:port of Apache Kafka
#   RTSAP_TEST_TIMESCALE  URL of TimescaleDB
#   RTSAP_TEST_POSTGRES   URL of plain PostgreSQL
#   RTSAP_TEST_S3         URL of an S3 server with an empty bucket named rtsap, any credentials
#   RTSAP_TEST_REGISTRY   URL of a schema registry with Confluent's interface
#   RTSAP_TEST_PYTHON     the interpreter with the clients of requirements.txt
#   RTSAP_TEST_JDBC       the PostgreSQL JDBC driver's jar
#   RTSAP_MARKET_DATA     recorded market data (default: ../shared/data beside the clone, if there)
# Use it by hand with: set -a; . "$(scripts/services.sh env)"; set +a
#
# Environment: RTSAP_INSTANCE (default dev) names an independent set; RTSAP_OWNER is the process id
# of the run it belongs to: when that has ended, `sweep` removes the set.
source "$(dirname "${BASH_SOURCE[0]}")/prelude.sh"

ALL=(kafka timescale postgres s3 registry)

env_file() {
  if [[ $RTSAP_INSTANCE == dev ]]; then
    printf '%s\n' "$RTSAP_CACHE/services.env"
  else
    printf '%s\n' "$INSTANCE_DIR/services.env"
  fi
}

install() {
  say "installing system packages … (1/6)"
  "$SCRIPTS/install-system.sh" test
  say "installing Apache Kafka … (2/6)"
  "$SCRIPTS/kafka.sh" install
  say "installing TimescaleDB … (3/6)"
  "$SCRIPTS/timescale.sh" install
  say "installing Python packages … (4/6)"
  "$SCRIPTS/python.sh" install
  say "installing the PostgreSQL JDBC driver … (5/6)"
  "$SCRIPTS/jdbc.sh" install
  say "installing a schema registry … (6/6)"
  "$SCRIPTS/registry.sh" install
}

# assign <name> <value>: a line that a shell reads back unchanged.
assign() { printf '%s=%q\n' "$1" "$2"; }

describe() {
  local name data
  echo "# Written by scripts/services.sh; instance $RTSAP_INSTANCE."
  for name in "$@"; do
    case $name in
    kafka) assign RTSAP_TEST_KAFKA "$("$SCRIPTS/kafka.sh" status)" ;;
    timescale) assign RTSAP_TEST_TIMESCALE "$("$SCRIPTS/timescale.sh" status)" ;;
    postgres) assign RTSAP_TEST_POSTGRES "$("$SCRIPTS/postgres.sh" status)" ;;
    s3) assign RTSAP_TEST_S3 "$("$SCRIPTS/s3.sh" status)" ;;
    registry) assign RTSAP_TEST_REGISTRY "$("$SCRIPTS/registry.sh" status)" ;;
    esac
  done
  name=$("$SCRIPTS/python.sh" path)
  [[ ! -x $name ]] || assign RTSAP_TEST_PYTHON "$name"
  name=$("$SCRIPTS/jdbc.sh" path)
  [[ ! -s $name ]] || assign RTSAP_TEST_JDBC "$name"
  data=${RTSAP_MARKET_DATA:-$CLONE/../shared/data}
  if [[ -d $data ]]; then
    assign RTSAP_MARKET_DATA "$(cd "$data" && pwd)"
  elif [[ -n ${RTSAP_MARKET_DATA:-} ]]; then
    die "RTSAP_MARKET_DATA names $data, which is no directory" \
      "Correct it, or unset it to leave out the tests on recorded market data."
  fi
}

up() {
  local names=("$@") name file failed=0 jobs=()
  [[ ${#names[@]} -gt 0 ]] || names=("${ALL[@]}")
  for name in "${names[@]}"; do
    [[ " ${ALL[*]} " == *" $name "* ]] || die "unknown service '$name'" "Known: ${ALL[*]}."
  done
  mkdir -p "$INSTANCE_DIR"
  [[ -z ${RTSAP_OWNER:-} ]] || remember "$INSTANCE_DIR/owner" "$RTSAP_OWNER"
  # At the same time, because each mostly waits.
  for name in "${names[@]}"; do
    "$SCRIPTS/$name.sh" start >/dev/null &
    jobs+=($!)
  done
  for name in "${jobs[@]}"; do wait "$name" || failed=1; done
  if [[ $failed -ne 0 ]]; then
    down
    die "not all services could be started" "What failed and why is told above."
  fi
  file=$(env_file)
  describe "${names[@]}" >"$file.new"
  mv "$file.new" "$file"
  say "services are up; $file names them"
}

down() {
  local name
  for name in "${ALL[@]}"; do
    "$SCRIPTS/$name.sh" stop || warn "stopping $name ($RTSAP_INSTANCE) failed"
  done
  rm -f "$(env_file)"
}

# forget <instance>: stop it and delete its data.
forget() {
  local name
  for name in "${ALL[@]}"; do
    RTSAP_INSTANCE=$1 "$SCRIPTS/$name.sh" remove || warn "removing $name ($1) failed"
  done
  rm -rf "$RTSAP_CACHE/run/$1"
}

instances() {
  local directory
  for directory in "$RTSAP_CACHE"/run/*/; do
    [[ -d $directory ]] && basename "$directory"
  done
}

sweep() {
  local name
  for name in $(instances); do
    [[ -e $RTSAP_CACHE/run/$name/owner ]] || continue
    alive "$RTSAP_CACHE/run/$name/owner" && continue
    say "removing services that a killed run left behind ($name) …"
    forget "$name"
  done
}

clean() {
  local name
  for name in $(instances); do
    say "removing the services of instance $name …"
    forget "$name"
  done
  rm -f "$RTSAP_CACHE/services.env"
}

case ${1:-} in
install) install ;;
up) up "${@:2}" ;;
down) down ;;
remove) forget "$RTSAP_INSTANCE" && rm -f "$(env_file)" ;;
env) env_file ;;
sweep) sweep ;;
clean) clean ;;
*) misused "${1:-}" "services.sh install|up [name …]|down|remove|env|sweep|clean" ;;
esac
