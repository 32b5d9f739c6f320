# Creates KEYCLOAK_HOME: downloads Keycloak if the folder does not exist, builds it with the options of
# the preset, and records a class-data archive that halves its start time. An interrupted run is
# continued by the next one: `bin` is moved to its place when all else is there, and the stamp is written last.
# Everything happens inside of KEYCLOAK_HOME: in the folder above there may be secrets, and that is closed then.
#
#   KEYCLOAK_VERSION    the version to download
#   KEYCLOAK_CREATES    the file that shall exist at the end, if that is not the stamp
#   KEYCLOAK_SHA256     checksum of its archive; empty: the checksum that is published beside it

version=$KEYCLOAK_VERSION
work=$home/.setup

# The newest Java that Keycloak supports and that the distribution has a package for.
java_package() {
    for package in openjdk-25-jre-headless openjdk-21-jre-headless openjdk-17-jre-headless; do
        apt-cache show "$package" >/dev/null 2>&1 && break
        package=default-jre-headless
    done
    printf '%s' "$package"
}

need_java() {
    ! find_java || return 0
    [ -z "${KEYCLOAK_JAVA:-}" ] ||
        die "$KEYCLOAK_JAVA is not Java 17 or newer; correct \`java\` of the keycloak preset, or remove it"
    if may_install; then
        apt_get update >/dev/null 2>&1 || true
        install "$(java_package)"
        ! find_java || return 0
    fi
    die "there is no Java 17 or newer; install the package $(java_package), or set JAVA_HOME, and start again"
}

with_maven() {
    mvn -B -C -Dstyle.color=never dependency:copy "-Dartifact=org.keycloak:keycloak-quarkus-dist:$version:tar.gz" \
        "-DoutputDirectory=$scratch" >"$scratch/log" 2>&1 &&
        mv "$scratch/keycloak-quarkus-dist-$version.tar.gz" "$scratch/keycloak.tar.gz"
}

from_maven() {
    has mvn || return 1
    say "fetching Keycloak $version with mvn (176 MB)"
    growing "$scratch" "fetching" with_maven || {
        say "mvn could not fetch it: $(grep ERROR "$scratch/log" | head -n 2 | tr '\n' ' ' | cut -c 1-300)"
        return 1
    }
}

# download URL FILE: continues an earlier download that was interrupted.
download() {
    if has curl; then
        curl -fsSL --proto '=https' --proto-redir '=https' --retry 2 --connect-timeout 20 -C - -o "$2" "$1" 2>"$scratch/log"
    else
        wget -nv -c --tries 3 --timeout 20 -O "$2" "$1" 2>"$scratch/log"
    fi
}

# fetch URL: the archive and, if none is pinned, its checksum.
fetch() {
    say "fetching $1 (176 MB)"
    [ -n "${KEYCLOAK_SHA256:-}" ] || download "$1.sha1" "$scratch/sha1" || return 1
    has_checksum "$part" || growing "$part" "fetching" download "$1" "$part"
}

from_release() {
    if ! has curl && ! has wget; then
        ! may_install || install curl ca-certificates
        has curl || die "downloading Keycloak needs curl or wget; install the package curl and start again"
    fi
    if ! fetch "https://github.com/keycloak/keycloak/releases/download/$version/keycloak-$version.tar.gz"; then
        say "it could not be fetched ($(reason)); Maven Central has the same archive"
        fetch "https://repo1.maven.org/maven2/org/keycloak/keycloak-quarkus-dist/$version/keycloak-quarkus-dist-$version.tar.gz" ||
            die "Keycloak could not be fetched ($(reason)); connect to the network and start again, or unpack Keycloak $version as $home"
    fi
    if ! has_checksum "$part"; then
        rm -f "$part"
        die "the downloaded Keycloak does not have the published checksum; start again to download it again"
    fi
    mv "$part" "$scratch/keycloak.tar.gz"
}

has_checksum() {
    [ -f "$1" ] || return 1
    if [ -n "${KEYCLOAK_SHA256:-}" ]; then
        [ "$(sha256sum "$1" | cut -c 1-64)" = "$KEYCLOAK_SHA256" ]
    else
        [ "$(sha1sum "$1" | cut -c 1-40)" = "$(cut -c 1-40 "$scratch/sha1")" ]
    fi
}

# curl prints the error first and advice after it; wget prints the error last.
reason() {
    grep -m 1 '^curl: ' "$scratch/log" || tail -n 1 "$scratch/log"
}

need_keycloak() {
    [ ! -f "$home/bin/kc.sh" ] || return 0
    part=$work/$version.part
    rm -rf "$work"/new.*
    scratch=$(mktemp -d "$work/new.XXXXXX")
    from_maven || from_release
    [ -z "${KEYCLOAK_SHA256:-}" ] || has_checksum "$scratch/keycloak.tar.gz" ||
        die "the archive of Keycloak $version does not have the SHA-256 $KEYCLOAK_SHA256 that the appliance expects; do not use it, and report where it came from"
    say "unpacking Keycloak to $home"
    mkdir "$scratch/home"
    # Without these options, tar as root gives the files to the uids in the archive.
    tar -xzf "$scratch/keycloak.tar.gz" -C "$scratch/home" --strip-components 1 --no-same-owner --no-same-permissions ||
        die "Keycloak could not be unpacked (see above); start again"
    chmod -R go-w "$scratch/home"
    move_in "$scratch/home" || die "Keycloak could not be moved to $home (see above); start again"
    rm -rf "$scratch"
}

# move_in FOLDER: moves the content of the folder into `home`.
move_in() {
    for entry in "$1"/* "$1"/.[!.]*; do
        [ -e "$entry" ] && [ "${entry##*/}" != bin ] || continue
        { rm -rf "$home/${entry##*/}" && mv "$entry" "$home/"; } || return 1
    done
    rm -rf "$home/bin" && mv "$1/bin" "$home/"
}

# A folder that this setup has not begun.
is_foreign() {
    [ -e "$home" ] && [ ! -f "$home/bin/kc.sh" ] && [ ! -e "$work" ] || return 1
    [ ! -d "$home" ] || [ -n "$(ls -A "$home")" ]
}

build() {
    [ -w "$home/lib" ] ||
        die "$home is not built for this configuration and the JARs in $home/providers, and the user $(me) cannot write there; run \`appliance setup\` as its owner, or add the JARs where the image is built"
    say "building Keycloak for this configuration (half a minute)"
    scratch=$(mktemp -d)
    JAVA=$java "$home/bin/kc.sh" build >"$scratch/log" 2>&1 || {
        tail -n 15 "$scratch/log" >&2
        die "Keycloak could not be built (see above); if $home was damaged, remove it and start again"
    }
    rm -rf "$scratch"
}

# Starts Keycloak once in a temporary folder to record which classes it loads. Not done with a database
# server: the server might not be reachable, and the start would write to it.
train() {
    rm -f "$archive"
    JAVA_OPTS=$(fast_options)
    [ -n "$JAVA_OPTS" ] && [ "${KC_DB:-dev-file}" = dev-file ] || return 0
    say "recording a class-data archive, which makes every start faster (half a minute)"
    scratch=$(mktemp -d)
    furnish "$scratch" && mkdir "$scratch/themes" && : >"$scratch/log"
    printf '{ "realm": "training", "enabled": true }\n' >"$scratch/data/import/training.json"
    JAVA=$java JAVA_OPTS="$JAVA_OPTS -XX:ArchiveClassesAtExit=$scratch/classes.jsa" \
        KC_CACHE=local KC_HTTP_ENABLED=true KC_HTTP_HOST=127.0.0.1 KC_HTTP_PORT=0 \
        KC_HTTP_MANAGEMENT_PORT=0 KC_HOSTNAME_STRICT=false KC_SERVER_ASYNC_BOOTSTRAP=false \
        "$home/bin/kc.sh" start --optimized --import-realm "-Dkc.home.dir=$scratch" \
        "-Djava.io.tmpdir=$scratch" >"$scratch/log" 2>&1 &
    trainee=$!
    trap 'kill "$trainee" 2>/dev/null || true; wait "$trainee" || true; exit 143' TERM INT HUP
    seconds=0
    until grep -q 'Listening on:' "$scratch/log" || ! kill -0 "$trainee" 2>/dev/null || [ "$seconds" -ge 180 ]; do
        seconds=$((seconds + 1))
        sleep 1
    done
    kill "$trainee" 2>/dev/null || true
    wait "$trainee" || true
    trap 'exit 143' TERM INT HUP
    if grep -q 'Listening on:' "$scratch/log" && [ -s "$scratch/classes.jsa" ]; then
        mv "$scratch/classes.jsa" "$archive"
    else
        say "no class-data archive was recorded, so Keycloak starts without one: $(grep -m 1 ERROR "$scratch/log" | cut -c 1-300)"
    fi
    rm -rf "$scratch"
}

# The recorded start must not use the database and the ports of the real Keycloak.
forget_other_options() {
    for name in $(env | sed -n 's/^\(KC_[A-Z0-9_]*\)=.*/\1/p' | grep -vxE "$baked"); do unset "$name"; done
}

! is_foreign ||
    die "$home exists but is not a Keycloak folder (it has no bin/kc.sh); remove the folder, or correct \`home\` of the keycloak preset"
alone "$work/lock"
forget_other_options
need_java
need_keycloak
build
train
{
    printf 'version=%s\n' "$(sed -n 's/.*Version //p' "$home/version.txt")"
    printf 'java=%s\nruntime=%s\noptions=%s\nfingerprint=%s\n' "$java" "$(runtime)" "$(build_options)" "$(fingerprint)"
} >"$stamp.new"
mv "$stamp.new" "$stamp"
rm -f "$stamp"-*
[ "${KEYCLOAK_CREATES:-$stamp}" = "$stamp" ] || : >"$KEYCLOAK_CREATES"
say "Keycloak is ready in $home"
