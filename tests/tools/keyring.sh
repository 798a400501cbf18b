#!/bin/sh
# Runs a command in a D-Bus session of its own with an unlocked, empty secret
# service (gnome-keyring), or with `--locked` one that nobody can unlock.
# Without arguments it only installs what it needs. Debian and Ubuntu.
#
#   tests/tools/keyring.sh [--locked] COMMAND…
set -eu

if ! command -v gnome-keyring-daemon >/dev/null || ! command -v dbus-run-session >/dev/null; then
    root=
    [ "$(id -u)" = 0 ] || root=sudo
    $root apt-get install -y --no-install-recommends gnome-keyring dbus >&2 ||
        { $root apt-get update >&2 && $root apt-get install -y --no-install-recommends gnome-keyring dbus >&2; }
fi
[ $# -gt 0 ] || exit 0

password=unlocks-the-test-keyring
[ "$1" != --locked ] || { password=; shift; }

home=$(mktemp -d)
trap 'rm -rf "$home"' EXIT
mkdir -p "$home/run"
chmod 700 "$home/run"
export HOME="$home" XDG_RUNTIME_DIR="$home/run" XDG_DATA_HOME="$home/data" KEYRING_PASSWORD="$password"
unset DISPLAY WAYLAND_DISPLAY DBUS_SESSION_BUS_ADDRESS XDG_STATE_HOME XDG_CONFIG_HOME

# The daemon dies with the bus, and the bus with the command.
# shellcheck disable=SC2016 # for the inner shell to expand
dbus-run-session -- sh -c '
    if [ -n "$KEYRING_PASSWORD" ]; then
        printf %s "$KEYRING_PASSWORD" | gnome-keyring-daemon --unlock --components=secrets >/dev/null
    else
        gnome-keyring-daemon --start --components=secrets >/dev/null
    fi
    unset KEYRING_PASSWORD
    "$@"
' sh "$@"
