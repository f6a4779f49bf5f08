# shellcheck shell=bash disable=SC2034 # what the scripts that source this use is not seen here
#
# Sourced by every script of this folder: where things are kept, how progress and failure are told,
# how ports are chosen and how a process is stopped. Starts and installs nothing by itself.
#
# Environment it reads
#   RTSAP_CACHE      where everything is installed; default ${XDG_CACHE_HOME:-$HOME/.cache}/rtsap
#   RTSAP_INSTANCE   which set of services is meant; default "dev". Two instances share what is
#                    installed and nothing else: own ports, own data, own processes.
#   RTSAP_SERVICES   "docker" or "native"; default: docker where an engine answers, else native
#   RTSAP_QUIET      "1" leaves progress lines out (errors are always told)

set -euo pipefail

SCRIPTS=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
CLONE=$(cd "$SCRIPTS/.." && pwd)
: "${HOME:=/root}"
RTSAP_CACHE=${RTSAP_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/rtsap}
[[ $RTSAP_CACHE == /* ]] || RTSAP_CACHE=$PWD/$RTSAP_CACHE
RTSAP_INSTANCE=${RTSAP_INSTANCE:-dev}
export HOME RTSAP_CACHE RTSAP_INSTANCE

[[ $RTSAP_INSTANCE =~ ^[a-z0-9][a-z0-9_-]{0,39}$ ]] || {
  echo "error: RTSAP_INSTANCE is '$RTSAP_INSTANCE'; use 1 to 40 of a-z, 0-9, - and _" >&2
  exit 2
}

# A shell that was not started by a login may not see where rustup puts cargo.
command -v cargo >/dev/null 2>&1 || [[ ! -x $HOME/.cargo/bin/cargo ]] || PATH=$HOME/.cargo/bin:$PATH
export PATH

# What make was told must not reach the makefiles of the C libraries that cargo builds.
unset MAKEFLAGS MFLAGS MAKEOVERRIDES MAKELEVEL

# Where this instance keeps its ports, process ids, data and logs.
INSTANCE_DIR=$RTSAP_CACHE/run/$RTSAP_INSTANCE
LOG_DIR=$RTSAP_CACHE/log

# A line of progress, on standard error: standard output is for what a script answers (an address).
say() { [[ ${RTSAP_QUIET:-} == 1 ]] || printf '==> %s\n' "$*" >&2; }

# Something worth knowing that stops nothing.
warn() { printf 'warning: %s\n' "$*" >&2; }

# die <what failed> [<what to do>]: the last words of a script.
die() {
  printf 'error: %s\n' "$1" >&2
  [[ $# -lt 2 ]] || printf 'hint: %s\n' "${@:2}" >&2
  exit 1
}

# misused <argument> <usage>: for an argument that a script does not know.
misused() { die "unknown argument '$1'" "usage: $2"; }

have() { command -v "$1" >/dev/null 2>&1; }

# logged <log name> <command …>: its output goes to a file, and is shown only when it fails.
logged() {
  local log=$LOG_DIR/$1.log status=0
  shift
  mkdir -p "$LOG_DIR"
  "$@" >"$log" 2>&1 </dev/null || status=$?
  [[ $status -eq 0 ]] && return 0
  {
    printf -- '--- last lines of %s\n' "$log"
    tail -n 40 "$log"
    printf -- '--- %s ended with status %s\n' "$1" "$status"
  } >&2
  return "$status"
}

# Maven, saying nothing but errors, with a repository inside the cache.
maven() {
  mvn -B -q -Dmaven.wagon.http.retryHandler.count=3 -Dmaven.repo.local="$RTSAP_CACHE/m2" "$@"
}

# with_lock <name> <function …>: one process at a time, also between clones that share the cache.
with_lock() {
  local name=$1
  shift
  mkdir -p "$RTSAP_CACHE/lock"
  (
    if ! flock -n 9; then
      say "waiting for another run that holds $RTSAP_CACHE/lock/$name …"
      flock 9
    fi
    "$@"
  ) 9>"$RTSAP_CACHE/lock/$name"
}

# free_ports <n>: n ports nobody listens on, below the range the kernel hands out to connections.
free_ports() {
  perl -MIO::Socket::INET -e '
    my ($wanted, %seen) = (shift);
    for (1 .. 2000) {
      last if keys %seen == $wanted;
      my $port = 15000 + int(rand(15000));
      next if $seen{$port};
      my $probe = IO::Socket::INET->new(LocalAddr => "127.0.0.1", LocalPort => $port,
                                        Proto => "tcp", Listen => 1) or next;
      $seen{$port} = $probe;
    }
    keys %seen == $wanted or die "no free port on 127.0.0.1 between 15000 and 30000\n";
    print join("\n", sort keys %seen), "\n";
  ' "$1"
}

# listening <port>: does anything accept connections there?
listening() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

# alive <pid file>: the process named there still runs, and is the one that was started (its start
# time is kept beside its id, so a reused id is never taken for ours).
alive() {
  local pid started
  [[ -r $1 ]] && read -r pid started <"$1" && [[ -n $pid ]] || return 1
  [[ $(started_at "$pid") == "$started" ]]
}

# started_at <pid>: when it started, in clock ticks after boot; empty when dead or not yet reaped.
started_at() {
  local stat
  stat=$(cat "/proc/$1/stat" 2>/dev/null) || return 0
  stat=${stat##*) }
  # shellcheck disable=SC2086 # the fields are words
  set -- $stat
  [[ $1 == Z ]] || printf '%s' "${20}"
}

# remember <pid file> <pid>
remember() { printf '%s %s\n' "$2" "$(started_at "$2")" >"$1"; }

# terminate <pid file> <seconds> <name>: asks politely, waits, then insists.
terminate() {
  local pid tries=$(($2 * 10))
  if ! alive "$1"; then
    rm -f "$1"
    return 0
  fi
  read -r pid _ <"$1"
  kill -TERM "$pid" 2>/dev/null || true
  while alive "$1" && ((tries-- > 0)); do sleep 0.1; done
  if alive "$1"; then
    warn "$3 (process $pid) did not stop within $2 s; killing it"
    kill -KILL "$pid" 2>/dev/null || true
    tries=50
    while alive "$1" && ((tries-- > 0)); do sleep 0.1; done
  fi
  rm -f "$1"
}

# forget_killed_postgres <data directory>: lets a PostgreSQL start again that was killed outright.
# Its lock file names a process that may linger, unreaped, and be taken for a running server; the
# file goes once the server's last process has left the directory. Call it only when the server's
# own process is known to be dead.
forget_killed_postgres() {
  local tries=100
  [[ -e $1/postmaster.pid ]] || return 0
  while [[ -n $(find /proc/[0-9]*/cwd -maxdepth 0 -lname "$1" 2>/dev/null) ]]; do
    ((tries-- > 0)) || die "processes of a killed PostgreSQL are still at work in $1" \
      "Find them with: lsof +d $1"
    sleep 0.1
  done
  rm -f "$1/postmaster.pid"
}

# use_docker: is a Docker engine there and wanted? Asked once for a whole run of scripts.
use_docker() {
  if [[ -z ${RTSAP_SERVICES:-} ]]; then
    if have docker && timeout 5 docker version --format '{{.Server.Version}}' >/dev/null 2>&1; then
      RTSAP_SERVICES=docker
    else
      RTSAP_SERVICES=native
    fi
    export RTSAP_SERVICES
  fi
  case $RTSAP_SERVICES in
  docker) return 0 ;;
  native) return 1 ;;
  *) die "RTSAP_SERVICES is '$RTSAP_SERVICES'" "Set it to docker or native, or leave it unset." ;;
  esac
}

# docker_pull <image>: once; tells why when it cannot.
docker_pull() {
  docker image inspect "$1" >/dev/null 2>&1 && return 0
  say "pulling $1 …"
  logged "docker-pull" docker pull "$1"
}

# docker_forget <container>: stop and remove it, whether or not it is there.
docker_forget() { docker rm -f -v "$1" >/dev/null 2>&1 || true; }

# stop_run <id>: ends every process that a run started and left behind. They are recognised by
# RTSAP_RUN_ID in the environment they were started with; this process and its ancestors are spared.
stop_run() {
  local id=$1 spared=" $$ " pid=$$ signal left environ
  while [[ -r /proc/$pid/status ]] && pid=$(awk '/^PPid:/ { print $2 }' "/proc/$pid/status") &&
    [[ -n $pid && $pid -gt 1 ]]; do
    spared+="$pid "
  done
  for signal in TERM TERM KILL; do
    left=0
    for environ in /proc/[0-9]*/environ; do
      pid=${environ#/proc/}
      pid=${pid%/environ}
      [[ $spared == *" $pid "* ]] && continue
      { tr '\0' '\n' <"$environ" | grep -qxF "RTSAP_RUN_ID=$id"; } 2>/dev/null || continue
      [[ -n $(started_at "$pid") ]] || continue
      left=1
      [[ $signal != KILL ]] || warn "killing what a test left running: $(describe_process "$pid")"
      kill -s "$signal" "$pid" 2>/dev/null || true
    done
    [[ $left -eq 0 ]] && return 0
    sleep 1
  done
}

describe_process() {
  printf '%s (process %s)' "$(tr '\0' ' ' <"/proc/$1/cmdline" | cut -c 1-120)" "$1"
}
