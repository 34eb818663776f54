# docker build --build-arg VERSION=1.0.0 --build-arg REVISION=$(git rev-parse HEAD) -t vergewatch .

# Both stages: the environment is made with the Python that it is used with.
ARG PYTHON_IMAGE=python:3.13-slim

FROM ${PYTHON_IMAGE} AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PIP_NO_CACHE_DIR=1 \
    PIP_ROOT_USER_ACTION=ignore
WORKDIR /src

# What rarely changes comes first. The environment has no pip, because nothing is installed later.
COPY deploy/requirements-postgres.txt deploy/requirements-build.txt deploy/
RUN python -m venv --without-pip /opt/vergewatch \
 && pip install --require-hashes -r deploy/requirements-build.txt \
 && pip --python /opt/vergewatch/bin/python install --no-compile \
        --require-hashes --only-binary :all: -r deploy/requirements-postgres.txt

COPY pyproject.toml README.md LICENSE ./
COPY exporter exporter
# Compiled here, because the file system may be read-only; unchecked, because times of files may be lost.
RUN pip wheel --no-deps --no-build-isolation --wheel-dir dist . \
 && pip --python /opt/vergewatch/bin/python install --no-compile --no-deps --no-index dist/*.whl \
 && python -m compileall -q --invalidation-mode unchecked-hash /opt/vergewatch/lib


FROM ${PYTHON_IMAGE}
ARG VERSION=unknown
ARG REVISION=unknown
LABEL org.opencontainers.image.title="vergewatch" \
      org.opencontainers.image.description="Monitoring for VergeOS" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"

# A number, so that Kubernetes can see that it is not root.
ARG USER_ID=65532
RUN install --directory --owner=${USER_ID} --group=${USER_ID} --mode=0750 /var/lib/vergewatch
COPY --from=build /opt/vergewatch /opt/vergewatch
COPY deploy/docker/healthcheck.py /opt/vergewatch/
ENV PATH=/opt/vergewatch/bin:$PATH \
    STATE_DIRECTORY=/var/lib/vergewatch \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1

USER ${USER_ID}:${USER_ID}
WORKDIR /var/lib/vergewatch
VOLUME /var/lib/vergewatch
EXPOSE 9888
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=10s --start-period=10s --retries=3 \
    CMD ["python", "-I", "/opt/vergewatch/healthcheck.py"]
# As PID 1, a process never sees a signal that comes before it handles it, unless it is blocked.
ENTRYPOINT ["env", "--block-signal=TERM,INT,HUP", "vergewatch"]
CMD ["run"]
