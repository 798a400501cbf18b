# shellcheck shell=bash
# What the tests need, and how each is installed. Sourced by tests/run.sh and
# .ci/run, with DBACCESS_TEST_TOOLS set and the repository as the directory.

# The oldest Node that the pinned npm packages run on, and the one brought
# where the system's is older (Debian 12, Ubuntu 24.04).
readonly OLDEST_NODE=20 OWN_NODE=22.23.3

say() { printf 'test tools: %s\n' "$*" >&2; }
die() {
  say "$*"
  exit 1
}
has() { command -v "$1" >/dev/null 2>&1; }

install_all() {
  has cargo || die "cargo is missing: install Rust (rust-version in Cargo.toml)"
  mkdir -p "$DBACCESS_TEST_TOOLS"
  system_packages
  node_runtime
  node_packages
  python_packages
  glewlwyd
  jdbc_driver
  rsyslog
  rule_checker
  tests/tools/postgres.sh
}

install_lints() {
  has shellcheck || system_install shellcheck
}

# pgbouncer is what the benchmarks compare the gateway's overhead with.
install_bench() {
  has pgbouncer || [ -x /usr/sbin/pgbouncer ] || system_install pgbouncer
}

# --- what the system's package manager brings --------------------------------

system_packages() {
  local missing=()
  has cc || missing+=(build-essential)
  has_libclang || missing+=(libclang-dev)
  has_postgres || missing+=(postgresql)
  has node || missing+=(nodejs)
  has npm || missing+=(npm)
  has python3 || missing+=(python3)
  has_venv || missing+=(python3-venv)
  has javac || missing+=(default-jdk-headless)
  has openssl || missing+=(openssl)
  has pdftotext || missing+=(poppler-utils)
  if [ "$(uname)" = Linux ]; then
    has dbus-run-session || missing+=(dbus)
    has gnome-keyring-daemon || missing+=(gnome-keyring)
  fi
  has_browser || missing+=("$(browser_package)")
  [ "${#missing[@]}" -eq 0 ] || system_install "${missing[@]}"
}

# pg_query's build script reads PostgreSQL's headers through libclang.
has_libclang() {
  [ -n "${LIBCLANG_PATH:-}" ] && return
  local directory
  for directory in /usr/lib /usr/lib64 /usr/lib/*-linux-gnu /usr/lib/llvm-*/lib \
    /opt/homebrew/opt/llvm/lib /Library/Developer/CommandLineTools/usr/lib; do
    compgen -G "$directory/libclang.so*" >/dev/null && return
    compgen -G "$directory/libclang-[0-9]*so*" >/dev/null && return
    [ -e "$directory/libclang.dylib" ] && return
  done
  return 1
}

# Debian keeps the server's programs off PATH.
has_postgres() {
  has initdb || compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null
}

has_venv() { has python3 && python3 -c 'import ensurepip, venv' 2>/dev/null; }

has_browser() {
  has chromium-headless-shell || has chromium || has chromium-browser || has google-chrome ||
    [ -d '/Applications/Google Chrome.app' ]
}

browser_package() {
  if has apt-cache && apt-cache show chromium-headless-shell >/dev/null 2>&1; then
    echo chromium-headless-shell
  else
    echo chromium
  fi
}

system_install() {
  say "installing $*"
  if has apt-get; then
    apt_install "$@"
  elif has brew; then
    brew_install "$@"
  else
    die "no apt or brew here: install $* by hand, then run this again"
  fi
}

apt_install() {
  # The tests start their own servers: Debian need not create and start one.
  if [[ " $* " == *" postgresql "* ]] && [ ! -e /etc/postgresql-common ]; then
    as_root mkdir -p /etc/postgresql-common/createcluster.d
    echo 'create_main_cluster = false' |
      as_root tee /etc/postgresql-common/createcluster.d/no-main-cluster.conf >/dev/null
  fi
  apt_update
  quietly as_root env DEBIAN_FRONTEND=noninteractive \
    apt-get install -y --no-install-recommends -o Dpkg::Use-Pty=0 -o DPkg::Lock::Timeout=300 "$@"
}

apt_updated=false
apt_update() {
  "$apt_updated" || quietly as_root apt-get update -o DPkg::Lock::Timeout=300
  apt_updated=true
}

brew_install() {
  local package formulas=()
  for package in "$@"; do
    case "$package" in
      postgresql) formulas+=(postgresql@16) ;;
      libclang-dev) formulas+=(llvm) ;;
      poppler-utils) formulas+=(poppler) ;;
      nodejs | npm) formulas+=(node) ;;
      python3 | python3-venv) formulas+=(python) ;;
      default-jdk-headless) formulas+=(openjdk) ;;
      build-essential) die "install Apple's command line tools: xcode-select --install" ;;
      chromium) die "install Chrome or Chromium, then run this again" ;;
      *) formulas+=("$package") ;;
    esac
  done
  quietly brew install --quiet "${formulas[@]}"
}

as_root() {
  if [ "$(id -u)" -eq 0 ]; then
    "$@"
  else
    has sudo || die "installing needs root or sudo: $*"
    sudo "$@"
  fi
}

# A package manager's chatter matters only when it fails.
quietly() {
  local log
  log=$(mktemp)
  if ! "$@" >"$log" 2>&1 </dev/null; then
    tail -n 40 "$log" >&2
    rm -f "$log"
    die "failed: $*"
  fi
  rm -f "$log"
}

# --- what lives in $DBACCESS_TEST_TOOLS --------------------------------------

# Runs `$2…` unless `$1` (a directory of the tools) was already made from the
# same pins, which come on standard input.
once_for_pins() {
  local directory="$DBACCESS_TEST_TOOLS/$1" pins
  shift
  pins=$(cksum)
  [ "$(cat "$directory/.pins" 2>/dev/null)" = "$pins" ] && return
  rm -rf "$directory"
  mkdir -p "$directory"
  "$@" "$directory"
  printf '%s\n' "$pins" >"$directory/.pins"
}

# Its own directory comes first on PATH: the system's Node stays what it is.
node_runtime() {
  PATH="$DBACCESS_TEST_TOOLS/bin:$PATH"
  local version
  version=$(node -p 'process.versions.node.split(".")[0]')
  [ "$version" -ge "$OLDEST_NODE" ] && return
  echo "$OWN_NODE" | once_for_pins node-runtime install_node_runtime
  mkdir -p "$DBACCESS_TEST_TOOLS/bin"
  ln -sf ../node-runtime/node_modules/node/bin/node "$DBACCESS_TEST_TOOLS/bin/node"
  hash -r
}

install_node_runtime() {
  say "installing Node $OWN_NODE: the system's is too old"
  local machine
  case "$(uname -sm)" in
    'Linux x86_64') machine=linux-x64 ;;
    'Linux aarch64') machine=linux-arm64 ;;
    *) die "Node $OLDEST_NODE or newer is needed" ;;
  esac
  quietly npm install --prefix "$1" --ignore-scripts --no-audit --no-fund "node@npm:node-$machine@$OWN_NODE"
}

node_packages() {
  cat tests/tools/package-lock.json <(node --version) | once_for_pins node install_node_packages
}

install_node_packages() {
  say "installing npm packages"
  cp tests/tools/package.json tests/tools/package-lock.json tests/tools/.npmrc "$1"
  quietly npm ci --prefix "$1" --ignore-scripts --no-audit --no-fund
}

python_packages() {
  cat tests/tools/requirements.txt <(python3 --version) | once_for_pins python install_python_packages
}

install_python_packages() {
  say "installing Python packages"
  quietly python3 -m venv "$1"
  quietly "$1/bin/pip" install --disable-pip-version-check -r tests/tools/requirements.txt
}

# Glewlwyd and the JDBC driver are unpacked, not installed: Debian's package of
# the first starts a service with a well-known administrator password.
glewlwyd() {
  has apt-get || return 0
  echo 1 | once_for_pins glewlwyd unpack_glewlwyd
}

unpack_glewlwyd() {
  say "unpacking glewlwyd"
  unpack_packages "$1" glewlwyd glewlwyd-common \
    libjs-jquery libjs-bootstrap4 libjs-popper.js fonts-fork-awesome
  local libraries
  mapfile -t libraries < <(dpkg-deb -f "$1"/glewlwyd_*.deb Depends | tr ',' '\n' |
    sed -nE 's/^ *(lib[a-z0-9.+-]+).*/\1/p')
  rm -f "$1"/*.deb
  if ! ldd_complete "$1/usr/bin/glewlwyd"; then
    apt_install "${libraries[@]}"
    ldd_complete "$1/usr/bin/glewlwyd" || die "glewlwyd lacks a shared library: ldd usr/bin/glewlwyd"
  fi
}

# Debian's rsyslog and its TLS driver, with the libraries that nothing else has,
# and a wrapper that knows where both are.
rsyslog() {
  has apt-get || return 0
  echo 1 | once_for_pins rsyslog unpack_rsyslog
}

unpack_rsyslog() {
  say "unpacking rsyslog"
  unpack_packages "$1" rsyslog rsyslog-openssl libestr0 libfastjson4
  rm -f "$1"/*.deb
  local driver libraries
  driver=$(find "$1/usr/lib" -name lmnsd_ossl.so)
  [ -n "$driver" ] || die "rsyslog-openssl holds no driver"
  libraries=$(find "$1" -name 'lib*.so.*' -printf '%h\n' | sort -u | paste -sd :)
  LD_LIBRARY_PATH="$libraries" ldd_complete "$1/usr/sbin/rsyslogd" ||
    die "rsyslog lacks a shared library: ldd usr/sbin/rsyslogd"
  printf '#!/bin/sh\nLD_LIBRARY_PATH="%s" exec "%s" -M "%s" "$@"\n' \
    "$libraries" "$1/usr/sbin/rsyslogd" "$(dirname "$driver")" >"$1/rsyslogd"
  chmod +x "$1/rsyslogd"
}

# Of Debian's package only the program that checks rules: no service is started.
rule_checker() {
  if has apt-get; then
    echo 1 | once_for_pins promtool unpack_promtool
  else
    has promtool || system_install prometheus
  fi
}

unpack_promtool() {
  say "unpacking promtool"
  unpack_packages "$1" prometheus
  mv "$1/usr/bin/promtool" "$1/promtool"
  (cd "$1" && rm -rf ./*.deb usr etc lib var)
}

ldd_complete() { ! ldd "$1" | grep -q 'not found'; }

jdbc_driver() {
  has apt-get || return 0
  echo 1 | once_for_pins jdbc unpack_jdbc_driver
}

unpack_jdbc_driver() {
  say "unpacking the JDBC driver"
  unpack_packages "$1" libpostgresql-jdbc-java
  local jar
  jar=$(find "$1/usr" -name 'postgresql-[0-9]*.jar' | head -n 1)
  [ -n "$jar" ] || die "libpostgresql-jdbc-java holds no driver"
  cp "$jar" "$1/postgresql.jar"
  rm -f "$1"/*.deb
}

# Downloads packages into directory `$1` and unpacks them there.
unpack_packages() {
  local directory="$1" deb
  shift
  apt_update
  (cd "$directory" && quietly apt-get download "$@")
  for deb in "$directory"/*.deb; do
    dpkg-deb -x "$deb" "$directory"
  done
}
