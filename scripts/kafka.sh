#!/usr/bin/env bash
# A real Apache Kafka broker (KRaft, one node, loopback only) for tests and benchmarks.
#
# usage: kafka.sh install            fetch the broker from Maven Central (or its Docker image)
#        kafka.sh start [data-dir]   start it and wait until it serves; prints host:port
#        kafka.sh check              try all that the tests rely on, for most of a minute
#        kafka.sh stop               stop it; data stays
#        kafka.sh status             print host:port and succeed when it runs
#        kafka.sh remove             stop it and delete this instance's data
#
# Environment: KAFKA_PORT asks for a port (default: the last one used, else a free one);
# KAFKA_HEAP the broker's heap (default 1g); RTSAP_INSTANCE names an independent broker beside
# others; RTSAP_SERVICES=native|docker overrides the choice of Docker where an engine answers.
source "$(dirname "${BASH_SOURCE[0]}")/prelude.sh"

VERSION=4.3.1
IMAGE=apache/kafka:$VERSION
CONTAINER=rtsap-kafka-$RTSAP_INSTANCE
LIBS=$RTSAP_CACHE/kafka/$VERSION
STATE=$INSTANCE_DIR/kafka
READY_SECONDS=90

port() { cat "$STATE/port" 2>/dev/null; }
in_docker() { [[ -e $STATE/in-docker ]]; }

running() {
  if in_docker; then
    [[ $(docker inspect -f '{{.State.Running}}' "$CONTAINER" 2>/dev/null) == true ]]
  else
    alive "$STATE/pid"
  fi
}

# ---- install

installed() {
  if use_docker; then
    docker image inspect "$IMAGE" >/dev/null 2>&1
  else
    [[ -e $LIBS/.complete ]]
  fi
}

fetch() {
  installed && return 0
  if use_docker; then
    docker_pull "$IMAGE" && return 0
    warn "could not pull $IMAGE; using the jars of Maven Central instead"
    export RTSAP_SERVICES=native
    installed && return 0
  fi
  if ! have java || ! have mvn; then
    die "Java or Maven was not found (java, mvn)" "Run scripts/install-system.sh test."
  fi
  say "installing Apache Kafka $VERSION from Maven Central …"
  local fresh=$LIBS.new
  rm -rf "$fresh" "$LIBS"
  mkdir -p "$fresh"
  logged kafka-install maven -f "$SCRIPTS/kafka/pom.xml" -Dkafka.version="$VERSION" \
    dependency:copy-dependencies -DincludeScope=runtime -DoutputDirectory="$fresh" ||
    die "Maven could not fetch Apache Kafka $VERSION" \
      "The log above says why; check this machine's network and ~/.m2/settings.xml."
  touch "$fresh/.complete"
  mv "$fresh" "$LIBS"
}

install() {
  installed || with_lock kafka fetch
  # A pull that failed inside the lock's subshell means the jars were fetched.
  installed || export RTSAP_SERVICES=native
  installed || die "Apache Kafka $VERSION is not installed" "Look into $LOG_DIR/kafka-install.log."
  say "Apache Kafka $VERSION is there"
}

# ---- start

# The last ports used, when they are free; else new ones. So clients find a restarted broker again.
choose_ports() {
  local broker controller
  { read -r broker && read -r controller; } < <(
    cat "$STATE/port" "$STATE/controller-port" 2>/dev/null
    echo
    echo
  )
  if [[ -z $broker || -z $controller ]] || listening "$broker" || listening "$controller"; then
    { read -r broker && read -r controller; } < <(free_ports 2) || true
    [[ -n $controller ]] || die "no free ports for Kafka on 127.0.0.1"
  fi
  broker=${KAFKA_PORT:-$broker}
  listening "$broker" && die "port $broker on 127.0.0.1 is taken" \
    "Set KAFKA_PORT to a free one, or leave it unset and one is chosen."
  printf '%s\n' "$broker" >"$STATE/port"
  printf '%s\n' "$controller" >"$STATE/controller-port"
}

# The settings of the broker as `key=value`. Deviations from the defaults, and why:
# one node, so every replication factor is 1; no retention and no limit on timestamps, because
# recorded market data is years old and retention goes by the records' own time.
settings() {
  local data=$1 listen=$2 broker=$3 controller=$4
  cat <<S
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:$controller
listeners=PLAINTEXT://$listen:$broker,CONTROLLER://127.0.0.1:$controller
advertised.listeners=PLAINTEXT://127.0.0.1:$broker
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
controller.listener.names=CONTROLLER
inter.broker.listener.name=PLAINTEXT
log.dirs=$data
num.partitions=3
default.replication.factor=1
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=4
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
group.initial.rebalance.delay.ms=0
log.retention.ms=-1
log.retention.bytes=-1
log.message.timestamp.after.max.ms=9223372036854775807
log.segment.bytes=134217728
num.network.threads=2
num.io.threads=2
S
}

# For the short-lived tools: no time is spent on optimising them.
kafka_java() {
  java -XX:+UseSerialGC -XX:TieredStopAtLevel=1 -Dkafka.logs.dir="$STATE" \
    -Dlog4j2.configurationFile="$SCRIPTS/kafka/log4j2.properties" -cp "$LIBS/*" "$@"
}

format() {
  local data=$1 id
  [[ -e $data/meta.properties ]] && return 0
  # What StorageTool's random-uuid does, without a second of Java: 16 random bytes, base64 for URLs.
  id=A$(head -c 16 /dev/urandom | base64 | tr '+/' '-_' | cut -c 2-22)
  kafka_java kafka.tools.StorageTool format -t "$id" -c "$STATE/server.properties" \
    --ignore-formatted >>"$STATE/broker.log" 2>&1
}

start_native() {
  local data=$1 heap=${KAFKA_HEAP:-1g}
  settings "$data" 127.0.0.1 "$(port)" "$(<"$STATE/controller-port")" >"$STATE/server.properties"
  : >"$STATE/broker.log"
  format "$data" || fail_to_start "formatting Kafka's storage in $data failed"
  # The lock and log descriptors of the caller must not live on in the broker.
  setsid java -Xms256m "-Xmx$heap" -XX:+UseSerialGC -XX:+ExitOnOutOfMemoryError \
    -Dlog4j2.configurationFile="$SCRIPTS/kafka/log4j2.properties" -Dkafka.logs.dir="$STATE" \
    -cp "$LIBS/*" kafka.Kafka "$STATE/server.properties" \
    >>"$STATE/broker.log" 2>&1 </dev/null 9>&- &
  remember "$STATE/pid" $!
}

start_docker() {
  local broker variables=() line key
  broker=$(port)
  while read -r line; do
    key=${line%%=*}
    key=KAFKA_${key//./_}
    variables+=(-e "${key^^}=${line#*=}")
  done < <(settings /var/lib/kafka/data 0.0.0.0 "$broker" "$(<"$STATE/controller-port")")
  docker_forget "$CONTAINER"
  LOG_DIR=$STATE logged docker docker run -d --name "$CONTAINER" --label rtsap="$RTSAP_INSTANCE" \
    -p "127.0.0.1:$broker:$broker" -v "$CONTAINER:/var/lib/kafka/data" \
    -e KAFKA_HEAP_OPTS="-Xms256m -Xmx${KAFKA_HEAP:-1g}" "${variables[@]}" "$IMAGE" ||
    die "Docker could not start $IMAGE" "Set RTSAP_SERVICES=native to run Kafka without Docker."
  touch "$STATE/in-docker"
}

fail_to_start() {
  if in_docker; then
    docker logs --tail 40 "$CONTAINER" >&2 || true
    docker_forget "$CONTAINER"
    rm -f "$STATE/in-docker"
    die "$1" "Set RTSAP_SERVICES=native to run Kafka without Docker."
  fi
  tail -n 40 "$STATE/broker.log" >&2
  terminate "$STATE/pid" 10 Kafka
  die "$1" "Its log is $STATE/broker.log; 'scripts/kafka.sh remove' starts from nothing."
}

python() {
  local interpreter
  interpreter=$("$SCRIPTS/python.sh" path)
  [[ -x $interpreter ]] || interpreter=python3
  "$interpreter" "$@"
}

# Ready means: metadata names the broker, and the coordinators of groups and transactions answer.
wait_until_ready() {
  local deadline=$((SECONDS + READY_SECONDS))
  until python "$SCRIPTS/check/kafka_ready.py" "127.0.0.1:$(port)" >>"$STATE/ready.log" 2>&1; do
    running || fail_to_start "Kafka ended while it started"
    ((SECONDS < deadline)) || fail_to_start "Kafka did not answer within $READY_SECONDS s"
    sleep 0.2
  done
}

start() {
  local data=${1:-}
  if running; then
    say "Kafka runs at 127.0.0.1:$(port)"
    return 0
  fi
  RTSAP_QUIET=1 install
  mkdir -p "$STATE"
  rm -f "$STATE/in-docker"
  choose_ports
  say "starting Kafka ($RTSAP_INSTANCE) on 127.0.0.1:$(port) …"
  # A data directory of one's own is for the native broker: a container's user could not write it.
  if [[ -z $data ]] && use_docker && installed; then
    start_docker
  else
    [[ -e $LIBS/.complete ]] || RTSAP_SERVICES=native with_lock kafka fetch
    data=${data:-$STATE/data}
    mkdir -p "$data"
    data=$(cd "$data" && pwd)
    start_native "$data"
  fi
  wait_until_ready
}

check() {
  running || die "Kafka ($RTSAP_INSTANCE) does not run" "Run: scripts/kafka.sh start"
  RTSAP_QUIET=1 "$SCRIPTS/python.sh" install
  python "$SCRIPTS/check/kafka_check.py" "127.0.0.1:$(port)" ||
    die "Kafka at 127.0.0.1:$(port) failed its check"
}

# ---- stop

stop() {
  if in_docker; then
    docker stop -t 20 "$CONTAINER" >/dev/null 2>&1 || true
    docker_forget "$CONTAINER"
    rm -f "$STATE/in-docker"
  elif [[ -e $STATE/pid ]]; then
    terminate "$STATE/pid" 20 Kafka
  fi
}

remove() {
  local docker_was=0
  in_docker && docker_was=1
  stop
  [[ $docker_was -eq 0 ]] || docker volume rm -f "$CONTAINER" >/dev/null 2>&1 || true
  rm -rf "$STATE"
}

case ${1:-} in
install) install ;;
start)
  start "${2:-}"
  printf '127.0.0.1:%s\n' "$(port)"
  ;;
check) check ;;
stop) stop ;;
status)
  running || die "Kafka ($RTSAP_INSTANCE) does not run" "Run: scripts/kafka.sh start"
  printf '127.0.0.1:%s\n' "$(port)"
  ;;
remove) remove ;;
*) misused "${1:-}" "kafka.sh install|start [data-dir]|check|stop|status|remove" ;;
esac
