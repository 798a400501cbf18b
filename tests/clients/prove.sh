#!/usr/bin/env bash
# Runs the client programs against a plain PostgreSQL: what fails here is a
# fault of the program, not of the gateway. Arguments name programs; all by default.
set -euo pipefail
cd "$(dirname "$0")"

directory=$(mktemp -d)
bin=$(find /usr/lib/postgresql -maxdepth 2 -name bin 2>/dev/null | sort -V | tail -n 1)
export PATH="${bin:+$bin:}$PATH"
as_server=()
if [ "$(id -u)" -eq 0 ]; then
  # PostgreSQL refuses to run as root.
  as_server=(setpriv --reuid=postgres --regid=postgres --clear-groups)
  chown postgres "$directory"
fi
stop() {
  "${as_server[@]}" pg_ctl -D "$directory/data" -m immediate stop >/dev/null 2>&1 || true
  rm -rf "$directory"
}
trap stop EXIT

(
  cd "$directory"
  "${as_server[@]}" initdb -D data -U postgres --auth=trust --no-sync -E UTF8 --locale=C >/dev/null
  # A free port is one that the server could take.
  for port in $(shuf -i 20000-50000 -n 20); do
    "${as_server[@]}" pg_ctl -D data -w -l log -o "-p $port -c listen_addresses=127.0.0.1 -k $directory -F" \
      start >/dev/null && break
  done
)
PGPORT=$(sed -n 4p "$directory/data/postmaster.pid")
export PGPORT PGHOST=127.0.0.1 PGDATABASE=postgres PGUSER=postgres PSQLRC=/dev/null

psql -qX -v ON_ERROR_STOP=1 -f schema.sql
psql -qX -v ON_ERROR_STOP=1 <<'SQL'
CREATE ROLE app LOGIN;
GRANT SELECT ON ALL TABLES IN SCHEMA public TO app;
REVOKE TEMPORARY ON DATABASE postgres FROM PUBLIC;
REVOKE CREATE ON SCHEMA public FROM PUBLIC;
SQL
if [ "${DBACCESS_TEST_WRITE:-1}" = 0 ]; then
  psql -qXc 'REVOKE EXECUTE ON FUNCTION lo_creat(integer), lo_create(oid) FROM PUBLIC'
else
  psql -qXc 'GRANT INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO app'
fi
export PGUSER=app

./run.sh "$@"
