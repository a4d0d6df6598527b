# Two stages: wheels are built and installed where the tools are, the image that runs has none of them.
FROM python:3.11-slim-bookworm AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
WORKDIR /src
COPY requirements/runtime.txt requirements/runtime.txt
RUN python -m venv /opt/regimed \
    && /opt/regimed/bin/pip install --require-hashes --requirement requirements/runtime.txt \
    && python -m venv /opt/build \
    && /opt/build/bin/pip install "setuptools>=80"
COPY . .
RUN /opt/build/bin/python -c "from setuptools.build_meta import build_wheel; print(build_wheel('/tmp'))" \
    && /opt/regimed/bin/pip install --no-deps /tmp/regimed-*.whl

FROM python:3.11-slim-bookworm
# git and ssh carry the data repository; procps lets a hung git's ssh child be found and ended.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install -y --no-install-recommends git openssh-client procps \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --uid 10001 --create-home --home-dir /home/regimed regimed
COPY --from=build /opt/regimed /opt/regimed
ENV PATH=/opt/regimed/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
USER 10001
WORKDIR /var/lib/regimed
EXPOSE 8080
ENTRYPOINT ["regimed"]
CMD ["run", "--config", "/etc/regimed/config.yaml"]
