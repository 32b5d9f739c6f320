# syntax=docker/dockerfile:1
# docker build -t appliance . && docker run --rm -p 8080:8080 appliance
# To serve another host or port, set PUBLIC_URL: docker run -p 9000:8080 -e PUBLIC_URL=http://localhost:9000 …

FROM rust:1-slim-trixie AS appliance
WORKDIR /src
COPY Cargo.toml Cargo.lock askama.toml ./
COPY src src
# The realm of an appliance whose file names none is a part of the program.
COPY apps/keycloak/realm.json apps/keycloak/realm.json
RUN --mount=type=cache,target=/usr/local/cargo/registry --mount=type=cache,target=/src/target \
    cargo build --release --locked && install -D target/release/appliance /out/appliance

# This stage builds Keycloak for the options of the preset, with the class-data archive that halves its
# start time. The image contains no database: Keycloak creates its keys and secrets when the container
# first starts.
FROM python:3.13-slim-trixie AS keycloak
COPY --from=eclipse-temurin:25-jre /opt/java/openjdk /opt/java/openjdk
COPY --from=quay.io/keycloak/keycloak:26.7.3 --chown=root:root /opt/keycloak /opt/keycloak
# JARs with themes and extensions of Keycloak; a build contains them.
COPY apps/keycloak/providers /opt/keycloak/providers
COPY src/config/preset/data/shell.sh src/config/preset/data/keycloak.sh src/config/preset/data/keycloak.setup.sh /setup/
ENV KEYCLOAK_HOME=/opt/keycloak KEYCLOAK_VERSION=26.7.3 JAVA_HOME=/opt/java/openjdk \
    KC_DB=dev-file KC_HEALTH_ENABLED=true KC_HTTP_RELATIVE_PATH=/auth
RUN cat /setup/shell.sh /setup/keycloak.sh /setup/keycloak.setup.sh | sh && chmod -R a+rX,go-w /opt/keycloak

# The files that the setup reads. While they stay the same, Docker takes the Python environments from its
# cache, so that a change in the code of an app costs seconds and a small layer.
FROM python:3.13-slim-trixie AS requirements
WORKDIR /srv/appliance
COPY appliance.toml ./
COPY apps apps
RUN find apps -type f ! -name '*.txt' ! -name '*.json' -delete && find apps -type d -empty -delete

FROM python:3.13-slim-trixie
COPY --from=keycloak /opt/java/openjdk /opt/java/openjdk
COPY --from=keycloak /opt/keycloak /opt/keycloak
COPY --from=appliance /out/appliance /usr/local/bin/appliance
# A folder with apps that is mounted at APPLIANCE_APPS replaces the apps of the image.
# With APPLIANCE_USERS, each app runs as a user of its own, whose number follows from the app's name.
# A certificate in the folder APPLIANCE_TLS (fullchain.pem and privkey.pem) switches https on, on port 8443.
ENV JAVA_HOME=/opt/java/openjdk KEYCLOAK_HOME=/opt/keycloak APPLIANCE_USERS=per-app \
    APPLIANCE_TLS=/run/appliance/tls APPLIANCE_APPS=/apps APPLIANCE_LISTEN=0.0.0.0:8080 \
    STATE_DIRECTORY=/var/lib/appliance/state APPLIANCE_DATA=/var/lib/appliance CACHE_DIRECTORY=/opt/appliance
WORKDIR /srv/appliance
COPY --from=requirements /srv/appliance ./
# Every app may read this folder, and none may write to it. The volume is for root, which makes a folder
# in it for each app. Group 0 may write to the volume, too: with `docker run --user 1000` the appliance is
# in that group. No app of root's is.
RUN chmod -R a+rX,go-w . && install -d -m 1775 /var/lib/appliance
# `appliance setup` creates the Python environments of the apps, as `appliance run` does without Docker.
# An image must not contain keys and secrets: the tmpfs discards those that this step creates.
RUN --mount=type=cache,target=/opt/appliance/downloads --mount=type=tmpfs,target=/var/lib/appliance \
    appliance setup
COPY apps apps
RUN chmod -R a+rX,go-w apps && appliance check

VOLUME /var/lib/appliance
EXPOSE 8080
HEALTHCHECK --interval=10s --timeout=5s --start-period=2m CMD ["appliance", "healthcheck"]
ENTRYPOINT ["appliance"]
