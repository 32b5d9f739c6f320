set -eu
"$KEYCLOAK_HOME/bin/kc.sh" build
: > "$KEYCLOAK_HOME/.appliance-built"
