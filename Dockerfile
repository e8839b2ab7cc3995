# One static binary and nothing else: no shell, no Node, no package manager.
#
#   docker build -t fanfare .
#   docker run -p 8080:8080 -v fanfare:/data -e FANFARE_PUBLIC_URL=https://push.example.com fanfare
FROM golang:1.26 AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
RUN CGO_ENABLED=0 go build -trimpath -ldflags="-s -w" -o /out/fanfare ./cmd/fanfare && mkdir /out/data

FROM scratch
LABEL org.opencontainers.image.title="Fanfare" \
      org.opencontainers.image.description="Push channels for many apps, self-hosted" \
      org.opencontainers.image.source="https://github.com/fanfarehq/fanfare" \
      org.opencontainers.image.licenses="Apache-2.0"
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/
COPY --from=build /out/fanfare /fanfare
COPY --from=build --chown=65532:65532 --chmod=0700 /out/data /data
ENV FANFARE_LISTEN=0.0.0.0:8080 FANFARE_DATA=/data
USER 65532:65532
VOLUME /data
EXPOSE 8080
HEALTHCHECK --interval=10s --timeout=4s --start-period=15s CMD ["/fanfare", "health"]
ENTRYPOINT ["/fanfare"]
