#!/usr/bin/env bash
# The whole test run: installs what is missing, starts real services, checks format and lints, runs
# every Rust and Python test and the quickstart's walk, stops the services and counts.
#
# usage: test.sh
#
# Its last line is "N passed, N failed"; it succeeds only when nothing failed. A step that fails
# without a failed test of its own (format, lint, a build) counts as one failure.
#
# Environment: RTSAP_MARKET_DATA (see services.sh); RTSAP_STEP_SECONDS limits one step
# (default 3600); RTSAP_RESULT names a file for the last line, which is then not printed. What a
# failed step printed is kept in $RTSAP_CACHE/log for a week.
source "$(dirname "${BASH_SOURCE[0]}")/prelude.sh"

export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$RTSAP_CACHE/target}
export RTSAP_INSTANCE=test-$$ RTSAP_OWNER=$$
export RTSAP_RUN_ID=${RTSAP_RUN_ID:-test-$$}
export PYTHONDONTWRITEBYTECODE=1
# A build that was cut off leaves incremental state behind that no longer links.
export CARGO_INCREMENTAL=0
# Clippy compiles what is tested: all libraries are then built once, and not also checked for lints.
# The arguments are in the form that `cargo clippy -- -D warnings` hands on.
export RUSTC_WORKSPACE_WRAPPER=clippy-driver CLIPPY_ARGS=-Dwarnings__CLIPPY_HACKERY__
export RUST_BACKTRACE=${RUST_BACKTRACE:-1}
STEP_SECONDS=${RTSAP_STEP_SECONDS:-3600}
PYTEST_FOLDERS=(
  pgwire-server/tests/clients flight-server/tests/clients server/tests/replay server/tests/nexmark
  examples/tests scripts/tests
)

PASSED=0
FAILED=0
STEP=0
SUMMARY=()

leave() {
  trap - EXIT INT TERM
  say "stopping services …"
  RTSAP_QUIET=1 "$SCRIPTS/services.sh" remove || true
  stop_run "$RTSAP_RUN_ID"
}
trap leave EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# Sums cargo's lines "test result: ok. 12 passed; 0 failed; …" of a log: "12 0".
count_cargo() {
  sed 's/\x1b\[[0-9;]*m//g' "$1" | awk '
    /^test result: / {
      for (i = 2; i <= NF; i++) {
        if ($i ~ /^passed/) passed += $(i - 1)
        if ($i ~ /^failed/) failed += $(i - 1)
      }
    }
    END { print passed + 0, failed + 0 }'
}

# Sums pytest's last line "3 passed, 1 failed, 2 errors in 0.5s" of a log: "3 3".
count_pytest() {
  sed 's/\x1b\[[0-9;]*m//g' "$1" | awk '
    /(passed|failed|errors?|skipped).* in [0-9.]+s/ { last = $0 }
    END {
      n = split(last, word, /[ ,=]+/)
      for (i = 2; i <= n; i++) {
        if (word[i] == "passed") passed += word[i - 1]
        if (word[i] ~ /^(failed|errors?)$/) failed += word[i - 1]
      }
      print passed + 0, failed + 0
    }'
}

# step <name> <counter or -> <command …>: runs it with a limit, shows and keeps what it prints, and
# adds what its counter finds in there. Its status is that of the command.
step() {
  local name=$1 counter=$2 log command status=0 began=$SECONDS passed=0 failed=0
  shift 2
  STEP=$((STEP + 1))
  log=$LOG_DIR/$RTSAP_INSTANCE-$STEP.log
  mkdir -p "$LOG_DIR"
  say "[$STEP] $name …"
  # In the background, because a shell answers signals only between commands, and so while it waits;
  # with job control, because without it what runs in the background would ignore Ctrl-C for ever.
  # Into a file, not a pipe: a pipe would last as long as any process a test leaves behind.
  : >"$log"
  set -m
  timeout --kill-after=20 "$STEP_SECONDS" "$@" </dev/null >"$log" 2>&1 &
  command=$!
  tail -n +1 -s 0.2 --pid="$command" -f "$log" &
  set +m
  wait "$command" || status=$?
  wait "$!" || true
  [[ $status -ne 124 ]] || warn "$name was ended after $STEP_SECONDS s (RTSAP_STEP_SECONDS)"
  [[ $counter == - ]] || read -r passed failed < <("$counter" "$log")
  [[ $status -eq 0 || $failed -gt 0 ]] || failed=1
  PASSED=$((PASSED + passed))
  FAILED=$((FAILED + failed))
  finish "$name" "$status" $((SECONDS - began)) "$passed" "$failed"
  [[ $status -ne 0 ]] || rm -f "$log"
  return "$status"
}

finish() {
  local verdict=ok line
  [[ $2 -eq 0 ]] || verdict="FAILED (status $2)"
  line=$(printf '%-28s %4d s  %5d passed %4d failed  %s' "$1" "$3" "$4" "$5" "$verdict")
  SUMMARY+=("$line")
  say "[$STEP] $line"
}

# Without these nothing after them can run: fails the whole run at once.
essential() { step "$1" - "${@:2}" || conclude; }

conclude() {
  say "summary"
  printf '      %s\n' "${SUMMARY[@]}" >&2
  leave
  local result
  result="$PASSED passed, $FAILED failed"
  if [[ -n ${RTSAP_RESULT:-} ]]; then
    printf '%s\n' "$result" >"$RTSAP_RESULT"
  else
    printf '%s\n' "$result"
  fi
  [[ $FAILED -eq 0 ]] && exit 0
  exit 1
}

# The last line of the walk: "18 passed, 1 failed".
count_walk() { tail -n 1 "$1" | awk '{ print $1 + 0, $3 + 0 }'; }

# Folder by folder: each has modules and fixtures of its own that may share names.
python_tests() {
  local folder
  for folder in "${PYTEST_FOLDERS[@]}"; do
    if [[ -d $folder ]]; then
      step "Python: ${folder%%/*}" count_pytest "$RTSAP_TEST_PYTHON" -m pytest -q --color=no \
        -p no:cacheprovider "$folder" || true
    else
      warn "SKIPPED: Python client tests; there is no $folder"
    fi
  done
}

cd "$CLONE"
"$SCRIPTS/services.sh" sweep
[[ ! -d $LOG_DIR ]] || find "$LOG_DIR" -name 'test-*.log' -mtime +7 -delete
essential "installation" "$SCRIPTS/services.sh" install
step "format" - cargo fmt --all --check || true
essential "services" "$SCRIPTS/services.sh" up
set -a
# shellcheck source=/dev/null
source "$("$SCRIPTS/services.sh" env)"
set +a
export RTSAP_TEST_BINARY=$CARGO_TARGET_DIR/debug/rtsap
[[ -n ${RTSAP_MARKET_DATA:-} ]] ||
  warn "SKIPPED: tests on recorded market data; set RTSAP_MARKET_DATA to a folder that has them"

# The same targets and features as the tests have, and the server's binary for the clients.
essential "build and lints" cargo build --workspace --bins --tests
step "Rust tests" count_cargo cargo test --workspace --no-fail-fast || true
step "model of the protocol" count_cargo cargo test --manifest-path simulation/Cargo.toml || true
python_tests
step "torture, short" count_walk "$RTSAP_TEST_PYTHON" scripts/torture.py --kills 8 --seed 3 || true
step "outage, short" count_walk "$RTSAP_TEST_PYTHON" scripts/outage.py --seconds 15 || true
step "quickstart and README" count_walk "$RTSAP_TEST_PYTHON" scripts/quickstart.py || true
conclude
