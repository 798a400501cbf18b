#!/usr/bin/env bash
# psql as a client: what a person types, backslash commands included. See README.md.
set -uo pipefail

readonly me=psql
write=${DBACCESS_TEST_WRITE:-1}
refused=" ${DBACCESS_TEST_REFUSED:-} "
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
cd "$scratch" || exit 1
failed=0

# Runs psql over the script on standard input, as at a prompt but stopping at errors.
run_psql() {
  psql -X -v ON_ERROR_STOP=1 -v VERBOSITY=verbose -P pager=off 2>&1
}

# check NAME PATTERN…: the script on standard input succeeds, and its output
# holds each PATTERN (extended regular expressions).
check() { verify "$1" 1 "${@:2}"; }

# The same for a script that writes.
check_write() { verify "$1" "$write" "${@:2}"; }

verify() {
  local name=$1 allowed=$2 output status=0 pattern
  output=$(run_psql) || status=$?
  if [ "$allowed" = 0 ] || [[ $refused == *" $name "* ]]; then
    local state
    state=$(grep -oE '(ERROR|FATAL): +[0-9A-Z]{5}' <<<"$output" | grep -oE '[0-9A-Z]{5}$' | head -n 1)
    if [ "$status" -ne 0 ] && [ -n "$state" ]; then
      printf 'refused %s (%s)\n' "$name" "$state"
    else
      fail "$name" 'was not refused' "$output"
    fi
    return
  fi
  [ "$status" -eq 0 ] || { fail "$name" "psql ended with $status" "$output" && return; }
  for pattern in "${@:3}"; do
    grep -qE -- "$pattern" <<<"$output" || { fail "$name" "no '$pattern'" "$output" && return; }
  done
  printf 'ok %s\n' "$name"
}

fail() {
  failed=1
  printf 'FAILED %s: %s\n%s\n' "$1" "$2" "$(head -n 40 <<<"$3")"
}

check simple '1 row' 'Customer 7' <<'SQL'
SELECT name FROM customers WHERE id = 7;
SQL

check describe 'public \| customers' 'public \| orders' <<'SQL'
\d
SQL

check describe_tables 'customers .*Who buys' 'readings' <<'SQL'
\dt+
SQL

check describe_columns 'email +\| text' 'balance +\| numeric\(12,2\)' <<'SQL'
\d customers
SQL

check describe_more 'public' 'UTF8' <<'SQL'
\dn
\du
\df
\dx
\dp customers
\l
SQL

check connection_info 'You are connected to database' <<'SQL'
\conninfo
SQL

check timing 'Time: [0-9.]+ ms' <<'SQL'
\timing on
SELECT count(*) FROM orders;
SQL

check describe_result 'owed +\| numeric\(12,2\)' <<'SQL'
SELECT id, balance AS owed FROM customers \gdesc
SQL

check run_results 'made by a query' <<'SQL'
SELECT 'SELECT ''made by '' || ''a query''' \gexec
SQL

check variables 'found: Customer 5' <<'SQL'
SELECT name AS who FROM customers WHERE id = 5 \gset
\echo found: :who
SQL

check expanded 'email +\| customer2@example.com' <<'SQL'
SELECT * FROM customers WHERE id = 2 \gx
SQL

# \bind came with psql 16.
if [ "$(psql --version | grep -oE '[0-9]+' | head -n 1)" -ge 16 ]; then
  check bound 'reading 42' <<'SQL'
SELECT label FROM readings WHERE n = $1 \bind 42 \g
SQL
fi

check fetch_count '5000 *$' <<'SQL'
\set FETCH_COUNT 300
SELECT n FROM readings ORDER BY n;
SQL

check pivot 't0' <<'SQL'
SELECT tags[1] AS tag, profile ->> 'level' AS level, count(*) FROM customers GROUP BY 1, 2 \crosstabview tag level
SQL

# \watch goes on until an error (or, from psql 16 on, a count) ends it.
printf 'SELECT 1 / (count(*) - 100) FROM customers \\watch 0.1\n' | run_psql >watched
if grep -q '22012' watched; then echo 'ok watch'; else fail watch 'no error' "$(cat watched)"; fi

check error_position 'ok after' <<'SQL'
\set ON_ERROR_STOP 0
SELECT nothing FROM customers;
\errverbose
SELECT 'ok' || ' after';
SQL

check transaction 'INSIDE' 'current transaction is aborted' 'ROLLBACK' <<'SQL'
\set ON_ERROR_STOP 0
BEGIN;
SELECT 'INSIDE';
SELECT nothing;
SELECT 1;
COMMIT;
SQL

check several_statements '^ *1$' '^ *100$' <<'SQL'
SELECT 1 \; SELECT count(*) FROM customers;
SQL

check copy_out 'COPY 5000' <<'SQL'
\copy (SELECT n, label FROM readings ORDER BY n) TO 'readings.csv' WITH (FORMAT csv, HEADER)
SQL

check_write changes 'INSERT 0 2' 'UPDATE 2' 'DELETE 2' <<SQL
DELETE FROM scratch WHERE client = '$me';
INSERT INTO scratch (client, number) VALUES ('$me', 1), ('$me', 2);
UPDATE scratch SET number = number + 1 WHERE client = '$me';
DELETE FROM scratch WHERE client = '$me';
SQL

for n in $(seq 2000); do printf '%s,%s\n' "$me" "$n"; done >rows.csv
check_write copy_in 'COPY 2000' 'DELETE 2000' <<SQL
\copy scratch (client, number) FROM 'rows.csv' WITH (FORMAT csv)
DELETE FROM scratch WHERE client = '$me';
SQL

head -c 200000 /dev/urandom >sent
check_write large_objects 'lo_import [0-9]+' 'lo_export' 'lo_unlink [0-9]+' 'files are equal' <<'SQL'
\lo_import 'sent'
\set object :LASTOID
\lo_export :object 'received'
\lo_unlink :object
\! cmp sent received && echo files are equal
SQL

exit "$failed"
