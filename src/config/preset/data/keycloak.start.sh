# Starts Keycloak. The program's folder is only read; all data is in KEYCLOAK_DATA.
#
#   KEYCLOAK_DATA       database, imports, caches, temporary files; default: $STATE_DIR/keycloak-data
#   KEYCLOAK_REALM_FILE      realm file, imported when the database does not have that realm; may be empty
#   KEYCLOAK_REALM      the realm itself, if there is no file
#   JAVA_OPTS           if set, used unchanged and without the class-data archive
#   CLIENT_ID, CLIENT_SECRET, PUBLIC_URL, TITLE   Keycloak replaces them in the realm file
#   CALLBACK_URLS, SIGNED_OUT_URLS, BACKCHANNEL_LOGOUT_URL, FRAME_ANCESTORS, ACCOUNT_CONSOLE_CLOSED
#                       replaced in its copy
#   TEST_USERS          unless this is `true`, users whose `enabled` is "${TEST_USERS}" are not imported
set -eu

data=${KEYCLOAK_DATA:-$STATE_DIR/keycloak-data}

say() { printf '%s\n' "$*"; }
die() { printf '%s\n' "$*" >&2; exit 1; }
stamped() { [ ! -r "$stamp" ] || sed -n "s/^$1=//p" "$stamp"; }

has_jars() { set -- "$home"/providers/*.jar && [ -e "$1" ]; }

# Whether the build contains the JARs that are there now. The stamp of an earlier version does not tell.
is_current() {
    built=$(stamped fingerprint)
    if [ -n "$built" ]; then [ "$built" = "$(fingerprint)" ]; else ! has_jars; fi
}

# Keycloak loads programs from the folder, so that every user who can write to it could run a program.
is_own() { [ ! -e "$1" ] || { [ -O "$1" ] && [ -z "$(find -H "$1" -maxdepth 0 -perm /022)" ]; }; }

prepare_data() {
    umask 077
    for folder in "$data" "$data/data" "$data/data/import"; do
        is_own "$folder" ||
            die "$folder $(stat -L -c 'belongs to the user %u and has the mode %a' "$folder"), but must belong to the user $(id -u) and be writable for no other; run \`chown -R $(id -u):$(id -g) $data && chmod go-w $folder\`, or use another folder"
    done
    { furnish "$data" && furnish_themes "$data"; } 2>/dev/null && [ -w "$data/data" ] ||
        die "$data cannot be written by the user $(id -un 2>/dev/null || true); make the folder, or the folder above it, writable for that user"
    # In /tmp, another app could take the names that Keycloak uses.
    rm -rf "$data/tmp" && mkdir "$data/tmp"
    [ -n "${KEYCLOAK_REALM_FILE:-}${KEYCLOAK_REALM:-}" ] || return 0
    imported=$data/data/import/realm.json
    realm_for_import >"$data/realm.new"
    [ ! -e "$imported" ] || cmp -s "$data/realm.new" "$imported" ||
        say "${KEYCLOAK_REALM_FILE:-the shipped realm}, the hosts of apps, \`listen\` or \`account_console\` have changed, but a realm is imported only once: change it in the admin console, or remove $data to start over"
    mv "$data/realm.new" "$imported"
}

realm() {
    if [ -n "${KEYCLOAK_REALM_FILE:-}" ]; then cat "$KEYCLOAK_REALM_FILE"; else printf '%s' "$KEYCLOAK_REALM"; fi
}

# Keycloak replaces a variable by one text; CALLBACK_URLS becomes the members of a list.
realm_for_import() {
    set -f
    # shellcheck disable=SC2086 # a list of words
    callbacks=$(printf '"%s", ' ${CALLBACK_URLS:-})
    set +f
    realm | sed -e "s|\"\${CALLBACK_URLS}\"|${callbacks%, }|g" \
        -e "s|\${SIGNED_OUT_URLS}|${SIGNED_OUT_URLS:-}|g" \
        -e "s|\${BACKCHANNEL_LOGOUT_URL}|${BACKCHANNEL_LOGOUT_URL:-}|g" \
        -e "s|\${FRAME_ANCESTORS}|${FRAME_ANCESTORS:-'none'}|g" \
        -e "s|\${ACCOUNT_CONSOLE_CLOSED}|${ACCOUNT_CONSOLE_CLOSED:-true}|g" |
        with_test_users
}

# A test user is a line of its own, which is removed with the comma that becomes the last one of the list:
# a string of JSON contains no line break. A user on several lines is imported as one who cannot sign in.
with_test_users() {
    if [ "${TEST_USERS:-}" = true ]; then
        sed -e 's|"${TEST_USERS}"|true|g'
    else
        sed -e '/^[[:blank:]]*{ *"username":.*"${TEST_USERS}".*}[[:blank:]]*,\{0,1\}[[:blank:]]*$/d' |
            sed -z -e 's/,\([[:blank:]]*\n[[:space:]]*\]\)/\1/g' -e 's|"${TEST_USERS}"|false|g'
    fi
}

[ -f "$home/bin/kc.sh" ] || die "there is no Keycloak in $home; run \`appliance setup\`"
KEYCLOAK_JAVA=${KEYCLOAK_JAVA:-$(stamped java)}
find_java || die "there is no Java 17 or newer to run Keycloak with; remove $stamp and run \`appliance setup\`"
prepare_data
fast=
if [ "$(stamped options)" = "$(build_options)" ] && is_current; then
    set -- --optimized
    if [ -z "${JAVA_OPTS:-}" ] && [ -r "$archive" ] && [ "$(stamped runtime)" = "$(runtime)" ]; then
        # Without -Xlog:cds=off, Java warns about every class that the archive does not contain.
        JAVA_OPTS="$(fast_options) -XX:SharedArchiveFile=$archive -Xlog:cds=off -Xlog:cds+dynamic=off"
        export JAVA_OPTS
        fast=yes
    fi
else
    say "Keycloak was built with other options, with other JARs in $home/providers or in another folder, and rebuilds itself (half a minute); to keep the new build, remove $stamp and run \`appliance setup\`"
    set --
fi
export JAVA="$java"
set -- start "$@" --import-realm "-Dkc.home.dir=$data" "-Djava.io.tmpdir=$data/tmp"
[ -n "$fast" ] || exec "$home/bin/kc.sh" "$@"
# kc.sh prints a line about options that are set on purpose. A copy without that line runs under the name
# of kc.sh, by which it finds the other files of the program.
sed 's/^\( *\)echo "JAVA_OPTS already set in environment.*/\1:/' "$home/bin/kc.sh" >"$data/kc.sh.new"
mv "$data/kc.sh.new" "$data/kc.sh"
exec /bin/sh -c 'script=$1; shift; . "$script"' "$home/bin/kc.sh" "$data/kc.sh" "$@"
