#!/usr/bin/env bash
# Random views over random streams, compared with a brute-force reference; every failure is printed as
# a small case in SQL.
#
# usage: differential.sh [--seed N] [--cases N] [--seconds N] [--only SEED]
source "$(dirname "${BASH_SOURCE[0]}")/prelude.sh"

export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$RTSAP_CACHE/target}
cd "$CLONE"
# The same features as the tests have, so that nothing is built twice.
cargo build --workspace --bins
exec "$CARGO_TARGET_DIR/debug/rtsap-differential" "$@"
