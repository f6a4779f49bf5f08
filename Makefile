# The commands of RTSAP. Each installs what it needs and can be run on a fresh machine.
# The work is done by scripts/; everything they install lies below $(RTSAP_CACHE), not in the clone.

RTSAP_CACHE ?= $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/rtsap
# Outside of the clone, so that a fresh clone finds what an earlier one has built.
CARGO_TARGET_DIR ?= $(RTSAP_CACHE)/target
# A shell that was not started by a login may not see where rustup puts cargo.
PATH := $(PATH):$(HOME)/.cargo/bin
export RTSAP_CACHE CARGO_TARGET_DIR PATH

# Arguments for `rtsap demo` and the benchmarks, for example: make demo ARGS='--pg-port 6543'
ARGS ?=
ROWS ?= 10000000

.DEFAULT_GOAL := help
.PHONY: help demo test bench torture outage differential mutants flat-state lint services clean-services

help: ## this list
	@echo 'usage: make <command>'
	@echo
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-16s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))
	@echo
	@echo 'Installed, built and kept below $(RTSAP_CACHE) (RTSAP_CACHE changes that).'

demo: ## install, build and run a market data job on embedded defaults (ARGS='--pg-port 6543')
	@exec scripts/demo.sh $(ARGS)

test: ## install, start a real Kafka, TimescaleDB and PostgreSQL, and run every test
	@exec scripts/test.sh

bench: ## install, start a real Kafka, and measure (ARGS='--short' only shows that it works)
	@exec scripts/bench.sh $(ARGS)

torture: ## kill, stop and cut off all real parts at random, and count every row (ARGS='--kills 1000')
	@exec scripts/torture.sh $(ARGS)

outage: ## take TimescaleDB away for an hour while trades come, and measure the catch-up (ARGS='--seconds 60')
	@exec scripts/outage.sh $(ARGS)

differential: ## compare random views over random streams with a reference (ARGS='--seed 7 --cases 10000 --seconds 1800')
	@exec scripts/differential.sh $(ARGS)

mutants: ## plant bugs in a copy, each of which the simulation must notice (ARGS='fence-left-out')
	@exec env -u CARGO_TARGET_DIR scripts/mutants.sh $(ARGS)

flat-state: ## ten million rows through a view of every operator, with an eye on their state (ROWS=…)
	RTSAP_FLAT_ROWS=$(ROWS) cargo test --workspace --test it -- state_stays

lint: ## format and lint checks only
	cargo fmt --all --check
	cargo clippy --workspace --all-targets -- -D warnings
	cargo xtask tidy

services: ## install and start the services for working by hand
	@scripts/services.sh install
	@scripts/services.sh up

clean-services: ## stop the services and delete their data
	@scripts/services.sh clean
