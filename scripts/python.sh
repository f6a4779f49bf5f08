#!/usr/bin/env bash
# The tests' Python: a virtual environment with the packages of requirements.txt.
#
# usage: python.sh install   make or renew it (default); nothing to do takes some milliseconds
#        python.sh path      print the interpreter's path
#        python.sh usable    succeed when this machine has a Python that can make one
#        python.sh remove    delete it and all others
#
# Environment: RTSAP_PYTHON names the interpreter to build from (default: the first of python3,
# python3.11, python3.12, python3.13 that is new enough and can make environments).
source "$(dirname "${BASH_SOURCE[0]}")/prelude.sh"

REQUIREMENTS=$SCRIPTS/requirements.txt
# Named after what it holds, so that a clone with other requirements never takes away what runs.
VENV=$RTSAP_CACHE/venv/$(sha256sum <"$REQUIREMENTS" | cut -c 1-12)
STAMP=$VENV/.complete

# The first interpreter, from 3.11 on, with venv and ensurepip.
base_python() {
  local candidate
  for candidate in ${RTSAP_PYTHON:-python3 python3.11 python3.12 python3.13}; do
    if "$candidate" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' \
      >/dev/null 2>&1; then
      "$candidate" -c 'import sys; print(sys.executable)'
      return 0
    fi
  done
  return 1
}

installed() { [[ -x $VENV/bin/python && -e $STAMP ]]; }

build() {
  installed && return 0
  local python
  python=$(base_python) || die "no Python 3.11 or newer that can make virtual environments" \
    "Run scripts/install-system.sh test, or name one in RTSAP_PYTHON."
  say "installing Python packages into $VENV …"
  # Environments do not survive being moved, so it is made in place and stamped last: what was
  # interrupted is never taken for complete.
  rm -rf "$VENV"
  mkdir -p "$RTSAP_CACHE/venv"
  logged python-venv "$python" -m venv "$VENV" ||
    die "making a virtual environment in $VENV failed" \
      "On Debian, python3-venv is a package of its own: scripts/install-system.sh test installs it."
  logged python-packages "$VENV/bin/python" -m pip install --disable-pip-version-check \
    --only-binary :all: --no-binary peewee -r "$REQUIREMENTS" || die "pip could not install $REQUIREMENTS" \
    "The log above says why; check this machine's network and pip's configuration."
  logged python-import "$VENV/bin/python" "$SCRIPTS/check/python_imports.py" ||
    die "a Python package was installed but cannot be imported"
  touch "$STAMP"
}

case ${1:-install} in
install)
  installed || with_lock python build
  say "Python is there: $("$VENV/bin/python" --version) in $VENV"
  ;;
path) printf '%s\n' "$VENV/bin/python" ;;
usable) base_python >/dev/null ;;
remove) rm -rf "$RTSAP_CACHE/venv" ;;
*) misused "$1" "python.sh install|path|usable|remove" ;;
esac
