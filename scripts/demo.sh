#!/usr/bin/env bash
# From a fresh clone to a running demo: installs what a build needs, builds, runs `rtsap demo`.
#
# usage: demo.sh [arguments of `rtsap demo` …]
source "$(dirname "${BASH_SOURCE[0]}")/prelude.sh"

export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$RTSAP_CACHE/target}

say "looking for what a build needs … (1/3)"
"$SCRIPTS/install-system.sh" demo
if [[ -x $CARGO_TARGET_DIR/debug/rtsap ]]; then
  say "building rtsap … (2/3)"
else
  say "building rtsap; the first time this takes several minutes … (2/3)"
fi
(cd "$CLONE" && cargo build --workspace --bins) ||
  die "the build failed" "The compiler's message is above."
say "starting the demo; Ctrl-C ends it … (3/3)"
exec "$CARGO_TARGET_DIR/debug/rtsap" demo "$@"
