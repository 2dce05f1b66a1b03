# The operator's image. It runs as nobody in particular (65532), on a read-only
# root, with no writable HOME and without calling a shell.
#
# `make image` prepares a context with a wheelhouse and builds with no network
# (PIP_ARGS); a plain `docker build .` takes the same pinned files from the index.
# The order of the layers is that of change: base, dependencies, the code.
# the digest is that of the index of all platforms, the tag is for people
ARG BASE_IMAGE=python:3.12.14-slim-trixie@sha256:78387bc3881b8273120a12ebe6c1ab22b018ccc2c9adf565ae1ac9b536e184ea

FROM ${BASE_IMAGE} AS dependencies
ARG PIP_ARGS=
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore
# pip lives in a venv of its own: what runs needs none
RUN python3 -m venv /build && python3 -m venv --without-pip /opt/kipu
COPY requirements.lock wheelhous[e]/ /src/wheelhouse/
# of the CEL library the extensions are left out: 36 MB that nothing imports
RUN /build/bin/pip --python /opt/kipu/bin/python install --require-hashes ${PIP_ARGS} -r /src/wheelhouse/requirements.lock && \
    rm -r /opt/kipu/lib/python3.*/site-packages/cel_expr_python/ext

FROM dependencies AS code
# not every builder inherits it
ARG PIP_ARGS=
COPY pyproject.toml README.md LICENSE* /src/
COPY operator/ /src/operator/
RUN /build/bin/pip --python /opt/kipu/bin/python install --no-deps ${PIP_ARGS} --target /code /src

FROM ${BASE_IMAGE}
COPY --from=dependencies /opt/kipu /opt/kipu
COPY --from=code /code /opt/kipu/code
# its imports are compiled once, here: some bases come without their bytecode, and each start would pay for it
RUN PYTHONPATH=/opt/kipu/code /opt/kipu/bin/python -c "import kipu.shell.main"
ENV PYTHONPATH=/opt/kipu/code PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
USER 65532:65532
WORKDIR /
ENTRYPOINT ["/opt/kipu/bin/python", "-m", "kipu.shell.main"]
