#!/usr/bin/env bash
# A schema registry on loopback for tests: Apicurio Registry, in memory, by Confluent's interface.
#
# usage: registry.sh install   fetch it from Maven Central
#        registry.sh start     start it; prints the URL that a source is given
#        registry.sh stop      stop it; what it held is gone
#        registry.sh status    print its URL and succeed when it runs
#        registry.sh remove    stop it and delete its log
#
# Environment: REGISTRY_PORT asks for a port (default: a free one); RTSAP_INSTANCE names an
# independent server beside others.
source "$(dirname "${BASH_SOURCE[0]}")/prelude.sh"

VERSION=2.6.13.Final
HOME_DIR=$RTSAP_CACHE/registry/$VERSION
JAR=$HOME_DIR/apicurio-registry-app-$VERSION-runner.jar
STATE=$INSTANCE_DIR/registry
READY_SECONDS=90

port() { cat "$STATE/port" 2>/dev/null; }
url() { printf 'http://127.0.0.1:%s/apis/ccompat/v7\n' "$(port)"; }
running() { alive "$STATE/pid"; }

fetch() {
  [[ -e $HOME_DIR/.complete ]] && return 0
  if ! have java || ! have mvn; then
    die "Java or Maven was not found (java, mvn)" "Run scripts/install-system.sh test."
  fi
  say "installing Apicurio Registry $VERSION from Maven Central …"
  rm -rf "$HOME_DIR" "$HOME_DIR.new"
  mkdir -p "$HOME_DIR.new"
  logged registry maven org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy \
    -Dartifact="io.apicurio:apicurio-registry-app:$VERSION:tar.gz:all" \
    -DoutputDirectory="$HOME_DIR.new" ||
    die "Maven could not fetch Apicurio Registry $VERSION" \
      "The log above says why; check this machine's network and ~/.m2/settings.xml."
  tar -xzf "$HOME_DIR.new/apicurio-registry-app-$VERSION-all.tar.gz" -C "$HOME_DIR.new"
  rm "$HOME_DIR.new/apicurio-registry-app-$VERSION-all.tar.gz"
  touch "$HOME_DIR.new/.complete"
  mv "$HOME_DIR.new" "$HOME_DIR"
}

install() {
  [[ -e $HOME_DIR/.complete ]] || with_lock registry fetch
  say "Apicurio Registry is there: $HOME_DIR"
}

start() {
  if running; then
    say "the schema registry runs at $(url)"
    return 0
  fi
  RTSAP_QUIET=1 install
  local deadline=$((SECONDS + READY_SECONDS))
  mkdir -p "$STATE"
  printf '%s\n' "${REGISTRY_PORT:-$(free_ports 1)}" >"$STATE/port"
  ! listening "$(port)" || die "port $(port) on 127.0.0.1 is taken" \
    "Set REGISTRY_PORT to a free one, or leave it unset and one is chosen."
  say "starting a schema registry ($RTSAP_INSTANCE) on 127.0.0.1:$(port) …"
  QUARKUS_HTTP_HOST=127.0.0.1 QUARKUS_HTTP_PORT=$(port) \
    setsid java -Xmx256m -jar "$JAR" >"$STATE/server.log" 2>&1 </dev/null 9>&- &
  remember "$STATE/pid" $!
  until curl -fsS -m 5 -o "$STATE/ready.log" "$(url)/subjects" 2>/dev/null; do
    if ! running || ((SECONDS >= deadline)); then
      tail -n 30 "$STATE/server.log" >&2
      terminate "$STATE/pid" 5 "the schema registry"
      die "the schema registry did not answer on 127.0.0.1:$(port)" \
        "Its log is $STATE/server.log."
    fi
    sleep 0.2
  done
}

stop() { [[ ! -e $STATE/pid ]] || terminate "$STATE/pid" 10 "the schema registry"; }

case ${1:-} in
install) install ;;
start)
  start
  url
  ;;
stop) stop ;;
status)
  running || die "the schema registry ($RTSAP_INSTANCE) does not run" \
    "Run: scripts/registry.sh start"
  url
  ;;
remove)
  stop
  rm -rf "$STATE"
  ;;
*) misused "${1:-}" "registry.sh install|start|stop|status|remove" ;;
esac
