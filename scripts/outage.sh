#!/usr/bin/env bash
# Installs and builds what the outage drill needs, and runs it: see outage.py.
#
# usage: outage.sh [arguments of outage.py …]
source "$(dirname "${BASH_SOURCE[0]}")/prelude.sh"

export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$RTSAP_CACHE/target}

"$SCRIPTS/services.sh" install
(cd "$CLONE" && cargo build --workspace --bins) ||
  die "the build failed" "The compiler's message is above."
export RTSAP_TEST_BINARY=$CARGO_TARGET_DIR/debug/rtsap
exec "$("$SCRIPTS/python.sh" path)" "$SCRIPTS/outage.py" "$@"
