# Two images from one build:
#   docker build -t pingora-entry .                  a base image with Node, and the directory other images copy:
#                                                    COPY --from=pingora-entry /opt/pingora-entry /opt/pingora-entry
#   docker build --target init -t pingora-init .     the init alone, one static file: for `pingora-entry -- CMD`
ARG NODE_MAJOR=24

FROM node:${NODE_MAJOR}-bookworm-slim AS build
# musl makes the init a tenth of the size that it has with glibc
RUN apt-get update \
 && apt-get install -y --no-install-recommends gcc libc6-dev musl-tools \
 && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY package.json package-lock.json ./
RUN npm ci --no-audit --no-fund --loglevel=error
COPY tsconfig.json tsconfig.types.json LICENSE ./
COPY scripts scripts
COPY src src
# names the build in logs, metrics and `version`; there is no .git in here
ARG BUILD_ID=unknown
RUN PINGORA_ENTRY_BUILD_ID="${BUILD_ID}" npm run setup
# Where Node's licence is: beside bin/ in Node's own images. A base image that has none of it is for trying out only: --build-arg NODE_LICENSE=absent
ARG NODE_LICENSE=/usr/local/LICENSE
# The code cache fits exactly this Node: both travel together. A build without the cache fails here, not in slow starts later.
RUN install -d /opt/pingora-entry \
 && cp dist/bin/pingora-entry dist/bin/addon.node dist/bin/adopt.so dist/bin/*.cjs dist/bin/*.cache dist/bin/LICENSES-THIRD-PARTY /opt/pingora-entry/ \
 && cp "$(command -v node)" /opt/pingora-entry/node \
 && strip --strip-unneeded /opt/pingora-entry/node \
 && cp LICENSE /opt/pingora-entry/LICENSE \
 && if [ "$NODE_LICENSE" != absent ]; then cp "$NODE_LICENSE" /opt/pingora-entry/LICENSE-NODE; fi \
 && chmod -R a+rX,go-w /opt/pingora-entry \
 && env -i /opt/pingora-entry/pingora-entry version

FROM scratch AS init
COPY --from=build /opt/pingora-entry/pingora-entry /pingora-entry
ENTRYPOINT ["/pingora-entry"]

FROM debian:bookworm-slim
ARG BUILD_ID=unknown
LABEL org.opencontainers.image.title="pingora-entry" \
      org.opencontainers.image.description="Container entrypoint: services in dependency order, a stop that fits the grace period" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.revision="${BUILD_ID}"
# Setuid programs of the base image lose that bit: nobody in here becomes somebody else by a program's owner.
# A user for those who name none. Group 0 may write to the run directory: platforms that choose the uid themselves keep that group.
RUN groupadd --gid 65532 app \
 && useradd --no-log-init --uid 65532 --gid 65532 --home-dir /nonexistent --no-create-home --shell /usr/sbin/nologin app \
 && install -d -o 65532 -g 0 -m 0770 /run/pingora-entry \
 && ln -s /opt/pingora-entry/pingora-entry /opt/pingora-entry/node /usr/local/bin/ \
 && find / -xdev -perm /6000 -type f -exec chmod a-s {} +
COPY --from=build /opt/pingora-entry /opt/pingora-entry
USER 65532:65532
EXPOSE 9090
STOPSIGNAL SIGTERM
# No HEALTHCHECK: an image made from this one may run a single command, and then nobody answers. Where services are configured:
#   HEALTHCHECK CMD ["pingora-entry", "healthcheck"]
ENTRYPOINT ["pingora-entry"]
