# The command `anomaly` as a container of SageMaker: `docker run IMAGE train`, `docker run IMAGE serve`.
# docs/training.md tells how to build it and use it, and what of it has been run.

FROM rust:1.95-bookworm AS build
WORKDIR /src
COPY . .
# Linked with all it needs, so that nothing else has to be in the image: randomness comes from the kernel's call too, which
# would else be looked up at run time, and then be a file. The target is named so that the flags are not for build scripts
# and macros as well.
RUN host="$(rustc -vV | sed -n 's/^host: //p')" \
 && RUSTFLAGS='-C target-feature=+crt-static --cfg getrandom_backend="linux_getrandom"' \
    cargo build --release --locked --target "$host" --target-dir /build --package anomaly-cli \
 && cp "/build/$host/release/anomaly" /anomaly

FROM scratch
# It listens where SAGEMAKER_BIND_TO_PORT says: what SageMaker asks of containers in an inference pipeline.
LABEL com.amazonaws.sagemaker.capabilities.accept-bind-to-port=true
COPY --from=build /anomaly /anomaly
EXPOSE 8080
# In this form it is process 1 and gets SageMaker's SIGTERM itself.
ENTRYPOINT ["/anomaly"]
