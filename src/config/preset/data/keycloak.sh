# What setup and start of Keycloak agree on; each is run with this before it.
#
#   KEYCLOAK_HOME       the program's folder
#   KEYCLOAK_JAVA       java program or its home; empty: JAVA_HOME, then PATH
#   JAVA_OPTS_KC_HEAP   heap options, as in kc.sh
#   KC_*                Keycloak's own settings; the build options among them are baked in by the setup

home=${KEYCLOAK_HOME%/}
stamp=$home/.appliance-built
archive=$home/.appliance-classes.jsa
baked='KC_(DB|FEATURES|FEATURES_DISABLED|HEALTH_ENABLED|HTTP_RELATIVE_PATH|METRICS_ENABLED)'

# Sets `java` to the first program of these that Keycloak runs on.
find_java() {
    for java in "${KEYCLOAK_JAVA:-}" "${KEYCLOAK_JAVA:+$KEYCLOAK_JAVA/bin/java}" \
        "${JAVA_HOME:+$JAVA_HOME/bin/java}" "$(command -v java || true)"; do
        [ -f "$java" ] && [ -x "$java" ] || continue
        release=$("$java" -version 2>&1 | sed -n 's/.* version "\([0-9]*\).*/\1/p')
        [ "${release:-0}" -lt 17 ] || return 0
    done
    return 1
}

# An archive of classes fits one build of Java only.
runtime() { "$java" -version 2>&1 | tail -n 1; }

# The options that `kc.sh build` bakes in: a start with others must not be --optimized.
build_options() { env | grep -E "^($baked)=" | LC_ALL=C sort | tr '\n' ' '; }

# The defaults of kc.sh itself, with the collector and the compiler that start fastest. Nothing when
# a later kc.sh says them in another way: then Keycloak starts as shipped.
fast_options() {
    defaults=$(sed -n 's/^ *JAVA_OPTS="\(-XX:Metaspace.*\)"$/\1/p' "$home/bin/kc.sh" |
        sed -e 's/-XX:+UseG1GC/-XX:+UseSerialGC -XX:TieredStopAtLevel=1/')
    [ -z "$defaults" ] || printf '%s %s' "$defaults" "${JAVA_OPTS_KC_HEAP:--Xms64m -Xmx512m}"
}

# furnish FOLDER: makes it a home for Keycloak with a data folder of its own; the program's parts are
# there by name only, so that one read-only program serves many.
furnish() {
    mkdir -p "$1/data/import"
    for part in bin conf lib providers themes; do ln -sfn "$home/$part" "$1/$part"; done
}
