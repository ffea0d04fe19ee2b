# One image for every process: `reel up`, `reel serve command-service|host|read-api`, and all verbs. No shell, no secrets, no root.

FROM rust:1.95.0-bookworm AS build
WORKDIR /reel
# The image has the toolchain; rust-toolchain.toml also asks for what only developers need. It has perl and make, too, which
# OpenSSL is built with (kafka-tls: Kafka over TLS, logins by SCRAM).
ENV RUSTUP_TOOLCHAIN=1.95.0 LIBZ_SYS_STATIC=1
COPY . .
RUN --mount=type=cache,target=/usr/local/cargo/registry --mount=type=cache,target=/reel/target \
    cargo build --release --locked --bin reel --features kafka-tls \
    && install -D target/release/reel /out/usr/local/bin/reel \
    && strip /out/usr/local/bin/reel \
    && mkdir -p /out/var/lib/reel

FROM gcr.io/distroless/cc-debian12:nonroot
COPY --from=build /out/usr/local/bin/reel /usr/local/bin/reel
COPY --from=build --chown=nonroot:nonroot /out/var/lib/reel /var/lib/reel
USER nonroot
ENV REEL_DATA=/var/lib/reel
VOLUME /var/lib/reel
# command service and `up`, host, read API
EXPOSE 7070 7071 7072
STOPSIGNAL SIGTERM
ENTRYPOINT ["/usr/local/bin/reel"]
CMD ["--help"]
