#!/usr/bin/env bash
# Bugs planted in the system, one at a time: the simulation must notice each of them.
#
# usage: mutants.sh [name …]
#   name   a patch of engine/tests/simulation/mutants/, with or without .patch (default: all)
#
# They are planted in a copy of all that is tracked here, changes that are not committed among it.
# The copy must pass first: else what the simulation says of a bug would mean nothing. Then, for
# each patch, the test is built and run on so many seeds. That it fails counts as noticed, and so
# does that it does not end; a patch that does not apply or compile is an error. Prints a line for
# each, and succeeds when all were noticed. A patch takes two or three minutes on two processors.
#
# Environment: RTSAP_SIMULATION_SEEDS (default 60); RTSAP_MUTANT_SECONDS limits one run of the test
# (default 300); CARGO_TARGET_DIR (default $RTSAP_CACHE/mutants) is kept, so that the libraries are
# built once. What the last build and run of a patch printed is in $RTSAP_CACHE/log/mutant-NAME.log.
source "$(dirname "${BASH_SOURCE[0]}")/prelude.sh"

# Not the folder of the tests: they would build everything anew after this.
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$RTSAP_CACHE/mutants}
# As in test.sh, but for clippy: it would refuse a bug before anything could notice it.
export CARGO_INCREMENTAL=0
export RTSAP_SIMULATION_SEEDS=${RTSAP_SIMULATION_SEEDS:-60}
RUN_SECONDS=${RTSAP_MUTANT_SECONDS:-300}
# Longer than the first build takes on a slow machine.
BUILD_SECONDS=7200
TEST=no_seed_loses_repeats_or_invents_a_row
FOLDER=$CLONE/engine/tests/simulation/mutants

COPY=
RUNNING=
LINES=()
MISSED=0
BROKEN=0

leave() {
  trap - EXIT INT TERM
  [[ -z $RUNNING ]] || kill -TERM -- "-$RUNNING" 2>/dev/null || true
  [[ -n $COPY ]] || return 0
  git -C "$CLONE" worktree remove --force "$COPY/tree" 2>/dev/null || true
  rm -rf "$COPY"
  git -C "$CLONE" worktree prune
}
trap leave EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# within <seconds> <log> <command …>: in the copy, with what it prints added to a log. In the
# background, because a shell answers signals only between commands, and so while it waits.
within() {
  local seconds=$1 log=$2 status=0
  shift 2
  set -m
  (cd "$COPY/tree" && exec timeout --kill-after=20 "$seconds" "$@") </dev/null >>"$log" 2>&1 &
  RUNNING=$!
  set +m
  wait "$RUNNING" || status=$?
  RUNNING=
  return "$status"
}

# The names of the patches that are asked for, or of all.
wanted() {
  local name
  [[ $# -gt 0 ]] || set -- "$FOLDER"/*.patch
  for name in "$@"; do
    name=$(basename "$name" .patch)
    [[ -f $FOLDER/$name.patch ]] || die "there is no mutant \"$name\"" "See $FOLDER"
    printf '%s\n' "$name"
  done
}

# All that is tracked, as it is here, in a folder of its own.
copy() {
  local commit
  commit=$(git -C "$CLONE" -c user.name=mutants -c user.email=mutants@localhost stash create)
  COPY=$(mktemp -d "${TMPDIR:-/tmp}/rtsap-mutants-XXXXXX")
  git -C "$CLONE" worktree add --quiet --detach "$COPY/tree" "${commit:-HEAD}"
}

build() { within "$BUILD_SECONDS" "$1" cargo test --workspace --test simulation --no-run; }

run() { within "$RUN_SECONDS" "$1" cargo test --workspace --test simulation -- --exact "$TEST"; }

# what_failed <log>: "at seed N: what", as the test says it; else the first panic or signal; fails
# where there is none.
what_failed() {
  local seed panic
  seed=$(grep -m 1 -E '^seed [0-9]+: ' "$1" || true)
  panic=$(grep -A 1 -m 1 "panicked at" "$1" | tail -n 1 || true)
  # Signal 9 is not of the test: somebody has killed it, or the machine has no memory left.
  [[ -n $panic ]] || panic=$(grep -o 'signal: .*' "$1" | grep -m 1 -v 'signal: 9' || true)
  if [[ -n $seed && $seed != *": it panicked" ]]; then
    printf 'at %s' "$seed"
  elif [[ -n $panic ]]; then
    printf '%s: %s' "${seed:+at }${seed:-it panicked}" "$panic"
  else
    return 1
  fi
}

# A line for a patch; what the test says can be as long as the rows it has found.
verdict() {
  LINES+=("$1: ${2:0:200}")
  printf '%s\n' "${LINES[-1]}"
}

broken() {
  BROKEN=$((BROKEN + 1))
  verdict "$1" "ERROR: $2 (see $3)"
}

# Plants one bug, and says whether it was noticed.
try() {
  local name=$1 log=$LOG_DIR/mutant-$1.log status=0 began=$SECONDS what
  : >"$log"
  git -C "$COPY/tree" checkout --quiet -- .
  if ! git -C "$COPY/tree" apply "$FOLDER/$name.patch" >>"$log" 2>&1; then
    broken "$name" "the patch does not apply" "$log"
  elif ! build "$log"; then
    broken "$name" "the patch does not compile: $(grep -m 1 '^error' "$log" || true)" "$log"
  else
    say "$name: built in $((SECONDS - began)) s, running …"
    began=$SECONDS
    run "$log" || status=$?
    if [[ $status -eq 0 ]]; then
      MISSED=$((MISSED + 1))
      verdict "$name" "NOT NOTICED in $RTSAP_SIMULATION_SEEDS seeds"
    elif [[ $status -eq 124 || $status -eq 137 && $((SECONDS - began)) -ge $RUN_SECONDS ]]; then
      verdict "$name" "noticed: it had not ended after $RUN_SECONDS s"
    elif what=$(what_failed "$log"); then
      verdict "$name" "noticed $what"
    else
      broken "$name" "the test could not be run" "$log"
    fi
  fi
}

names=$(wanted "$@")
mapfile -t NAMES <<<"$names"
mkdir -p "$LOG_DIR"
copy
log=$LOG_DIR/mutant-none.log
: >"$log"
say "building the simulation without a mutant, in $CARGO_TARGET_DIR …"
build "$log" || die "the tree cannot be built" "See $log"
say "running it on $RTSAP_SIMULATION_SEEDS seeds …"
run "$log" || die "the simulation fails, or takes longer than $RUN_SECONDS s, without a mutant" \
  "See $log" "RTSAP_MUTANT_SECONDS and RTSAP_SIMULATION_SEEDS set the limits."
for index in "${!NAMES[@]}"; do
  say "[$((index + 1))/${#NAMES[@]}] ${NAMES[$index]}: $(head -n 1 "$FOLDER/${NAMES[$index]}.patch")"
  try "${NAMES[$index]}"
done
say "summary"
printf '      %s\n' "${LINES[@]}" >&2
printf '%d mutants: %d noticed, %d not noticed, %d errors\n' "${#NAMES[@]}" \
  $((${#NAMES[@]} - MISSED - BROKEN)) "$MISSED" "$BROKEN"
[[ $MISSED -eq 0 && $BROKEN -eq 0 ]]
