# What every setup script begins with: its words, apt, progress, and one run at a time.
set -eu

say() { printf '%s\n' "$*"; }
die() { printf '%s\n' "$*" >&2; exit 1; }
has() { command -v "$1" >/dev/null 2>&1; }
may_install() { [ "$(id -u)" = 0 ] && has apt-get; }

scratch=
trap '[ -z "$scratch" ] || rm -rf "$scratch"' EXIT
trap 'exit 143' TERM INT HUP

# install PACKAGE...: with apt; its output is shown only when it fails.
install() {
    say "installing $* with apt"
    if ! output=$(apt-get update 2>&1 &&
        DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "$@" 2>&1); then
        printf '%s\n' "$output" | tail -n 5 >&2
        die "$* could not be installed with apt (see above); install it yourself and start again"
    fi
}

# growing PATH WORDS COMMAND...: says every few seconds how much has arrived there.
growing() {
    place=$1 words=$2
    shift 2
    while sleep 5 >/dev/null 2>&1; do
        say "$words: $(du -sm "$place" 2>/dev/null | cut -f 1) MB so far"
    done &
    watcher=$!
    status=0
    "$@" || status=$?
    kill "$watcher" 2>/dev/null || true
    wait "$watcher" 2>/dev/null || true
    return "$status"
}

# alone FILE: waits for another run of the same setup; the lock goes with the process.
alone() {
    mkdir -p "$(dirname "$1")" || die "$(dirname "$1") cannot be made by the user $(id -un); choose another place, or make it writable"
    exec 9>"$1" || die "$1 cannot be written by the user $(id -un); choose another place, or make it writable"
    ! has flock || flock 9
}
