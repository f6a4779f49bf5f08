#!/usr/bin/env bash
# The benchmarks: installs what is missing, builds, starts a Kafka of its own, measures, stops it.
# What the figures mean and what they were: docs/benchmarks.md.
#
# usage: bench.sh [--short] [--mock] [--profile release|dev] [candles|memory|recovery|latency|functions …]
#   --short    small runs that only show that everything works, in the dev profile; their figures
#              mean nothing. About a minute once it is built.
#   --mock     librdkafka's mock broker instead of Apache Kafka; with --short only, for it keeps no
#              more than 5 MiB a partition
#   --profile  what to build and run (default: release, with --short dev)
#
# Prints a table for each benchmark (default: all but functions, which takes twenty minutes) and writes it as JSON below
# $RTSAP_CACHE/bench (RTSAP_BENCH_RESULTS says where else). It succeeds when every result was the
# right one; no figure makes it fail.
source "$(dirname "${BASH_SOURCE[0]}")/prelude.sh"

export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$RTSAP_CACHE/target}
export RTSAP_INSTANCE=bench-$$ RTSAP_OWNER=$$
export RTSAP_BENCH_RESULTS=${RTSAP_BENCH_RESULTS:-$RTSAP_CACHE/bench}
USAGE='bench.sh [--short] [--mock] [--profile release|dev] [candles|memory|recovery|latency|functions …]'

SHORT=0
MOCK=0
PROFILE=
WANTED=()
while [[ $# -gt 0 ]]; do
  case $1 in
  --short) SHORT=1 ;;
  --mock) MOCK=1 ;;
  --profile)
    PROFILE=${2:-}
    shift
    ;;
  candles | memory | recovery | latency | functions) WANTED+=("$1") ;;
  *) misused "$1" "$USAGE" ;;
  esac
  shift
done
[[ ${#WANTED[@]} -gt 0 ]] || WANTED=(candles memory recovery latency)
[[ $MOCK -eq 0 || $SHORT -eq 1 ]] || die "--mock is for --short only" \
  "The mock broker keeps too little for figures that mean something."
[[ -n $PROFILE ]] || { [[ $SHORT -eq 1 ]] && PROFILE=dev || PROFILE=release; }
case $PROFILE in
release) BUILT=$CARGO_TARGET_DIR/release ;;
dev) BUILT=$CARGO_TARGET_DIR/debug ;;
*) misused "--profile $PROFILE" "$USAGE" ;;
esac

leave() {
  trap - EXIT INT TERM
  [[ $MOCK -eq 1 ]] || RTSAP_QUIET=1 "$SCRIPTS/services.sh" remove || true
}
trap leave EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# The sizes of one benchmark. The mock broker's are what its partitions keep.
arguments() {
  case $SHORT$MOCK-$1 in
  00-*) ;;
  10-candles) echo --rows 200000 --rounds 2 ;;
  11-candles) echo --rows 100000 --partitions 8 --rounds 2 ;;
  10-recovery) echo --rows 200000 --keys 100000 --rounds 2 ;;
  11-recovery) echo --rows 100000 --partitions 8 --keys 50000 --rounds 2 ;;
  10-memory) echo --rows 200000 --keys 100000 ;;
  11-memory) echo --rows 100000 --partitions 8 --keys 50000 ;;
  1?-functions) echo --rows 5000 --rounds 1 --every 20 ;;
  10-latency) echo --rate 20000 --seconds 5 --warmup-seconds 2 ;;
  11-latency) echo --rate 10000 --partitions 8 --seconds 5 --warmup-seconds 2 ;;
  esac
}

cd "$CLONE"
"$SCRIPTS/services.sh" sweep
"$SCRIPTS/install-system.sh" test
RTSAP_QUIET=1 "$SCRIPTS/python.sh" install
say "building ($PROFILE) …"
# All of the workspace, so that its crates have the features that the tests have built them with.
cargo build --profile "$PROFILE" --workspace --bins ||
  die "the build failed" "The compiler's message is above."
RTSAP_TEST_PYTHON=$("$SCRIPTS/python.sh" path)
export RTSAP_TEST_PYTHON RTSAP_BENCH_SERVER=$BUILT/rtsap
unset RTSAP_TEST_KAFKA
if [[ $MOCK -eq 0 ]]; then
  "$SCRIPTS/services.sh" up kafka
  RTSAP_TEST_KAFKA=$("$SCRIPTS/kafka.sh" status)
  export RTSAP_TEST_KAFKA
fi
for name in "${WANTED[@]}"; do
  # shellcheck disable=SC2046 # the arguments are words
  "$BUILT/rtsap-bench" "$name" $(arguments "$name")
done
