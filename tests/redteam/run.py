#!/usr/bin/env python3
"""Runs the red-team cases against sessions that are open already.

  run.py --dsn ro_masked="host=… port=… dbname=… user=…" [--dsn SCOPE=DSN]…
         --admin "a superuser of the same database, straight to PostgreSQL"
         [--layer db|gateway|all] [--only ID|CATEGORY|PREFIX,…] [--strict] [--control] [-v]
  run.py --sessions FILE        {"admin": DSN, "scopes": {SCOPE: DSN}}; - is standard input

--layer db   only what must hold on a direct connection, without any gateway
--control    runs every attack as --admin and lists those that fail even there:
             a case must test permissions, not a typing error
--strict     known residuals and limits count as failures

Prints what failed and why; the exit status is 1 when something did. A scope
without a session is skipped and counted. The format of the cases: README.md.
"""
import argparse, collections, json, os, pathlib, re, select, shutil, socket, struct, subprocess, sys, time

import psycopg
from psycopg import pq
from psycopg.conninfo import conninfo_to_dict, make_conninfo

HERE = pathlib.Path(__file__).parent
STATUS = pq.ExecStatus
FINE = {STATUS.TUPLES_OK, STATUS.COMMAND_OK, STATUS.EMPTY_QUERY, STATUS.SINGLE_TUPLE}
FIELD = pq.DiagnosticField
SHOWN = (FIELD.SQLSTATE, FIELD.MESSAGE_PRIMARY, FIELD.MESSAGE_DETAIL, FIELD.MESSAGE_HINT, FIELD.CONTEXT,
         FIELD.SCHEMA_NAME, FIELD.TABLE_NAME, FIELD.CONSTRAINT_NAME)


def arguments():
    parser = argparse.ArgumentParser(formatter_class=argparse.RawDescriptionHelpFormatter, description=__doc__)
    parser.add_argument("--dsn", action="append", default=[])
    parser.add_argument("--admin")
    parser.add_argument("--sessions")
    parser.add_argument("--layer", choices=["db", "gateway", "all"], default="all")
    parser.add_argument("--only")
    parser.add_argument("--strict", action="store_true")
    parser.add_argument("--control", action="store_true")
    parser.add_argument("-v", action="store_true")
    parser.add_argument("--psql", default=shutil.which("psql"))
    parser.add_argument("--hang", type=float, default=35, help="seconds after which a statement was not stopped")
    given = parser.parse_args()
    given.scopes = dict(one.split("=", 1) for one in given.dsn)
    if given.sessions:
        source = sys.stdin if given.sessions == "-" else open(given.sessions)
        told = json.load(source)
        given.admin, given.scopes = told["admin"], told["scopes"]
    return given


def load():
    """All cases, each with its whole list of what must not be seen."""
    scopes = json.loads((HERE / "scopes.json").read_text())
    cases = []
    for corpus in ("corpus.jsonl", "more.jsonl"):
        for line in (HERE / corpus).read_text().splitlines():
            case = json.loads(line)
            general = [] if case.get("forbidden") == "nothing" else scopes[case["scope"]]["forbidden"]
            case["forbidden_substrings"] = general + case.get("forbidden_more", [])
            case.setdefault("also_ok", [])
            case.setdefault("statements", [])
            cases.append(case)
    ids = [case["id"] for case in cases]
    assert len(ids) == len(set(ids)), "an id twice"
    return cases


def chosen(cases):
    if ARGS.only:
        words = ARGS.only.split(",")
        fits = lambda c: c["id"] in words or c["category"] in words or c["id"].startswith(tuple(w + "-" for w in words))
        cases = [case for case in cases if fits(case)]
    if ARGS.layer != "all":
        cases = [case for case in cases if case["layer"] == ARGS.layer]
    if ARGS.control:
        odd = lambda c: c.get("connect") or c.get("frames")
        cases = [c for c in cases if c["kind"] == "attack" and c["expect"] == "denied" and not odd(c)]
    return cases


def text_of(value):
    return value.decode("utf-8", "replace") if isinstance(value, (bytes, bytearray, memoryview)) else str(value)


def diagnosis(result):
    fields = (text_of(result.error_field(field) or b"") for field in SHOWN)
    return "|".join(field for field in fields if field)


class Client:
    """One connection, and everything that was ever heard on it."""

    def __init__(self, dsn, extra=None):
        self.rows, self.out, self.errors, self.notices = 0, [], [], []
        self.closed = self.hung = self.copying = False
        self.prepared = 0
        place = conninfo_to_dict(dsn)
        self.database = place.get("dbname") or place.get("user")
        place.update(extra or {})
        for name, value in (("sslmode", "disable"), ("gssencmode", "disable"), ("connect_timeout", "10")):
            place.setdefault(name, value)
        self.user = place.get("user")
        self.connection = pq.PGconn.connect(make_conninfo(**place).encode())
        self.ok = self.connection.status == pq.ConnStatus.OK
        if self.ok:
            self.connection.notice_handler = lambda r: self.notices.append("NOTICE|" + diagnosis(r))
        else:
            self.errors.append("CONNECT|" + text_of(self.connection.error_message))

    def heard(self):
        return "\n".join(self.out + self.errors + self.notices)

    def close(self):
        try:
            self.connection.finish()
        except Exception:
            pass

    def run(self, statement):
        """Whether an error was raised."""
        self.copying = False
        if self.closed:
            self.errors.append("CLOSED")
            return True
        if isinstance(statement, str):
            statement = {"sql": statement}
        sql = statement["sql"].replace("{db}", self.database).encode()
        values = [None if value is None else str(value).encode() for value in statement.get("params", [])]
        self.deadline, self.cancelled = time.time() + ARGS.hang, False
        try:
            raised = self.send(statement, sql, values)
        except psycopg.Error as error:
            self.errors.append(f"CLIENT|{error}")
            self.closed = True
            return True
        if self.cancelled:
            self.errors.append(f"RUNNER: no limit of the server stopped this within {ARGS.hang:.0f} s")
            self.hung = True
            return False
        return raised

    def send(self, statement, sql, values):
        way = statement.get("proto", "simple")
        if way == "simple":
            self.connection.send_query(sql)
        elif way == "extended":
            self.connection.send_query_params(sql, values, result_format=1 if statement.get("binary") else 0)
        else:
            self.prepared += 1
            name = f"st{self.prepared}".encode()
            self.connection.send_prepare(name, sql)
            if self.drain():
                return True
            self.connection.send_query_prepared(name, values)
        return self.drain()

    def wait(self):
        while True:
            self.connection.consume_input()
            if not self.connection.is_busy():
                return
            if time.time() > self.deadline and not self.cancelled:
                self.cancelled = True
                try:
                    self.connection.get_cancel().cancel()
                except Exception:
                    pass
            select.select([self.connection.socket], [], [], 0.5)

    def drain(self):
        raised = False
        while True:
            try:
                self.wait()
                result = self.connection.get_result()
            except Exception as error:
                self.errors.append(f"CLIENT|{error}")
                self.closed = True
                return True
            if result is None:
                break
            raised |= self.take(result)
        while (told := self.connection.notifies()) is not None:
            self.out.append(f"NOTIFY|{told!r}")
        self.closed |= self.connection.status != pq.ConnStatus.OK
        return raised and not self.copying

    def take(self, result):
        if result.status == STATUS.COPY_OUT:
            while True:
                size, data = self.connection.get_copy_data(0)
                if size <= 0:
                    return False
                self.out.append(text_of(bytes(data)))
                self.rows += 1
        if result.status == STATUS.COPY_IN:
            self.connection.put_copy_end(b"client does not send data")
            self.out.append("COPY_IN accepted")
            self.copying = True
            return False
        if result.status in FINE:
            for row in range(result.ntuples):
                values = (result.get_value(row, column) for column in range(result.nfields))
                self.out.append("\t".join("\\N" if value is None else text_of(value) for value in values))
                self.rows += 1
            return False
        self.errors.append(diagnosis(result) or "ERR|" + text_of(result.error_message))
        return True

    def frames(self, frames):
        """Speaks the protocol itself; whether an error was raised."""
        data, answers = encode(frames)
        link = socket.socket(fileno=os.dup(self.connection.socket))
        link.setblocking(True)
        raised, heard, until = False, b"", time.time() + 40
        try:
            link.sendall(data)
            while answers and time.time() < until:
                if not select.select([link], [], [], 40)[0]:
                    break
                more = link.recv(1 << 20)
                if not more:
                    self.closed = raised = True
                    self.errors.append("CLOSED")
                    break
                heard += more
                while len(heard) >= 5:
                    length = struct.unpack("!i", heard[1:5])[0]
                    if len(heard) < length + 1:
                        break
                    tag, body, heard = heard[:1], heard[5:length + 1], heard[length + 1:]
                    answers -= tag == b"Z"
                    raised |= self.hear(tag, body)
        except OSError as error:
            self.closed = raised = True
            self.errors.append(f"CLOSED {error}")
        link.close()
        return raised

    def hear(self, tag, body):
        if tag in (b"D", b"V"):
            self.rows += 1
            self.out.append(text_of(body))
        elif tag == b"N":
            self.notices.append(text_of(body))
        elif tag == b"E":
            self.errors.append("|".join(text_of(f[1:]) for f in body.split(b"\0") if f[:1] in b"CMDHW"))
            return True
        return False


def encode(frames):
    """The bytes, and how many ReadyForQuery they are answered with."""
    message = lambda tag, body: tag + struct.pack("!i", len(body) + 4) + body
    string = lambda text: text.encode() + b"\0"
    data, answers = b"", 0
    for frame in frames:
        kind, rest = frame[0], frame[1:]
        answers += kind in ("Q", "Qhex", "S", "F")
        if kind == "Q":
            data += message(b"Q", string(rest[0]))
        elif kind == "Qhex":
            data += message(b"Q", bytes.fromhex(rest[0]) + b"\0")
        elif kind == "P":
            data += message(b"P", string(rest[0]) + string(rest[1]) + struct.pack("!H", 0))
        elif kind == "B":
            data += message(b"B", string("") + string(rest[0] if rest else "") + struct.pack("!HHH", 0, 0, 0))
        elif kind == "D":
            data += message(b"D", b"P" + string(""))
        elif kind == "E":
            data += message(b"E", string("") + struct.pack("!i", 0))
        elif kind == "S":
            data += message(b"S", b"")
        elif kind == "F":
            oid = ADMIN.execute("SELECT %s::regprocedure::oid", (rest[0],)).fetchone()[0]
            values = b"".join(struct.pack("!i", len(value.encode())) + value.encode() for value in rest[1])
            data += message(b"F", struct.pack("!iHH", oid, 0, len(rest[1])) + values + struct.pack("!H", 0))
    return data, answers


def role_settings(user):
    return ADMIN.execute("SELECT setdatabase, setrole, setconfig FROM pg_db_role_setting s"
                         " JOIN pg_roles r ON r.oid = setrole WHERE rolname = %s ORDER BY 1", (user,)).fetchall()


def restore(user, before):
    """Undoes what a case has done to its own role."""
    if role_settings(user) != before:
        ADMIN.execute("DELETE FROM pg_db_role_setting WHERE setrole = (SELECT oid FROM pg_roles WHERE rolname = %s)",
                      (user,))
        for row in before:
            ADMIN.execute("INSERT INTO pg_db_role_setting VALUES (%s, %s, %s)", row)
    secret = ADMIN.execute("SELECT rolpassword FROM pg_authid WHERE rolname = %s", (user,)).fetchone()
    if secret and secret[0] != PASSWORDS.get(user, secret[0]):
        ADMIN.execute("UPDATE pg_authid SET rolpassword = %s WHERE rolname = %s", (PASSWORDS[user], user))
    if secret:
        ADMIN.execute(f'ALTER DEFAULT PRIVILEGES FOR ROLE "{user}" REVOKE SELECT ON TABLES FROM PUBLIC')


def remember_password(user):
    found = ADMIN.execute("SELECT rolpassword FROM pg_authid WHERE rolname = %s", (user,)).fetchone()
    if found:
        PASSWORDS.setdefault(user, found[0])


def literals(statements):
    text = " ".join(one if isinstance(one, str) else one["sql"] for one in statements)
    return re.findall(r"'((?:[^']|'')*)'", text) + re.findall(r"\b\d{2,}\b", text)


def without(text, words):
    """A text without what the statements themselves have put into it."""
    for word in sorted({word for word in words if len(word) > 1}, key=len, reverse=True):
        text = text.replace(word, "§").replace(word.replace("''", "'"), "§")
    return text


def leaks(case, text):
    lower = text.lower()
    return [f"LEAK {word!r}" for word in case["forbidden_substrings"] if word.lower() in lower][:4]


def run_psql(case, dsn):
    place = conninfo_to_dict(dsn)
    environment = {**os.environ, "PGPASSWORD": place.pop("password", "")}
    commands = [word for command in case["psql"] for word in ("-c", command)]
    ran = subprocess.run([ARGS.psql, "-X", "-d", make_conninfo(**place), *commands], env=environment,
                         capture_output=True, text=True, timeout=60)
    text = ran.stdout + ran.stderr
    failed = ran.returncode or "ERROR" in text
    return ([f"psql failed: {ran.stderr.strip()[:160]}"] if failed else []) + leaks(case, text)


def run_oracle(case, dsn):
    answers = []
    for guess in "ab":
        client = Client(dsn, case.get("connect"))
        if client.ok:
            for statement in case["oracle"][guess]:
                client.run(statement)
        answers.append(without(client.heard(), literals(case["oracle"][guess])))
        client.close()
    same = answers[0] == answers[1]
    return [] if same else [f"ORACLE tells a true guess from a false one: {answers[0][:150]!r}, {answers[1][:150]!r}"]


def run_one(case):
    """What is wrong; nothing where the case passed."""
    dsn = ARGS.admin if ARGS.control else ARGS.scopes[case["scope"]]
    if case.get("psql"):
        return run_psql(case, dsn)
    if case.get("oracle"):
        return run_oracle(case, dsn)
    started = time.time()
    client = Client(dsn, case.get("connect"))
    before = role_settings(client.user) if case.get("cleanup_role") and ADMIN else None
    if not client.ok:
        denied = True
    else:
        raised = [client.run(statement) for statement in case["statements"]]
        if case.get("frames"):
            raised = [client.frames(case["frames"])]
        at = case.get("deny_at")
        denied = raised[at] if at is not None and at < len(raised) else any(raised)
    took = (time.time() - started) * 1000
    if ARGS.control:
        why = client.errors[:1] if denied else []
    else:
        why = judge(case, client, denied, took, dsn)
    client.close()
    return why + clean_up(case, client.user, before)


def judge(case, client, denied, took, dsn):
    text = client.heard()
    why = leaks(case, text)
    first = client.errors[0][:200] if client.errors else "?"
    must = case.get("must_contain", [])
    if case["kind"] == "benign":
        if denied:
            why.append(f"OVERBLOCK {first}")
        elif must and not any(word in text for word in must):
            why.append(f"none of {must!r} is there")
        if not denied and client.rows < case.get("min_rows", 0):
            why.append(f"{client.rows} rows, fewer than {case['min_rows']}")
    else:
        got = "denied" if denied else "masked"
        fine = {case["expect"], *case["also_ok"]}
        if got not in fine and not (got == "masked" and "allowed" in fine):
            why.append(f"expected {case['expect']}, got " + (f"an error: {first}" if denied else "success"))
        if not (denied and "denied" in case["also_ok"]):
            why += [f"{word!r} is not in {text[:80]!r}" for word in must if word not in text]
    if case.get("must_not_regex") and re.search(case["must_not_regex"], text):
        why.append("a forbidden pattern")
    if client.hung:
        why.append(client.errors[-1])
    if took > case.get("max_ms", took):
        why.append(f"{took:.0f} ms, more than {case['max_ms']}")
    if len(text) > case.get("max_out", len(text)):
        why.append(f"{len(text)} characters came out, more than {case['max_out']}")
    if case.get("alive"):
        other = Client(dsn)
        if not other.ok or other.run("SELECT 1"):
            why.append("the service is not alive afterwards")
        other.close()
    return why


def clean_up(case, user, before):
    """Side effects that are there; takes back what the case has changed."""
    why = []
    for check in case.get("verify", []):
        if ADMIN and not ARGS.control:
            until = time.time() + 2
            while True:
                found = ADMIN.execute(check["sql"]).fetchone()[0]
                # What a session was just cut from may take a moment to roll back.
                if str(found) == str(check["equals"]) or time.time() > until:
                    break
                time.sleep(0.02)
            if str(found) != str(check["equals"]):
                why.append(f"SIDE EFFECT: {check['sql']} = {found}, wanted {check['equals']}")
    if ADMIN:
        for sql in case.get("cleanup", []):
            try:
                ADMIN.execute(sql)
            except psycopg.Error:
                pass
        if before is not None and not ARGS.control:
            restore(user, before)
    return why


def main():
    counts = collections.defaultdict(collections.Counter)
    total = collections.Counter()
    for case in chosen(load()):
        if not ARGS.control and case["scope"] not in ARGS.scopes or case.get("psql") and not ARGS.psql:
            total["skipped"] += 1
            continue
        try:
            why = run_one(case)
        except Exception as error:
            why = [f"RUNNER {type(error).__name__}: {error}"]
        known = (case.get("known_limit") or case.get("known_residual")) and not ARGS.strict
        result = "passed" if not why else "known" if known else "failed"
        counts[case["category"]][result] += 1
        total[result] += 1
        total["over-blocked"] += result == "failed" and case["kind"] == "benign"
        if why or ARGS.v:
            shown = case["statements"] or case.get("frames") or case.get("psql") or case["oracle"]["a"]
            print(f"{result.upper():6} {case['id']} [{case['layer']}/{case['severity']}] {str(shown[-1])[:100]}"
                  f" :: {'; '.join(why)[:300]}", flush=True)
    for category, count in counts.items():
        print(f"{category:16} " + ", ".join(f"{n} {what}" for what, n in count.items()))
    print(f"attacks failed: {total['failed'] - total['over-blocked']}, benign over-blocked: {total['over-blocked']},"
          f" known: {total['known']}, skipped: {total['skipped']}")
    print(f"{total['passed']} passed, {total['failed']} failed")
    sys.exit(1 if total["failed"] else 0)


if __name__ == "__main__":
    ARGS = arguments()
    ADMIN = psycopg.connect(ARGS.admin, autocommit=True) if ARGS.admin else None
    PASSWORDS = {}
    if ADMIN:
        for session in ARGS.scopes.values():
            remember_password(conninfo_to_dict(session).get("user"))
    main()
