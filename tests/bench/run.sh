#!/usr/bin/env bash
# Measures what dbaccess costs, against direct connections and pgbouncer.
#
#   tests/bench/run.sh [--quick] [CASE…]
#
# Tables go to standard output, ready for docs/performance.md; progress to
# standard error. A whole run takes about half an hour, a quick one about five
# minutes. CASE is a part of a case's name: prepared, TPC-B, million, idle…
set -euo pipefail
cd "$(dirname "$0")/../.."
tests/run.sh --install-bench
exec cargo bench --quiet --locked --bench gateway -- "$@"
