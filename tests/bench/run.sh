#!/usr/bin/env bash
# Measures what dbaccess costs, against direct connections and pgbouncer.
#
#   tests/bench/run.sh [--quick] [CASE…]
#
# Tables go to standard output, ready for docs/performance.md; progress to
# standard error. A whole run takes about forty minutes, a quick one about seven.
# CASE is a part of a case's name: prepared, TPC-B, million, masked, recorded,
# redacted, idle…
set -euo pipefail
if [ "${1:-}" = --help ]; then
  sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//;p;}' "$0"
  exit
fi
cd "$(dirname "$0")/../.."
tests/run.sh --install-bench
exec cargo bench --quiet --locked --bench gateway -- "$@"
