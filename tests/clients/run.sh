#!/usr/bin/env bash
# run.sh [PROGRAM…]: runs client programs (all by default) against the database
# that the PG* variables name. Ends at the first one that fails.
set -euo pipefail
cd "$(dirname "$0")"
export DBACCESS_TEST_TOOLS="${DBACCESS_TEST_TOOLS:-$(cd ../.. && pwd)/target/test-tools}"
PATH="$DBACCESS_TEST_TOOLS/bin:$PATH" # a Node of the tests' own, where the system's is too old

run() {
  printf '== %s\n' "$1"
  case "$1" in
    psycopg) "$DBACCESS_TEST_TOOLS/python/bin/python3" psycopg_client.py ;;
    node) node node_client.mjs ;;
    jdbc) java -cp "$DBACCESS_TEST_TOOLS/jdbc/postgresql.jar" JdbcClient.java ;;
    psql) bash psql_client.sh ;;
    *) printf 'no such program: %s\n' "$1" >&2 && return 2 ;;
  esac
}
[ "$#" -gt 0 ] || set -- psycopg node jdbc psql
for program in "$@"; do run "$program"; done
