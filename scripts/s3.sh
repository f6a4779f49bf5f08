#!/usr/bin/env bash
# An S3 server on loopback for tests of checkpoints in object storage: moto, in memory.
#
# usage: s3.sh start    start it and make the bucket "rtsap"; prints its URL
#        s3.sh stop     stop it; what it held is gone
#        s3.sh status   print its URL and succeed when it runs
#        s3.sh remove   stop it and delete its log
#
# Any access key and secret are accepted; the region is us-east-1. Not to be used for measuring.
#
# Environment: S3_PORT asks for a port (default: a free one); RTSAP_INSTANCE names an independent
# server beside others.
source "$(dirname "${BASH_SOURCE[0]}")/prelude.sh"

STATE=$INSTANCE_DIR/s3
BUCKET=rtsap
READY_SECONDS=30

port() { cat "$STATE/port" 2>/dev/null; }
url() { printf 'http://127.0.0.1:%s\n' "$(port)"; }
running() { alive "$STATE/pid"; }

start() {
  if running; then
    say "the S3 server runs at $(url)"
    return 0
  fi
  RTSAP_QUIET=1 "$SCRIPTS/python.sh" install
  local python deadline=$((SECONDS + READY_SECONDS))
  python=$("$SCRIPTS/python.sh" path)
  mkdir -p "$STATE"
  printf '%s\n' "${S3_PORT:-$(free_ports 1)}" >"$STATE/port"
  ! listening "$(port)" || die "port $(port) on 127.0.0.1 is taken" \
    "Set S3_PORT to a free one, or leave it unset and one is chosen."
  say "starting an S3 server ($RTSAP_INSTANCE) on 127.0.0.1:$(port) …"
  setsid "$python" -m moto.server -H 127.0.0.1 -p "$(port)" \
    >"$STATE/server.log" 2>&1 </dev/null 9>&- &
  remember "$STATE/pid" $!
  until "$python" "$SCRIPTS/check/s3_bucket.py" "$(url)" "$BUCKET" >"$STATE/ready.log" 2>&1; do
    if ! running || ((SECONDS >= deadline)); then
      tail -n 30 "$STATE/server.log" "$STATE/ready.log" >&2
      terminate "$STATE/pid" 5 "the S3 server"
      die "the S3 server did not answer on 127.0.0.1:$(port)" "Its log is $STATE/server.log."
    fi
    sleep 0.2
  done
}

stop() { [[ ! -e $STATE/pid ]] || terminate "$STATE/pid" 5 "the S3 server"; }

case ${1:-} in
start)
  start
  url
  ;;
stop) stop ;;
status)
  running || die "the S3 server ($RTSAP_INSTANCE) does not run" "Run: scripts/s3.sh start"
  url
  ;;
remove)
  stop
  rm -rf "$STATE"
  ;;
*) misused "${1:-}" "s3.sh start|stop|status|remove" ;;
esac
