"""psycopg 3 as a client: every protocol path the driver has. See README.md."""

import io
import os
import sys
import threading
import time
import traceback
from decimal import Decimal

import psycopg
from psycopg import ClientCursor, sql
from psycopg.rows import dict_row

ME = "psycopg"
WRITE = os.environ.get("DBACCESS_TEST_WRITE", "1") != "0"
REFUSED = os.environ.get("DBACCESS_TEST_REFUSED", "").split()
# Runs for hours if nothing stops it, and needs no function.
ENDLESS = "SELECT count(*) FROM readings a, readings b, readings c"

CHECKS = []


def check(writes=False):
    def register(function):
        CHECKS.append((function.__name__, function, writes))
        return function
    return register


def connect(**options):
    return psycopg.connect("", autocommit=True, **options)


def one(connection, query, parameters=None, **options):
    return connection.execute(query, parameters, **options).fetchone()[0]


@check()
def simple(db):
    # A ClientCursor sends the text with its values in it, by the simple protocol.
    with ClientCursor(db) as cursor:
        cursor.execute("SELECT name FROM customers WHERE id = %s", [7])
        assert cursor.fetchone() == ("Customer 7",)
        cursor.execute("SELECT 1; SELECT id FROM customers WHERE id < 4 ORDER BY id")
        assert cursor.nextset() and cursor.fetchall() == [(1,), (2,), (3,)]


@check()
def extended(db):
    row = db.execute("SELECT name, balance, tags, profile, created FROM customers WHERE id = %s", [3]).fetchone()
    assert row[:4] == ("Customer 3", Decimal("30.75"), ["t0", "all"], {"level": 3}), row
    assert row[4].isoformat().startswith("2026-01-01T"), row
    assert one(db, "SELECT count(*) FROM orders WHERE customer_id = ANY(%s)", [[1, 2]]) == 20


@check()
def prepared(db):
    for n in range(1, 40):
        assert one(db, "SELECT email FROM customers WHERE id = %s", [n], prepare=True) == f"customer{n}@example.com"
    # More statements than the driver keeps: it deallocates some.
    for n in range(150):
        assert one(db, f"SELECT id + {n} FROM customers WHERE id = %s", [1], prepare=True) == n + 1


@check()
def binary(db):
    with db.cursor(binary=True) as cursor:
        cursor.execute("SELECT n, label FROM readings WHERE n = %b", [42])
        assert cursor.fetchone() == (42, "reading 42")
        cursor.execute("SELECT balance, created FROM customers WHERE id = %b", [4])
        assert cursor.fetchone()[0] == Decimal("41.00")


@check()
def pipeline(db):
    with db.pipeline():
        cursors = [db.execute("SELECT label FROM readings WHERE n = %s", [n]) for n in range(1, 101)]
    assert [cursor.fetchone()[0] for cursor in cursors] == [f"reading {n}" for n in range(1, 101)]


@check()
def pipeline_error(db):
    try:
        with db.pipeline() as pipeline:
            db.execute("SELECT 1")
            db.execute("SELECT nothing FROM readings")
            db.execute("SELECT 2")
            pipeline.sync()
        raise AssertionError("the error was lost")
    except psycopg.errors.UndefinedColumn:
        pass
    assert one(db, "SELECT 3") == 3


@check()
def rows_as_dicts(db):
    with db.cursor(row_factory=dict_row) as cursor:
        row = cursor.execute("SELECT id, name AS n FROM customers WHERE id = 1").fetchone()
        assert row == {"id": 1, "n": "Customer 1"}


@check()
def server_side_cursor(db):
    with db.transaction(), db.cursor(name="in_parts") as cursor:
        cursor.itersize = 300
        cursor.execute("SELECT n FROM readings ORDER BY n")
        assert [n for (n,) in cursor] == list(range(1, 5001))
    with db.transaction(), db.cursor(name="scrolling", scrollable=True) as cursor:
        cursor.execute("SELECT n FROM readings ORDER BY n")
        cursor.scroll(100)
        assert cursor.fetchone() == (101,)


@check()
def stream(db):
    assert sum(n for (n,) in db.cursor().stream("SELECT n FROM readings")) == 5000 * 5001 // 2


@check()
def large_text(db):
    text = "ü" * 3_000_000
    assert one(db, "SELECT %s::text", [text]) == text
    assert db.execute("SELECT label FROM readings WHERE label <> %s", [text]).rowcount == 5000


@check()
def names_as_values(db):
    query = sql.SQL("SELECT {} FROM {} WHERE id = {}").format(
        sql.Identifier("name"), sql.Identifier("public", "customers"), sql.Literal(9)
    )
    assert one(db, query) == "Customer 9"


@check()
def errors(db):
    for query, state in [
        ("SELEC 1", "42601"),
        ("SELECT nothing FROM customers", "42703"),
        ("SELECT 1 / (id - 1) FROM customers", "22012"),
        ("SELECT 'x'::integer", "22P02"),
    ]:
        try:
            db.execute(query)
            raise AssertionError(f"{query} was run")
        except psycopg.Error as error:
            assert error.sqlstate == state, (query, error.sqlstate)
    assert one(db, "SELECT 1") == 1


@check()
def notices(db):
    heard = []
    db.add_notice_handler(lambda notice: heard.append(notice.sqlstate))
    db.execute("ROLLBACK")
    assert heard == ["25P01"], heard


@check()
def transactions(db):
    with db.transaction(force_rollback=True):
        assert db.info.transaction_status.name == "INTRANS"
        try:
            with db.transaction():
                db.execute("SELECT nothing")
        except psycopg.errors.UndefinedColumn:
            pass
        assert one(db, "SELECT 5") == 5
    assert db.info.transaction_status.name == "IDLE"


@check()
def settings(db):
    db.execute("SET statement_timeout = '11s'")
    assert one(db, "SHOW statement_timeout") == "11s"
    db.execute("RESET statement_timeout")
    assert db.info.parameter_status("client_encoding") == "UTF8"


@check()
def cancel(db):
    timer = threading.Timer(0.3, db.cancel_safe)
    timer.start()
    started = time.monotonic()
    try:
        db.execute(ENDLESS)
        raise AssertionError("it ended by itself")
    except psycopg.errors.QueryCanceled as error:
        assert error.sqlstate == "57014"
    finally:
        timer.join()
    assert time.monotonic() - started < 10
    assert one(db, "SELECT 1") == 1


@check()
def copy_out(db):
    with db.cursor().copy("COPY (SELECT n, label FROM readings ORDER BY n) TO STDOUT") as copy:
        rows = list(copy.rows())
    assert len(rows) == 5000 and rows[-1] == ("5000", "reading 5000")
    with db.cursor().copy("COPY readings TO STDOUT (FORMAT binary)") as copy:
        copy.set_types(["int4", "text"])
        assert next(copy.rows()) == (1, "reading 1")
        for _ in copy.rows():
            pass


@check()
def listen(db):
    with connect() as other:
        other.execute("LISTEN dbaccess_psycopg")
        db.execute("NOTIFY dbaccess_psycopg, 'hello'")
        heard = next(other.notifies(timeout=10, stop_after=1))
    assert heard.payload == "hello"


@check(writes=True)
def changes(db):
    db.execute("DELETE FROM scratch WHERE client = %s", [ME])
    row = db.execute(
        "INSERT INTO scratch (client, label, data) VALUES (%s, %s, %s) RETURNING id, data", [ME, "one", b"\0\xff"]
    ).fetchone()
    assert row[1] == b"\0\xff"
    assert db.execute("UPDATE scratch SET number = 5 WHERE id = %s", [row[0]]).rowcount == 1
    try:
        db.execute("INSERT INTO customers (id, name, email, balance, tags, profile, created)"
                   " VALUES (1, '', '', 0, '{}', '{}', now())")
        raise AssertionError("a duplicate was accepted")
    except psycopg.errors.UniqueViolation as error:
        assert error.diag.constraint_name == "customers_pkey"
    assert db.execute("DELETE FROM scratch WHERE client = %s", [ME]).rowcount == 1


@check(writes=True)
def many(db):
    with db.cursor() as cursor:
        cursor.executemany(
            "INSERT INTO scratch (client, number) VALUES (%s, %s) RETURNING number",
            [(ME, n) for n in range(500)], returning=True,
        )
        assert cursor.fetchone() == (0,)
    assert db.execute("DELETE FROM scratch WHERE client = %s", [ME]).rowcount == 500


@check(writes=True)
def copy_in(db):
    with db.cursor().copy("COPY scratch (client, number, label) FROM STDIN") as copy:
        for n in range(2000):
            copy.write_row((ME, n, f"tab\tand \\ {n}"))
    assert one(db, "SELECT label FROM scratch WHERE client = %s AND number = 1999", [ME]) == "tab\tand \\ 1999"
    try:
        with db.cursor().copy("COPY scratch (client) FROM STDIN") as copy:
            copy.write_row((ME,))
            raise KeyboardInterrupt
    except KeyboardInterrupt:
        pass
    assert db.execute("DELETE FROM scratch WHERE client = %s", [ME]).rowcount == 2000


def run(name, function, writes):
    must_be_refused = name in REFUSED or (writes and not WRITE)
    with connect() as db:
        if not must_be_refused:
            function(db)
            return f"ok {name}"
        try:
            function(db)
        except psycopg.Error as error:
            assert error.sqlstate, error
            return f"refused {name} ({error.sqlstate})"
        raise AssertionError("was not refused")


def main():
    failed = 0
    for name, function, writes in CHECKS:
        try:
            print(run(name, function, writes), flush=True)
        except Exception:
            failed += 1
            report = io.StringIO()
            traceback.print_exc(file=report)
            print(f"FAILED {name}\n{report.getvalue()}", flush=True)
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
