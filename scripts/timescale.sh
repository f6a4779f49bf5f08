#!/usr/bin/env bash
# A real TimescaleDB (Apache edition) on loopback, for tests and benchmarks.
#
# usage: timescale.sh install   fetch it
#        timescale.sh init      make this instance's database cluster
#        timescale.sh start     start it (installs and inits first when needed); prints its URL
#        timescale.sh check     create the extension and a hypertable, and read it back
#        timescale.sh stop      stop it; data stays
#        timescale.sh status    print its URL and succeed when it runs
#        timescale.sh remove    stop it and delete this instance's data
#
# With a Docker engine it is the image timescale/timescaledb. Without one it is PostgreSQL 17 with
# TimescaleDB from Debian trixie's own packages, unpacked into a private root below the cache and run
# there by chroot, so nothing of the machine is changed; that needs root. The addresses of the
# repositories are asked from this machine's apt.
#
# Environment: TIMESCALE_PORT asks for a port (default: the last one used, else a free one);
# RTSAP_INSTANCE names an independent server beside others; RTSAP_SERVICES=native|docker.
source "$(dirname "${BASH_SOURCE[0]}")/prelude.sh"

VERSION=2.19.3
IMAGE=timescale/timescaledb:$VERSION-pg17-oss
CONTAINER=rtsap-timescale-$RTSAP_INSTANCE
ROOT=$RTSAP_CACHE/timescale/root
BIN=/usr/lib/postgresql/17/bin
# The server's user inside the private root; it needs no entry in this machine's /etc/passwd.
SERVER_USER=70:70
DATA=/srv/pg/$RTSAP_INSTANCE
STATE=$INSTANCE_DIR/timescale
KEYRING=/usr/share/keyrings/debian-archive-keyring.gpg

PACKAGES=(postgresql-17 postgresql-17-timescaledb postgresql-client-17 libpq5 libc6 libc-bin
  libssl3t64 libicu76 libxml2 liblz4-1 libzstd1 zlib1g libgssapi-krb5-2 libkrb5-3 libk5crypto3
  libkrb5support0 libcom-err2 libkeyutils1 libldap2 libsasl2-2 libpam0g libaudit1 libcap-ng0
  libselinux1 libpcre2-8-0 libsystemd0 libcap2 liblzma5 libstdc++6 libgcc-s1 libnuma1 libuuid1
  libgcrypt20 libgpg-error0 libreadline8t64 libtinfo6 libxxhash0 dash tzdata)

port() { cat "$STATE/port" 2>/dev/null; }
url() { printf 'postgres://postgres@127.0.0.1:%s/postgres\n' "$(port)"; }
in_docker() { [[ -e $STATE/in-docker ]]; }
inside() { chroot --userspec="$SERVER_USER" "$ROOT" "$@" 9>&-; }

running() {
  if in_docker; then
    [[ $(docker inspect -f '{{.State.Running}}' "$CONTAINER" 2>/dev/null) == true ]]
  else
    alive "$STATE/pid"
  fi
}

need_root() {
  [[ $(id -u) -eq 0 ]] || die "TimescaleDB without Docker runs by chroot, which needs root" \
    "Start a Docker engine, or run this as root."
}

# ---- install

installed() {
  if use_docker; then
    docker image inspect "$IMAGE" >/dev/null 2>&1
  else
    [[ -e $ROOT/.complete ]]
  fi
}

# repository <label>: the address from which this machine's apt gets Debian's packages.
repository() {
  # shellcheck disable=SC2016 # apt fills these in
  apt-get indextargets --format '$(LABEL)|$(REPO_URI)' 'Created-By: Packages' |
    awk -F '|' -v label="$1" '$1 == label && !found { print $2; found = 1 }'
}

# apt with lists and sources of its own, so that the machine's are neither used nor changed.
private_apt() {
  local work=$1
  shift
  apt-get -o Dir::Etc::sourcelist="$work/sources.list" -o Dir::Etc::sourceparts=/dev/null \
    -o Dir::Etc::PreferencesParts=/dev/null -o Dir::State::lists="$work/lists" \
    -o Dir::Cache="$work/cache" -o APT::Sandbox::User=root -o Acquire::Languages=none \
    -o Acquire::Retries=3 "$@"
}

download() {
  local work=$1 main security
  main=$(repository Debian)
  security=$(repository Debian-Security)
  if [[ -z $main ]]; then
    logged apt-update apt-get update -q || true
    main=$(repository Debian)
    security=$(repository Debian-Security)
  fi
  [[ -n $main ]] || die "this machine's apt knows no Debian repository" \
    "Run apt-get update; on another system than Debian start a Docker engine instead."
  [[ -r $KEYRING ]] || die "$KEYRING is missing" "Run: apt-get install debian-archive-keyring"
  mkdir -p "$work"/{lists/partial,cache/archives/partial,debs}
  printf 'deb [signed-by=%s] %s trixie main\n' "$KEYRING" "$main" >"$work/sources.list"
  [[ -z $security ]] ||
    printf 'deb [signed-by=%s] %s trixie-security main\n' "$KEYRING" "$security" \
      >>"$work/sources.list"
  logged timescale-lists private_apt "$work" update -qq \
    -o APT::Update::Error-Mode=any ||
    die "reading Debian trixie's package lists from $main failed" "The log above says why."
  cd "$work/debs"
  logged timescale-download private_apt "$work" download -qq "${PACKAGES[@]}" ||
    die "downloading Debian trixie's packages from $main failed" "The log above says why."
}

# Runs where a failure does not end the script by itself, hence the returns.
unpack() {
  local work=$1 root=$2 each
  mkdir -p "$root"/usr/{bin,sbin,lib,lib64} "$root"/{etc,tmp,srv/pg,dev} || return 1
  chmod 1777 "$root/tmp"
  for each in bin sbin lib lib64; do ln -s "usr/$each" "$root/$each"; done
  for each in "$work"/debs/*.deb; do
    dpkg-deb --fsys-tarfile "$each" | tar -x -C "$root" --keep-directory-symlink \
      --exclude=./usr/share/man --exclude=./usr/share/doc --exclude=./usr/share/locale \
      --exclude=./usr/lib/postgresql/17/lib/bitcode || return 1
  done
  printf 'root:x:0:0::/:/bin/sh\npostgres:x:70:70::/srv/pg:/bin/sh\n' >"$root/etc/passwd"
  printf 'root:x:0:\npostgres:x:70:\n' >"$root/etc/group"
  mknod -m 666 "$root/dev/null" c 1 3 || return 1
  mknod -m 666 "$root/dev/urandom" c 1 9 || return 1
  chroot --userspec="$SERVER_USER" "$root" $BIN/postgres --version >"$root/dev/null" || return 1
  chown "$SERVER_USER" "$root/srv/pg"
}

fetch() {
  installed && return 0
  if use_docker; then
    docker_pull "$IMAGE" && return 0
    warn "could not pull $IMAGE; using Debian's packages instead"
    export RTSAP_SERVICES=native
    installed && return 0
  fi
  need_root
  if ! have apt-get || ! have dpkg-deb; then
    die "TimescaleDB without Docker comes as Debian packages; apt-get was not found" \
      "Start a Docker engine."
  fi
  say "installing TimescaleDB $VERSION from Debian's packages …"
  local work=$RTSAP_CACHE/timescale/work fresh=$ROOT.new
  rm -rf --one-file-system "$work" "$fresh" "$ROOT"
  mkdir -p "$work"
  (download "$work")
  logged timescale-unpack unpack "$work" "$fresh" ||
    die "unpacking TimescaleDB into $fresh failed" \
      "Device nodes and programs must be allowed there; RTSAP_CACHE chooses another place."
  rm -rf "$work"
  touch "$fresh/.complete"
  mv "$fresh" "$ROOT"
}

install() {
  installed || with_lock timescale fetch
  installed || export RTSAP_SERVICES=native
  installed || die "TimescaleDB is not installed" "Look into $LOG_DIR/timescale-unpack.log."
  say "TimescaleDB $VERSION is there"
}

# ---- init

init() {
  RTSAP_QUIET=1 install
  mkdir -p "$STATE"
  # A container makes its cluster at its first start.
  use_docker && return 0
  need_root
  [[ -e $ROOT$DATA/postgresql.auto.conf && -e $STATE/initialised ]] && return 0
  rm -rf --one-file-system "$ROOT$DATA"
  LOG_DIR=$STATE logged init inside $BIN/initdb -D "$DATA" -U postgres -A trust -E UTF8 \
    --locale=C.UTF-8 --no-sync || die "making TimescaleDB's database cluster failed"
  settings >>"$ROOT$DATA/postgresql.conf"
  touch "$STATE/initialised"
}

# No JIT: its libraries are left out. Memory is mapped from files: the root has no /dev/shm.
settings() {
  cat <<'S'
listen_addresses = '127.0.0.1'
unix_socket_directories = '/tmp'
shared_preload_libraries = 'timescaledb'
timescaledb.telemetry_level = off
dynamic_shared_memory_type = mmap
jit = off
max_connections = 200
max_prepared_transactions = 16
S
}

# ---- start

choose_port() {
  local chosen=${TIMESCALE_PORT:-$(port || true)}
  if [[ -z $chosen ]] || { [[ -z ${TIMESCALE_PORT:-} ]] && listening "$chosen"; }; then
    chosen=$(free_ports 1)
  fi
  listening "$chosen" && die "port $chosen on 127.0.0.1 is taken" \
    "Set TIMESCALE_PORT to a free one, or leave it unset and one is chosen."
  printf '%s\n' "$chosen" >"$STATE/port"
}

start_native() {
  local log=$DATA/server.log
  forget_killed_postgres "$ROOT$DATA"
  # A server that was killed leaves its socket's lock file behind; the port is known to be free.
  rm -f "$ROOT/tmp/.s.PGSQL.$(port)" "$ROOT/tmp/.s.PGSQL.$(port).lock"
  if ! LOG_DIR=$STATE logged start inside $BIN/pg_ctl -D "$DATA" -l "$log" -w -t 60 \
    -o "-p $(port)" start; then
    tail -n 30 "$ROOT$log" >&2 || true
    die "TimescaleDB did not start on 127.0.0.1:$(port)" "Its log is $ROOT$log."
  fi
  remember "$STATE/pid" "$(head -n 1 "$ROOT$DATA/postmaster.pid")"
}

start_docker() {
  local deadline=$((SECONDS + 90))
  docker_forget "$CONTAINER"
  LOG_DIR=$STATE logged docker docker run -d --name "$CONTAINER" --label rtsap="$RTSAP_INSTANCE" \
    -p "127.0.0.1:$(port):5432" -v "$CONTAINER:/var/lib/postgresql/data" \
    -e POSTGRES_HOST_AUTH_METHOD=trust -e TIMESCALEDB_TELEMETRY=off "$IMAGE" \
    -c max_prepared_transactions=16 ||
    die "Docker could not start $IMAGE" "Set RTSAP_SERVICES=native to run it without Docker."
  touch "$STATE/in-docker"
  # The first start makes the cluster with a server that listens on its socket only.
  until docker exec "$CONTAINER" pg_isready -q -h 127.0.0.1 -U postgres 2>/dev/null; do
    if ((SECONDS >= deadline)) || ! running; then
      docker logs --tail 30 "$CONTAINER" >&2 || true
      docker_forget "$CONTAINER"
      rm -f "$STATE/in-docker"
      die "TimescaleDB did not answer in its container"
    fi
    sleep 0.2
  done
}

start() {
  if running; then
    say "TimescaleDB runs at $(url)"
    return 0
  fi
  init
  rm -f "$STATE/in-docker"
  choose_port
  say "starting TimescaleDB ($RTSAP_INSTANCE) on 127.0.0.1:$(port) …"
  if use_docker; then start_docker; else start_native; fi
}

check() {
  running || die "TimescaleDB ($RTSAP_INSTANCE) does not run" "Run: scripts/timescale.sh start"
  have psql || die "psql was not found" "Run scripts/install-system.sh test."
  local found
  found=$(psql -X -q -A -t -v ON_ERROR_STOP=1 -f "$SCRIPTS/check/timescale_check.sql" "$(url)") ||
    die "TimescaleDB at $(url) failed its check"
  say "TimescaleDB answers: $found"
}

# ---- stop

stop() {
  if in_docker; then
    docker stop -t 20 "$CONTAINER" >/dev/null 2>&1 || true
    docker_forget "$CONTAINER"
    rm -f "$STATE/in-docker"
  elif alive "$STATE/pid"; then
    LOG_DIR=$STATE logged stop inside $BIN/pg_ctl -D "$DATA" -m fast -w -t 20 stop || true
    terminate "$STATE/pid" 5 TimescaleDB
  fi
}

remove() {
  local docker_was=0
  in_docker && docker_was=1
  stop
  [[ $docker_was -eq 0 ]] || docker volume rm -f "$CONTAINER" >/dev/null 2>&1 || true
  [[ ! -d $ROOT$DATA ]] || rm -rf --one-file-system "${ROOT:?}$DATA"
  rm -rf "$STATE"
}

case ${1:-} in
install) install ;;
init) init ;;
start)
  start
  url
  ;;
check) check ;;
stop) stop ;;
status)
  running || die "TimescaleDB ($RTSAP_INSTANCE) does not run" "Run: scripts/timescale.sh start"
  url
  ;;
remove) remove ;;
*) misused "${1:-}" "timescale.sh install|init|start|check|stop|status|remove" ;;
esac
