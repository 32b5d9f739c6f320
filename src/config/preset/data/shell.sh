# Beginning of every setup script: messages, apt, progress, and one run at a time. A setup runs as
# `sh -c "$(cat shell.sh X.setup.sh)"`, for Keycloak with keycloak.sh between the two.
set -eu

say() { printf '%s\n' "$*"; }
die() { printf '%s\n' "$*" >&2; exit 1; }
has() { command -v "$1" >/dev/null 2>&1; }
may_install() { [ "$(id -u)" = 0 ] && has apt-get; }

scratch=
trap '[ -z "$scratch" ] || rm -rf "$scratch"' EXIT
trap 'exit 143' TERM INT HUP

me() { id -un 2>/dev/null || true; }

# apt_get ARGUMENTS...: waits for its turn, because setups run in parallel and apt does not.
apt_get() { flock /run/appliance-apt.lock apt-get -o DPkg::Lock::Timeout=300 "$@"; }

# install PACKAGE...: installs packages with apt; shows only the error from the output.
install() {
    say "installing $* with apt"
    output=$(
        apt_get -o APT::Update::Error-Mode=any update 2>&1 &&
            DEBIAN_FRONTEND=noninteractive apt_get install -y --no-install-recommends "$@" 2>&1
    ) || die "$* could not be installed with apt ($(printf '%s\n' "$output" | grep -m 1 '^E:')); connect to the network, or install $* yourself, and start again"
}

# growing PATH MESSAGE COMMAND...: runs the command; prints the size of PATH every few seconds.
growing() {
    place=$1 words=$2
    shift 2
    # A child that has just been forked loses a signal that its parent has a trap for.
    trap - TERM
    while sleep 5 >/dev/null 2>&1; do
        say "$words: $(du -sm "$place" 2>/dev/null | cut -f 1) MB so far"
    done &
    watcher=$!
    trap 'exit 143' TERM
    status=0
    "$@" || status=$?
    kill "$watcher" 2>/dev/null || true
    wait "$watcher" 2>/dev/null || true
    return "$status"
}

# alone FILE: waits for another run of the same setup; the lock is released when the process ends.
alone() {
    problem=$(mkdir -p "$(dirname "$1")" 2>&1) || die "$(dirname "$1") cannot be created by the user $(me) (${problem##*: }); choose another folder, or make the folder above it writable"
    problem=$({ : >>"$1"; } 2>&1) || die "$1 cannot be written by the user $(me) (${problem##*: }); choose another folder, or make the file writable"
    exec 9>"$1"
    ! has flock || flock -n 9 || { say "waiting for another setup of the same to end"; flock 9; }
}
