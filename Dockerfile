# syntax=docker/dockerfile:1
# Two stages: wheels are built and installed where the tools are, the image that runs has none of them.
#   docker build --tag regimed .                                   the slim daemon
#   docker build --tag regimed:full --build-arg REQUIREMENTS=full .   with PostgreSQL, Apprise and MCP
FROM python:3.11-slim-bookworm AS build
ARG REQUIREMENTS=runtime
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore
WORKDIR /src
COPY requirements/ requirements/
RUN python -m venv --without-pip /opt/regimed \
    && python -m venv /opt/build \
    && /opt/build/bin/pip install --require-hashes --requirement requirements/build.txt \
    && /opt/build/bin/pip --python /opt/regimed/bin/python install \
        --require-hashes --only-binary :all: --requirement "requirements/${REQUIREMENTS}.txt"
COPY . .
# the libraries of the pages go into the wheel; without a registry the pages do without them
RUN /opt/regimed/bin/python -m dashboard.pack_assets
RUN /opt/build/bin/python -c "from setuptools.build_meta import build_wheel; print(build_wheel('/tmp'))" \
    && /opt/build/bin/pip --python /opt/regimed/bin/python install --no-deps /tmp/regimed-*.whl \
    && /opt/regimed/bin/python -m compileall -q /opt/regimed/lib

FROM python:3.11-slim-bookworm
# git and ssh carry the data repository; procps lets a hung git's ssh child be found and ended; tini reaps what
# git leaves behind. pip and its kin go: nothing is installed here any more.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install -y --no-install-recommends git openssh-client procps tini \
    && rm -rf /var/lib/apt/lists/* \
    && python -m pip uninstall --yes --quiet setuptools wheel pip \
    && useradd --uid 10001 --create-home --home-dir /home/regimed regimed \
    && install --directory --owner 10001 --group 10001 /var/lib/regimed
COPY --from=build /opt/regimed /opt/regimed
ENV PATH=/opt/regimed/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 MALLOC_ARENA_MAX=2
USER 10001:10001
WORKDIR /var/lib/regimed
VOLUME /var/lib/regimed
EXPOSE 8080
# What a restart could cure; the start may have to clone the history. Kubernetes asks by its own probes.
HEALTHCHECK --interval=30s --timeout=10s --start-period=10m --retries=6 \
    CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:8080/health/live', timeout=8)"]
ENTRYPOINT ["tini", "--", "regimed"]
CMD ["run", "--config", "/etc/regimed/config.yaml"]
