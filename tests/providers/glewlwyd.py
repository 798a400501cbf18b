#!/usr/bin/env python3
"""Glewlwyd, a real OpenID provider written in C, for the sign-in tests, on TLS.

    glewlwyd.py CERT-FILE KEY-FILE [INTERVAL]     (both PEM; poll interval, seconds)

Sets one up from nothing in a temporary directory: the SQLite schema it ships,
a generated configuration, and the rest through its own administration API.
Prints one JSON line when it is ready, {"issuer", "port"}, and serves until
standard input closes, so that it cannot outlive the test that started it.
People: alice, bob, carol; each one's password is `NAME-password`.

What sets it apart: a polling interval that it enforces with `slow_down`, ID
tokens with `azp` and `at_hash`, none on refresh, errors with empty bodies, and
401 when a public client asks to revoke.
"""

import http.cookiejar
import json
import os
import shutil
import signal
import socket
import sqlite3
import ssl
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

PEOPLE = {
    "alice": ("Alice Ng", ["payments", "developers"]),
    "bob": ("Bob Okafor", ["payments", "leads"]),
    "carol": ("Carol Diaz", ["security"]),
}
SCOPES = ["openid", "offline_access", "email", "profile", "groups"]

# Debian's schema creates this administrator.
ADMIN = {"username": "admin", "password": "password"}

TYPES = {
    ".html": "text/html",
    ".css": "text/css",
    ".js": "application/javascript",
    ".json": "application/json",
    ".png": "image/png",
    ".woff": "font/woff",
    ".woff2": "font/woff2",
    ".ttf": "font/ttf",
    ".ico": "image/x-icon",
}


def main():
    cert, key = (str(Path(name).resolve()) for name in sys.argv[1:3])
    interval = int(sys.argv[3]) if len(sys.argv) > 3 else 5
    unpacked = Path(os.environ["DBACCESS_TEST_TOOLS"]) / "glewlwyd"
    with tempfile.TemporaryDirectory(prefix="glewlwyd-") as name:
        home = Path(name)
        port = free_port()
        create_database(unpacked, home / "glewlwyd.db")
        (home / "glewlwyd.conf").write_text(configuration(unpacked, home, port, cert, key))
        with open(home / "output.log", "wb") as output:
            server = subprocess.Popen(
                [unpacked / "usr/bin/glewlwyd", "--config-file", home / "glewlwyd.conf"],
                stdin=subprocess.DEVNULL, stdout=output, stderr=output,
            )
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
        try:
            issuer = set_up(server, port, signing_key(home), interval)
            print(json.dumps({"issuer": issuer, "port": port}), flush=True)
            sys.stdin.buffer.read()
        except Exception:
            for log in home.glob("*.log"):
                sys.stderr.write(log.read_text()[-4000:])
            raise
        finally:
            server.kill()
            server.wait()


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def create_database(unpacked, path):
    schema = unpacked / "usr/share/dbconfig-common/data/glewlwyd/install/sqlite3"
    with sqlite3.connect(path) as database:
        database.executescript(schema.read_text())
        # A person's groups are a property that the schema does not know.
        (stored,) = database.execute("SELECT gumi_parameters FROM g_user_module_instance").fetchone()
        parameters = json.loads(stored)
        parameters["data-format"]["groups"] = {"multiple": True, "read": True, "write": True}
        database.execute("UPDATE g_user_module_instance SET gumi_parameters = ?", [json.dumps(parameters)])
    database.close()


def configuration(unpacked, home, port, cert, key):
    # A copy: links are not served, and its config.json is one into the system's /etc.
    webapp = home / "webapp"
    shutil.copytree(
        unpacked / "usr/share/glewlwyd/webapp", webapp, ignore=shutil.ignore_patterns("config.json", "*.map")
    )
    shutil.copy(unpacked / "etc/glewlwyd/config-2.7.json/config.json", webapp)
    modules = unpacked / "usr/lib/glewlwyd"
    types = ",\n".join(f'{{ extension = "{e}" mime_type = "{m}" }}' for e, m in TYPES.items())
    return f"""
port={port}
bind_address="127.0.0.1"
external_url="https://localhost:{port}"
login_url="login.html"
api_prefix="api"
static_files_path="{webapp}"
static_files_mime_types = ( {types} )
log_mode="file"
log_level="INFO"
log_file="{home}/glewlwyd.log"
cookie_secure=1
session_expiration=2419200
session_key="GLEWLWYD2_SESSION_ID"
admin_session_authentication="cookie"
profile_session_authentication="cookie"
login_api_enabled=true
admin_scope="g_admin"
profile_scope="g_profile"
user_module_path="{modules}/user"
client_module_path="{modules}/client"
user_auth_scheme_module_path="{modules}/scheme"
plugin_module_path="{modules}/plugin"
use_secure_connection=true
secure_connection_key_file="{key}"
secure_connection_pem_file="{cert}"
hash_algorithm="SHA512"
database = {{ type = "sqlite3" path = "{home}/glewlwyd.db" }}
"""


def signing_key(home):
    private = home / "signing.pem"
    subprocess.run(
        ["openssl", "ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", private], check=True
    )
    public = subprocess.run(
        ["openssl", "ec", "-in", private, "-pubout"], check=True, capture_output=True, text=True
    )
    return private.read_text(), public.stdout


def set_up(server, port, keys, interval):
    """Administers the new server and returns its issuer."""
    base = f"https://localhost:{port}/api/"
    request = administrator(base)
    until_answering(server, request)
    for scope in SCOPES[1:]:
        request("POST", "scope/", {"name": scope, "display_name": scope, "password_required": False, "scheme": {}})
    for username, (name, groups) in PEOPLE.items():
        request("POST", "user/", {
            "username": username,
            "password": f"{username}-password",
            "name": name,
            "email": f"{username}@example.com",
            "scope": [*SCOPES, "g_profile"],
            "groups": groups,
            "enabled": True,
        })
    request("POST", "client/", {
        "client_id": "dbaccess",
        "name": "dbaccess",
        "confidential": False,
        "authorization_type": ["device_authorization", "refresh_token"],
        "token_endpoint_auth_method": ["none"],
        "redirect_uri": [],
        "scope": [],
        "enabled": True,
    })
    issuer = f"{base}oidc"
    request("POST", "mod/plugin/", {
        "module": "oidc",
        "name": "oidc",
        "display_name": "OpenID Connect",
        "parameters": plugin_parameters(issuer, keys, interval),
    })
    return issuer


def administrator(base):
    """A function that calls the administration API, signed in as its administrator."""
    unverified = ssl._create_unverified_context()  # the certificate is the test's own
    opener = urllib.request.build_opener(
        urllib.request.HTTPSHandler(context=unverified),
        urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar()),
        urllib.request.ProxyHandler({}),
    )

    def request(method, path, body):
        call = urllib.request.Request(
            base + path, json.dumps(body).encode(), {"Content-Type": "application/json"}, method=method
        )
        try:
            with opener.open(call, timeout=20) as answer:
                return answer.read()
        except urllib.error.HTTPError as error:
            raise RuntimeError(f"{method} {path}: {error.code} {error.read().decode()}") from None

    return request


def until_answering(server, request):
    deadline = time.monotonic() + 20
    while True:
        try:
            return request("POST", "auth/", ADMIN)
        except OSError:
            if server.poll() is not None or time.monotonic() > deadline:
                raise
            time.sleep(0.05)


def plugin_parameters(issuer, keys, interval):
    private, public = keys
    return {
        "iss": issuer,
        "jwt-type": "ecdsa",
        "jwt-key-size": "256",
        "key": private,
        "cert": public,
        "access-token-duration": 3600,
        "refresh-token-duration": 1209600,
        "code-duration": 600,
        "refresh-token-rolling": True,
        "refresh-token-one-use": "never",
        "allow-non-oidc": False,
        "auth-type-code-enabled": True,
        "auth-type-token-enabled": False,
        "auth-type-id-token-enabled": False,
        "auth-type-none-enabled": False,
        "auth-type-password-enabled": False,
        "auth-type-client-enabled": False,
        "auth-type-device-enabled": True,
        "auth-type-refresh-enabled": True,
        "jwks-show": True,
        "secret-type": "pairwise",
        "name-claim": "mandatory",
        "email-claim": "mandatory",
        "scope-claim": "no",
        "address-claim": {"type": "no"},
        "claims": [
            {"name": "groups", "user-property": "groups", "type": "string", "mandatory": True},
            {"name": "preferred_username", "user-property": "username", "type": "string", "mandatory": True},
        ],
        "scope": [],
        "additional-parameters": [],
        "allowed-scope": SCOPES,
        "pkce-allowed": False,
        "introspection-revocation-allowed": True,
        "introspection-revocation-allow-target-client": True,
        "introspection-revocation-auth-scope": [],
        "register-client-allowed": False,
        "session-management-allowed": False,
        "request-parameter-allow": False,
        "encrypt-out-token-allow": False,
        "device-authorization-expiration": 600,
        "device-authorization-interval": interval,
        "oauth-dpop-allowed": False,
        "resource-allowed": False,
        "oauth-rar-allowed": False,
        "oauth-par-allowed": False,
        "oauth-ciba-allowed": False,
    }


if __name__ == "__main__":
    main()
