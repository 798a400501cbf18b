#!/usr/bin/env bash
# Runs every test, after installing what the tests need.
#
#   tests/run.sh [FILTER…] [-- TEST-OPTIONS]   arguments go to `cargo test`
#   tests/run.sh --install-only                installs, runs nothing
#   tests/run.sh --install-lints               and what .ci/run checks scripts with
#   tests/run.sh --install-bench               and what the benchmarks compare with
#
# The tests run against real parts: PostgreSQL, two OpenID providers, three
# client drivers. What a package manager knows is installed through it (apt on
# Debian and Ubuntu, with sudo when not root; brew on macOS); the rest lives in
# $DBACCESS_TEST_TOOLS, by default target/test-tools. A run that finds all in
# place installs nothing and takes under a second before cargo starts.
set -euo pipefail
cd "$(dirname "$0")/.."
export DBACCESS_TEST_TOOLS="${DBACCESS_TEST_TOOLS:-$PWD/target/test-tools}"

# shellcheck source=tests/tools/install.sh
. tests/tools/install.sh

install_all
case "${1:-}" in
  --install-only) ;;
  --install-lints) install_lints ;;
  --install-bench) install_bench ;;
  *)
    # Many tests wait more than they work.
    export RUST_TEST_THREADS="${RUST_TEST_THREADS:-4}"
    exec cargo test --locked "$@"
    ;;
esac
