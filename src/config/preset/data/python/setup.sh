# Creates VENV, a Python environment with the packages that REQUIREMENTS and PACKAGES list. The
# environment is complete when the file .complete is in it; an incomplete one is created again.
#
#   VENV           folder of the environment
#   REQUIREMENTS   requirements file; may be missing
#   PACKAGES       more packages, one on each line; may be empty
#   PYTHON         python program; empty: a python3 on PATH

venv=${VENV%/}

recent() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; }

# Sets `python` to the first of these programs that the frameworks support.
find_python() {
    for python in ${PYTHON:-python3 python3.14 python3.13 python3.12 python3.11}; do
        ! recent "$python" || return 0
    done
    return 1
}

# Debian packages these modules separately from Python.
can_make_environments() { "$python" -c 'import venv, ensurepip' 2>/dev/null; }

need_python() {
    if ! find_python; then
        [ -z "${PYTHON:-}" ] ||
            die "$PYTHON is not Python 3.11 or newer; correct \`python\` of the preset, or remove it"
        ! may_install || install python3 python3-venv
        find_python || die "there is no Python 3.11 or newer; install the packages python3 and python3-venv and start again"
    fi
    can_make_environments || {
        package=$("$python" -c 'import sys; print("python%d.%d-venv" % sys.version_info[:2])')
        ! may_install || install "$package"
        can_make_environments || die "$python cannot create environments; install the package $package and start again"
    }
}

# fill INSTALLER...
fill() {
    wanted=
    if [ -f "${REQUIREMENTS:-}" ]; then
        wanted=$REQUIREMENTS
        set -- "$@" -r "$REQUIREMENTS"
    fi
    if [ -n "${PACKAGES:-}" ]; then
        lines=$IFS
        set -f
        IFS='
'
        # shellcheck disable=SC2086 # one package on each line
        set -- "$@" $PACKAGES
        wanted="${wanted:+$wanted, }"$(echo $PACKAGES)
        set +f
        IFS=$lines
    fi
    [ -n "$wanted" ] || return 0
    scratch=$(mktemp -d)
    growing "$venv" "installing packages" quietly "$@" || {
        ! grep -qE 'NewConnectionError|[Nn]ame resolution|dns error|[Cc]onnection (refused|error)' "$scratch/log" ||
            die "the package index cannot be reached; connect to the network and start again"
        ! full=$(grep -m 1 -iE 'No space left on device|Disk quota exceeded|Errno 28' "$scratch/log") ||
            die "the packages for $venv could not be installed, because the disk is full: $(printf '%s\n' "$full" | cut -c 1-300)"
        tail -n 10 "$scratch/log" | cut -c 1-300 >&2
        die "the packages for $venv could not be installed (see above); correct $wanted and start again"
    }
    rm -rf "$scratch"
}

quietly() { "$@" >"$scratch/log" 2>&1; }

alone "$venv.lock"
[ ! -e "$venv/.complete" ] || exit 0
rm -rf "$venv"
if has uv; then
    say "creating $venv with uv"
    uv venv --quiet --python "${PYTHON:->=3.11}" "$venv" ||
        die "$venv could not be created (see above); if uv found no Python 3.11 or newer, install the package python3 and start again"
    fill uv pip install --quiet --python "$venv/bin/python"
else
    need_python
    say "creating $venv with $("$python" --version)"
    "$python" -m venv "$venv" || die "$venv could not be created (see above)"
    fill "$venv/bin/python" -m pip install --disable-pip-version-check --no-input --progress-bar off --retries 2
fi
: >"$venv/.complete"
say "the environment is ready in $venv"
