#!/usr/bin/env bash
# The PostgreSQL JDBC driver for the client tests, from Maven Central.
#
# usage: jdbc.sh install   fetch it (default)
#        jdbc.sh path      print the jar's path
#        jdbc.sh remove    delete it
source "$(dirname "${BASH_SOURCE[0]}")/prelude.sh"

VERSION=42.7.14
JAR=$RTSAP_CACHE/jdbc/postgresql-$VERSION.jar

fetch() {
  [[ -s $JAR ]] && return 0
  have mvn || die "Maven was not found (mvn)" "Run scripts/install-system.sh test."
  say "installing the PostgreSQL JDBC driver $VERSION …"
  local fresh=$RTSAP_CACHE/jdbc/new
  rm -rf "$fresh"
  mkdir -p "$fresh"
  logged jdbc maven \
    org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy \
    -Dartifact="org.postgresql:postgresql:$VERSION" -DoutputDirectory="$fresh" ||
    die "Maven could not fetch the PostgreSQL JDBC driver" \
      "The log above says why; check this machine's network and ~/.m2/settings.xml."
  mv "$fresh/postgresql-$VERSION.jar" "$JAR"
  rm -rf "$fresh"
}

case ${1:-install} in
install)
  [[ -s $JAR ]] || with_lock jdbc fetch
  say "the PostgreSQL JDBC driver is there: $JAR"
  ;;
path) printf '%s\n' "$JAR" ;;
remove) rm -rf "$RTSAP_CACHE/jdbc" ;;
*) misused "$1" "jdbc.sh install|path|remove" ;;
esac
