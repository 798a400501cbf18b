#!/usr/bin/env bash
# Builds dbaccess from this clone and installs it for the user who runs this:
# the binary, its man pages, and completions for bash, zsh and fish.
#
# Root is asked for (by sudo) only to install system packages that are missing.
# bash 3.2 and newer, Debian, Ubuntu and macOS.
set -euo pipefail

usage() {
  cat <<'USAGE'
Usage: ./install.sh [OPTION]…

Builds dbaccess and installs it, with man pages and completions.

  --demo          then run `dbaccess demo`: try everything on this machine
  --yes           install missing system packages without asking
  --prefix DIR    install below DIR (default: ~/.local)
  --uninstall     remove exactly what an earlier run installed below the prefix
  --help          show this

Environment:
  DBACCESS_BINARY  install this binary instead of building one
USAGE
}

say() { printf '%s\n' "$*"; }
die() {
  printf 'install.sh: %s\n' "$*" >&2
  exit 1
}
has() { command -v "$1" >/dev/null 2>&1; }

main() {
  local demo=false yes=false uninstall=false
  prefix="$HOME/.local"
  while [ "$#" -gt 0 ]; do
    case "$1" in
      --demo) demo=true ;;
      --yes) yes=true ;;
      --uninstall) uninstall=true ;;
      --prefix)
        [ "$#" -ge 2 ] || usage_error "--prefix needs a directory"
        prefix="$2"
        shift
        ;;
      --prefix=*) prefix="${1#--prefix=}" ;;
      --help | -h)
        usage
        exit 0
        ;;
      *) usage_error "unknown option: $1" ;;
    esac
    shift
  done
  [ -n "$prefix" ] || usage_error "--prefix needs a directory"
  case "$prefix" in
    /*) ;;
    *) prefix="$PWD/$prefix" ;;
  esac
  manifest="$prefix/share/dbaccess/installed-files"
  # Without a terminal there is nobody to ask.
  [ -t 0 ] || yes=true
  cd "$(dirname "$0")"

  if "$uninstall"; then
    remove
    exit 0
  fi
  [ -n "${DBACCESS_BINARY:-}" ] || need_rust
  system_packages "$demo" "$yes"
  build
  install_all
  if "$demo"; then
    say
    exec "$prefix/bin/dbaccess" demo
  fi
}

usage_error() {
  printf 'install.sh: %s\n\n' "$1" >&2
  usage >&2
  exit 2
}

# --- what must be there -------------------------------------------------------

need_rust() {
  if ! has cargo && [ -x "$HOME/.cargo/bin/cargo" ]; then
    PATH="$HOME/.cargo/bin:$PATH"
  fi
  has cargo || die "Rust is missing. Install it from https://rustup.rs (or your system's packages), then run this again."
  local needed found
  needed=$(sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml)
  found=$(rustc --version | sed 's/^rustc \([0-9]*\.[0-9]*\).*/\1/')
  if [ "${found%%.*}" -lt "${needed%%.*}" ] ||
    { [ "${found%%.*}" -eq "${needed%%.*}" ] && [ "${found#*.}" -lt "${needed#*.}" ]; }; then
    die "Rust $needed or newer is needed, and $found is here. Run: rustup update"
  fi
}

system_packages() {
  local demo=$1 yes=$2 missing
  missing=()
  if [ -z "${DBACCESS_BINARY:-}" ]; then
    has_compiler || missing+=("$(package compiler)")
    # Unquoted: on Debian it is two packages.
    # shellcheck disable=SC2207
    has_libclang || missing+=($(package libclang))
  fi
  if "$demo"; then
    has_postgres || missing+=("$(package postgres)")
  elif ! has psql && [ -z "${DBACCESS_BINARY:-}" ]; then
    missing+=("$(package psql)")
  fi
  [ "${#missing[@]}" -gt 0 ] || return 0
  say "Missing system packages: ${missing[*]}"
  if ! "$yes"; then
    local answer
    read -r -p "Install them now? [Y/n] " answer
    case "$answer" in
      "" | [Yy]*) ;;
      *) die "they are needed: install them, then run this again" ;;
    esac
  fi
  case "$(system)" in
    debian) apt_install "${missing[@]}" ;;
    macos) brew_install "${missing[@]}" ;;
    *) die "no apt-get and no brew here: install them by hand, then run this again" ;;
  esac
}

system() {
  if [ "$(uname -s)" = Darwin ]; then
    if has brew; then echo macos; else echo unknown; fi
  elif has apt-get; then
    echo debian
  else
    echo unknown
  fi
}

# What a need is called here.
package() {
  case "$(system):$1" in
    debian:compiler) echo build-essential ;;
    debian:libclang) libclang_packages ;;
    debian:postgres) echo postgresql ;;
    debian:psql) echo postgresql-client ;;
    macos:compiler) echo xcode ;;
    macos:libclang) echo llvm ;;
    macos:*) echo postgresql@17 ;;
    *) echo "$1" ;;
  esac
}

# The library and clang's own headers, in the release's version: much less than
# libclang-dev brings. Both carry the version in their names.
libclang_packages() {
  local version
  version=$(libclang_version)
  if [ -z "$version" ]; then
    # A fresh machine knows no packages yet.
    apt_update >&2
    version=$(libclang_version)
  fi
  if [ -n "$version" ]; then
    echo "libclang1-$version libclang-common-$version-dev"
  else
    echo libclang-dev
  fi
}

libclang_version() {
  apt-cache search --names-only '^libclang1-[0-9]+$' |
    sed -n 's/^libclang1-\([0-9]*\) .*/\1/p' | sort -n | tail -n 1
}

has_compiler() {
  # On macOS `cc` is a stub until the command line tools are there.
  if [ "$(uname -s)" = Darwin ]; then
    xcode-select -p >/dev/null 2>&1
  else
    has cc
  fi
}

# pg_query's build script reads PostgreSQL's headers through libclang.
has_libclang() {
  [ -z "${LIBCLANG_PATH:-}" ] || return 0
  local file
  for file in /usr/lib/libclang*.so* /usr/lib64/libclang*.so* /usr/lib/*-linux-gnu/libclang[-.0-9]*so* \
    /usr/lib/llvm-*/lib/libclang[-.0-9]*so* /opt/homebrew/opt/llvm/lib/libclang.dylib \
    /usr/local/opt/llvm/lib/libclang.dylib /Library/Developer/CommandLineTools/usr/lib/libclang.dylib \
    /Applications/Xcode.app/Contents/Developer/Toolchains/XcodeDefault.xctoolchain/usr/lib/libclang.dylib; do
    case "$file" in
      # The C++ library is another one.
      */libclang-cpp*) ;;
      *) [ ! -e "$file" ] || return 0 ;;
    esac
  done
  return 1
}

# Debian and Homebrew keep the server's programs off PATH.
has_postgres() {
  local file
  for file in /usr/lib/postgresql/*/bin/initdb /opt/homebrew/opt/postgresql@*/bin/initdb \
    /usr/local/opt/postgresql@*/bin/initdb; do
    [ ! -x "$file" ] || return 0
  done
  has initdb && has postgres
}

# --- installing it ------------------------------------------------------------

as_root() {
  if [ "$(id -u)" -eq 0 ]; then
    "$@"
  elif has sudo; then
    sudo "$@"
  else
    die "root is needed for: $* (and there is no sudo)"
  fi
}

apt_updated=false
apt_update() {
  "$apt_updated" || as_root apt-get update -qq -o DPkg::Lock::Timeout=300
  apt_updated=true
}

apt_install() {
  case " $* " in
    *" postgresql "*)
      # The demo starts its own server: Debian need not create and start one.
      if [ ! -e /etc/postgresql-common ]; then
        as_root mkdir -p /etc/postgresql-common/createcluster.d
        echo 'create_main_cluster = false' |
          as_root tee /etc/postgresql-common/createcluster.d/dbaccess-demo.conf >/dev/null
      fi
      ;;
  esac
  apt_update
  as_root env DEBIAN_FRONTEND=noninteractive \
    apt-get install -y -qq --no-install-recommends -o DPkg::Lock::Timeout=300 "$@"
}

brew_install() {
  local formula formulas
  formulas=()
  for formula in "$@"; do
    if [ "$formula" = xcode ]; then
      die "Apple's command line tools are missing. Run: xcode-select --install"
    fi
    formulas+=("$formula")
  done
  brew install "${formulas[@]}"
}

# --- building and installing dbaccess ------------------------------------------

build() {
  if [ -n "${DBACCESS_BINARY:-}" ]; then
    binary="$DBACCESS_BINARY"
    [ -x "$binary" ] || die "DBACCESS_BINARY=$binary is not a program"
    return
  fi
  if [ -z "${LIBCLANG_PATH:-}" ] && [ "$(uname -s)" = Darwin ] && has brew; then
    local llvm
    llvm=$(brew --prefix llvm 2>/dev/null || true)
    if [ -e "$llvm/lib/libclang.dylib" ]; then
      export LIBCLANG_PATH="$llvm/lib"
    fi
  fi
  say "Building dbaccess (a few minutes the first time)"
  cargo build --release --locked
  binary="${CARGO_TARGET_DIR:-target}/release/dbaccess"
}

install_all() {
  # What an earlier version installed and this one does not is removed with it.
  [ ! -e "$manifest" ] || remove >/dev/null
  mkdir -p "$(dirname "$manifest")"
  : >"$manifest"
  put 755 "$binary" bin/dbaccess
  local page
  for page in man/*.1; do
    put 644 "$page" "share/man/man1/${page##*/}"
  done
  put 644 completions/dbaccess.bash share/bash-completion/completions/dbaccess
  put 644 completions/_dbaccess share/zsh/site-functions/_dbaccess
  put 644 completions/dbaccess.fish share/fish/vendor_completions.d/dbaccess.fish
  say "Installed dbaccess in $prefix/bin, with man pages and completions."
  case ":$PATH:" in
    *":$prefix/bin:"*) ;;
    *) say "$prefix/bin is not on your PATH. Add to your shell's startup file: export PATH=\"$prefix/bin:\$PATH\"" ;;
  esac
}

# put MODE SOURCE PLACE: written down first, so that nothing is ever installed
# and not known; renamed into place, so that a running dbaccess is not disturbed.
put() {
  local place="$prefix/$3"
  printf '%s\n' "$3" >>"$manifest"
  mkdir -p "$(dirname "$place")"
  cp "$2" "$place.new"
  chmod "$1" "$place.new"
  mv -f "$place.new" "$place"
}

remove() {
  if [ ! -e "$manifest" ]; then
    say "Nothing of dbaccess is installed below $prefix (no $manifest)."
    return
  fi
  local place directory
  while IFS= read -r place; do
    case "$place" in
      # Only what is below the prefix, whatever the file says.
      "" | /* | *..*) continue ;;
    esac
    rm -f "$prefix/$place" "$prefix/$place.new"
    prune "$(dirname "$prefix/$place")"
  done <"$manifest"
  rm -f "$manifest"
  prune "$(dirname "$manifest")"
  say "Removed dbaccess from $prefix. Your own files (~/.config/dbaccess, ~/.local/state/dbaccess) are untouched."
}

# Removes empty directories upwards, up to the prefix.
prune() {
  directory="$1"
  while [ "$directory" != "$prefix" ] && [ "${#directory}" -gt "${#prefix}" ]; do
    rmdir "$directory" 2>/dev/null || return 0
    directory=$(dirname "$directory")
  done
}

main "$@"
