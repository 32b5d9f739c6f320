# Shared by the setup and the start of Keycloak; each script runs with this one in front of it.
#
#   KEYCLOAK_HOME       the program's folder
#   KEYCLOAK_JAVA       java program or its home; empty: JAVA_HOME, then PATH
#   JAVA_OPTS_KC_HEAP   heap options, as in kc.sh
#   KC_*                Keycloak's own settings; the build options among them are baked in by the setup

home=${KEYCLOAK_HOME%/}
stamp=$home/.appliance-built
archive=$home/.appliance-classes.jsa
baked='KC_(DB|FEATURES|FEATURES_DISABLED|HEALTH_ENABLED|HTTP_RELATIVE_PATH|METRICS_ENABLED)'

# Sets `java` to the first of these programs that can run Keycloak.
find_java() {
    for java in "${KEYCLOAK_JAVA:-}" "${KEYCLOAK_JAVA:+$KEYCLOAK_JAVA/bin/java}" \
        "${JAVA_HOME:+$JAVA_HOME/bin/java}" "$(command -v java || true)"; do
        [ -f "$java" ] && [ -x "$java" ] || continue
        release=$("$java" -version 2>&1 | sed -n 's/.* version "\([0-9]*\).*/\1/p')
        [ "${release:-0}" -lt 17 ] || return 0
    done
    return 1
}

# A class-data archive works only with the Java build that recorded it.
runtime() { "$java" -version 2>&1 | tail -n 1; }

# The options that `kc.sh build` compiles in: a start with other options must not be --optimized.
build_options() { env | grep -E "^($baked)=" | LC_ALL=C sort | tr '\n' ' '; }

# Changes with the JARs in `providers`, which a build contains, and with the path of the folder, which
# the class-data archive contains. The appliance computes the same one (keycloak_build.rs).
fingerprint() {
    {
        printf '%s\n' "$home"
        cd "$home/providers" 2>/dev/null || exit 0
        LC_ALL=C
        for jar in *.jar; do [ ! -f "$jar" ] || stat -L -c '%n %s %Y' -- "$jar"; done
    } | sha256sum | cut -c 1-12
}

# The Java options of kc.sh, with the garbage collector and the compiler that start fastest. Empty if a
# later kc.sh writes its options differently: Keycloak then starts with its own options.
fast_options() {
    defaults=$(sed -n 's/^ *JAVA_OPTS="\(-XX:Metaspace.*\)"$/\1/p' "$home/bin/kc.sh" |
        sed -e 's/-XX:+UseG1GC/-XX:+UseSerialGC -XX:TieredStopAtLevel=1/')
    [ -z "$defaults" ] || printf '%s %s' "$defaults" "${JAVA_OPTS_KC_HEAP:--Xms64m -Xmx512m}"
}

# furnish FOLDER: makes FOLDER a Keycloak home with its own data folder, and without themes. The program
# itself is only linked, so that one read-only program can serve several homes.
furnish() {
    mkdir -p "$1/data/import"
    for part in bin conf lib providers; do ln -sfn "$home/$part" "$1/$part"; done
}
