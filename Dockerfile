# Builds Matamat and puts the one binary on a small image. The store and the keys live in the volume /var/lib/matamat.
#
#   docker build -t matamat .
#   docker run -p 8080:8080 -v matamat:/var/lib/matamat -e MATAMAT_ADMIN__TOKEN='{ env = "TOKEN" }' -e TOKEN=… matamat

FROM rust:1.95-bookworm AS build
WORKDIR /src
COPY Cargo.toml Cargo.lock config.toml ./
COPY src src
COPY flows flows
COPY benches benches
RUN cargo build --release --locked --bin matamat

FROM debian:bookworm-slim
RUN apt-get update \
 && apt-get install -y --no-install-recommends ca-certificates \
 && rm -rf /var/lib/apt/lists/* \
 && useradd --system --uid 10001 --home-dir /var/lib/matamat --create-home matamat
COPY --from=build /src/target/release/matamat /usr/local/bin/matamat
USER matamat
WORKDIR /var/lib/matamat
VOLUME /var/lib/matamat
# Listens to everybody inside the container: every channel must authenticate, and the operators' side needs a token.
ENV MATAMAT_SERVER__LISTEN=0.0.0.0:8080
EXPOSE 8080
STOPSIGNAL SIGTERM
ENTRYPOINT ["matamat"]
CMD ["serve"]
