#!/usr/bin/env bash
# Installs what benchmarks need, starts a Kafka broker and a TimescaleDB of their own, and measures.
#
# usage: bench.sh [arguments of rtsap-bench …]   default: all
source "$(dirname "${BASH_SOURCE[0]}")/prelude.sh"

export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$RTSAP_CACHE/target}
export RTSAP_INSTANCE=bench-$$ RTSAP_OWNER=$$ RTSAP_RUN_ID=bench-$$
# Left to the services: what is measured should not wait for a broker short of memory.
export KAFKA_HEAP=${KAFKA_HEAP:-2g}

leave() {
  trap - EXIT INT TERM
  RTSAP_QUIET=1 "$SCRIPTS/services.sh" remove || true
  stop_run "$RTSAP_RUN_ID"
}
trap leave EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

"$SCRIPTS/services.sh" sweep
"$SCRIPTS/services.sh" install
say "building the benchmarks in release mode; the first time this takes long …"
(cd "$CLONE" && cargo build --release -p rtsap-bench) ||
  die "the build failed" "The compiler's message is above."
"$SCRIPTS/services.sh" up kafka timescale postgres
set -a
# shellcheck source=/dev/null
source "$("$SCRIPTS/services.sh" env)"
set +a
[[ $# -gt 0 ]] || set -- all
cd "$CLONE"
cargo run --quiet --release -p rtsap-bench -- "$@"
