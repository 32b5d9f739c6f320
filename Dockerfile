# syntax=docker/dockerfile:1
# docker build -t appliance . && docker run --rm -p 8080:8080 appliance
# To serve another host or port, set PUBLIC_URL: docker run -p 9000:8080 -e PUBLIC_URL=http://localhost:9000 …

FROM rust:1-slim-trixie AS appliance
WORKDIR /src
COPY Cargo.toml Cargo.lock askama.toml ./
COPY src src
RUN --mount=type=cache,target=/usr/local/cargo/registry --mount=type=cache,target=/src/target \
    cargo build --release --locked && install -D target/release/appliance /out/appliance

# This stage builds Keycloak for the options of the preset, with the class-data archive that halves its
# start time. The image contains no database: Keycloak creates its keys and secrets when the container
# first starts.
FROM python:3.13-slim-trixie AS keycloak
COPY --from=eclipse-temurin:25-jre /opt/java/openjdk /opt/java/openjdk
COPY --from=quay.io/keycloak/keycloak:26.7.3 --chown=root:root /opt/keycloak /opt/keycloak
COPY src/config/preset/data/shell.sh src/config/preset/data/keycloak.sh src/config/preset/data/keycloak.setup.sh /setup/
ENV KEYCLOAK_HOME=/opt/keycloak KEYCLOAK_VERSION=26.7.3 JAVA_HOME=/opt/java/openjdk \
    KC_DB=dev-file KC_HEALTH_ENABLED=true KC_HTTP_RELATIVE_PATH=/auth
RUN cat /setup/shell.sh /setup/keycloak.sh /setup/keycloak.setup.sh | sh && chmod -R a+rX /opt/keycloak

FROM python:3.13-slim-trixie
COPY --from=keycloak /opt/java/openjdk /opt/java/openjdk
COPY --from=keycloak /opt/keycloak /opt/keycloak
COPY --from=appliance /out/appliance /usr/local/bin/appliance
ENV JAVA_HOME=/opt/java/openjdk KEYCLOAK_HOME=/opt/keycloak KEYCLOAK_DATA=/var/lib/appliance/keycloak \
    STATE_DIRECTORY=/var/lib/appliance/state CACHE_DIRECTORY=/opt/appliance
WORKDIR /srv/appliance
COPY appliance.toml ./
COPY apps apps
# Each app runs as the user with its name. one-user.toml is the unchanged file, for `docker run --user`.
# Every user may create a folder in the volume, as in /tmp.
RUN <<END
set -eu
cp appliance.toml one-user.toml
uid=1000
for app in $(sed -n 's/^\[apps\.\([a-z0-9-]*\)\]$/\1/p' one-user.toml); do
    useradd --create-home --uid "$uid" "$app"
    sed -i "s/^\[apps\.$app\]\$/&\nuser = \"$app\"/" appliance.toml
    uid=$((uid + 1))
done
install -d -m 1777 /var/lib/appliance
END
# `appliance setup` creates the Python environments of the apps, as `appliance run` does without Docker.
# An image must not contain keys and secrets: the tmpfs discards those that this step creates.
RUN --mount=type=cache,target=/root/.cache/pip --mount=type=tmpfs,target=/var/lib/appliance \
    appliance check && appliance setup

VOLUME /var/lib/appliance
EXPOSE 8080
HEALTHCHECK --interval=10s --timeout=5s --start-period=2m CMD ["appliance", "healthcheck"]
ENTRYPOINT ["appliance"]
