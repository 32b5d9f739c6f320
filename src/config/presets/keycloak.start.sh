exec "$KEYCLOAK_HOME/bin/kc.sh" start --optimized --import-realm
