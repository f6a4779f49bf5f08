#!/usr/bin/env bash
# Installs the system packages RTSAP needs, and only those that are missing.
#
# usage: install-system.sh [demo|test]
#   demo   what a build and the demo need: compiler, headers (default)
#   test   also what the tests need: psql, a PostgreSQL server, Java, Maven, Python with venv
#
# Debian and its children (apt). Elsewhere it names what is missing and stops.
source "$(dirname "${BASH_SOURCE[0]}")/prelude.sh"

RUST_WANTED=1.95

# Each need: how to see that it is met, and the Debian package that meets it.
header() { [[ -e /usr/include/$1 || -e /usr/local/include/$1 ]]; }
postgres_server() { compgen -G '/usr/lib/postgresql/*/bin/postgres' >/dev/null; }
java_17() {
  local version
  have javac && version=$(java -version 2>&1) && [[ $version =~ \"([0-9]+) ]] &&
    ((BASH_REMATCH[1] >= 17))
}

missing_for_demo() {
  have gcc || echo gcc
  have g++ || echo g++
  have make || echo make
  have pkg-config || echo pkg-config
  have perl || echo perl
  have flock || echo util-linux
  header zlib.h || echo zlib1g-dev
  header openssl/ssl.h || echo libssl-dev
  [[ -e /etc/ssl/certs/ca-certificates.crt ]] || echo ca-certificates
}

missing_for_test() {
  have psql || echo postgresql-client
  postgres_server || echo postgresql
  java_17 || echo openjdk-17-jdk-headless
  have mvn || echo maven
  have curl || echo curl
  [[ -x $("$SCRIPTS/python.sh" path) ]] || "$SCRIPTS/python.sh" usable ||
    printf '%s\n' python3 python3-venv
}

# check_rust demo|test: the tests also need Rust's formatter and lints.
check_rust() {
  if ! have cargo || ! have rustc; then
    die "no Rust compiler was found (rustc, cargo)" \
      "Install it with: curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs | sh" \
      "Then open a new shell (or run: . \"\$HOME/.cargo/env\") and try again."
  fi
  RUST_FOUND=$(cd "$CLONE" && rustc --version | awk '{ print $2 }')
  if ! printf '%s\n' "$RUST_WANTED" "$RUST_FOUND" | sort -V -C; then
    die "rustc is $RUST_FOUND; RTSAP needs $RUST_WANTED or newer" \
      "Run: rustup toolchain install stable && rustup default stable"
  fi
  [[ $1 == test ]] || return 0
  (cd "$CLONE" && cargo fmt --version && clippy-driver --version) >/dev/null 2>&1 ||
    die "Rust's formatter or lints are missing (cargo fmt, cargo clippy)" \
      "Run: rustup component add rustfmt clippy"
}

# Debian starts a cluster on port 5432 as soon as its server package is unpacked. The tests make
# their own, so a machine that had no PostgreSQL is left without a running one.
keep_postgres_from_starting() {
  logged apt-postgresql-common apt_install postgresql-common || return 1
  sed -i 's/^#\?[[:space:]]*create_main_cluster.*/create_main_cluster = false/' \
    /etc/postgresql-common/createcluster.conf
}

apt_install() {
  DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends \
    -o Acquire::Retries=3 "$@"
}

install_packages() {
  have apt-get || die "these packages are missing and this machine has no apt-get: $*" \
    "Install their equivalents with this system's package manager and run this again."
  [[ $(id -u) -eq 0 ]] || die "installing packages needs root; missing: $*" \
    "Run: sudo apt-get install -y --no-install-recommends $*"
  say "installing Debian packages: $* …"
  logged apt-update apt-get update -q -o Acquire::Retries=3 ||
    warn "apt-get update failed; trying with the package lists that are there"
  if [[ " $* " == *' postgresql '* ]]; then
    keep_postgres_from_starting || die "installing postgresql-common failed" \
      "The log above says why; check this machine's network and /etc/apt."
  fi
  logged apt-install apt_install "$@" || die "apt-get could not install: $*" \
    "The log above says why; check this machine's network and /etc/apt."
}

missing() {
  missing_for_demo
  [[ $1 == demo ]] || missing_for_test
}

main() {
  local what=${1:-demo} packages
  [[ $what == demo || $what == test ]] ||
    misused "$what" "install-system.sh [demo|test]"
  mapfile -t packages < <(missing "$what")
  if [[ ${#packages[@]} -gt 0 ]]; then
    install_packages "${packages[@]}"
    mapfile -t packages < <(missing "$what")
    [[ ${#packages[@]} -eq 0 ]] || die "still missing after the installation: ${packages[*]}" \
      "Look into $LOG_DIR/apt-install.log."
  fi
  check_rust "$what"
  say "system packages for the $what are there; rustc $RUST_FOUND"
}

main "$@"
