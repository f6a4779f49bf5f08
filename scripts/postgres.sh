#!/usr/bin/env bash
# A plain PostgreSQL on loopback, from the system's own package, for tests of what must also work
# without TimescaleDB.
#
# usage: postgres.sh start    start it (makes its cluster first when needed); prints its URL
#        postgres.sh stop     stop it; data stays
#        postgres.sh status   print its URL and succeed when it runs
#        postgres.sh remove   stop it and delete this instance's data
#
# Environment: POSTGRES_PORT asks for a port (default: the last one used, else a free one);
# RTSAP_INSTANCE names an independent server beside others.
source "$(dirname "${BASH_SOURCE[0]}")/prelude.sh"

STATE=$INSTANCE_DIR/postgres

port() { cat "$STATE/port" 2>/dev/null; }
url() { printf 'postgres://postgres@127.0.0.1:%s/postgres\n' "$(port)"; }
running() { alive "$STATE/pid"; }
is_root() { [[ $(id -u) -eq 0 ]]; }

# PostgreSQL refuses to run as root, so root runs it as the package's own user.
as_server() { if is_root; then (cd / && runuser -u postgres -- "$@" 9>&-); else "$@" 9>&-; fi; }

# The newest server that is installed.
find_server() {
  BIN=$(printf '%s\n' /usr/lib/postgresql/*/bin | sort -V | tail -n 1)
  [[ -x $BIN/postgres ]] || BIN=$(dirname "$(command -v postgres || echo none/postgres)")
  [[ -x $BIN/postgres ]] || die "no PostgreSQL server was found below /usr/lib/postgresql" \
    "Run scripts/install-system.sh test."
  ! is_root || id -u postgres >/dev/null 2>&1 || die "the system has no user postgres" \
    "Run scripts/install-system.sh test; the package makes that user."
}

# Root's cache usually lies where the user postgres may not look, so its data lies elsewhere then.
choose_data() {
  DATA=$STATE/data
  if is_root; then
    DATA=/var/tmp/rtsap-postgres-$(printf '%s' "$INSTANCE_DIR" | sha256sum | cut -c 1-12)
  fi
}

init() {
  [[ -e $DATA/.complete ]] && return 0
  rm -rf --one-file-system "$DATA"
  mkdir -p "$DATA"
  chmod 700 "$DATA"
  ! is_root || chown postgres "$DATA"
  LOG_DIR=$STATE logged init as_server "$BIN/initdb" -D "$DATA" -U postgres -A trust \
    -E UTF8 --locale=C.UTF-8 --no-sync || die "making PostgreSQL's database cluster failed"
  cat >>"$DATA/postgresql.conf" <<S
listen_addresses = '127.0.0.1'
unix_socket_directories = '$DATA'
max_connections = 200
max_prepared_transactions = 16
S
  touch "$DATA/.complete"
}

choose_port() {
  local chosen=${POSTGRES_PORT:-$(port || true)}
  if [[ -z $chosen ]] || { [[ -z ${POSTGRES_PORT:-} ]] && listening "$chosen"; }; then
    chosen=$(free_ports 1)
  fi
  listening "$chosen" && die "port $chosen on 127.0.0.1 is taken" \
    "Set POSTGRES_PORT to a free one, or leave it unset and one is chosen."
  printf '%s\n' "$chosen" >"$STATE/port"
}

start() {
  local version
  if running; then
    say "PostgreSQL runs at $(url)"
    return 0
  fi
  find_server
  mkdir -p "$STATE"
  init
  choose_port
  forget_killed_postgres "$DATA"
  rm -f "$DATA"/.s.PGSQL.*
  version=$("$BIN/postgres" --version | sed 's/.*(PostgreSQL)/PostgreSQL/')
  say "starting $version ($RTSAP_INSTANCE) on 127.0.0.1:$(port) …"
  if ! LOG_DIR=$STATE logged start as_server "$BIN/pg_ctl" -D "$DATA" \
    -l "$DATA/server.log" -w -t 60 -o "-p $(port)" start; then
    tail -n 30 "$DATA/server.log" >&2 || true
    die "PostgreSQL did not start on 127.0.0.1:$(port)" "Its log is $DATA/server.log."
  fi
  remember "$STATE/pid" "$(head -n 1 "$DATA/postmaster.pid")"
}

stop() {
  running || return 0
  find_server
  LOG_DIR=$STATE logged stop \
    as_server "$BIN/pg_ctl" -D "$DATA" -m fast -w -t 20 stop || true
  terminate "$STATE/pid" 5 PostgreSQL
}

choose_data
case ${1:-} in
start)
  start
  url
  ;;
stop) stop ;;
status)
  running || die "PostgreSQL ($RTSAP_INSTANCE) does not run" "Run: scripts/postgres.sh start"
  url
  ;;
remove)
  stop
  rm -rf --one-file-system "$DATA" "$STATE"
  ;;
*) misused "${1:-}" "postgres.sh start|stop|status|remove" ;;
esac
