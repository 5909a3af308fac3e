# syntax=docker/dockerfile:1
# The gateway in production: `docker build -t voice-trio . && docker run --stop-timeout 15 -p 8000:8000 --env-file .env voice-trio`
# The embedded ears and voice (the extra `local`) are not in here: a production gateway talks to an upstream.

FROM python:3.13-slim AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
WORKDIR /src
RUN python -m venv /opt/voice-trio
# Dependencies first: they change rarely, and this layer is then kept.
COPY pyproject.toml constraints.txt ./
RUN python -c "import tomllib; print('\n'.join(tomllib.load(open('pyproject.toml', 'rb'))['project']['dependencies']))" > requirements.txt \
 && /opt/voice-trio/bin/pip install -c constraints.txt -r requirements.txt
COPY README.md LICENSE ./
COPY clients ./clients
COPY voice_trio ./voice_trio
RUN /opt/voice-trio/bin/pip install --no-deps . \
 && /opt/voice-trio/bin/pip uninstall --yes pip

FROM python:3.13-slim
ENV PATH=/opt/voice-trio/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    LOG_FORMAT=json \
    KNOWLEDGE_PATH=/data/knowledge.sqlite3 \
    PORT=8000
RUN useradd --system --uid 10001 --home-dir /data --create-home voice
COPY --from=build /opt/voice-trio /opt/voice-trio
USER voice
WORKDIR /data
VOLUME /data
EXPOSE 8000
# An orderly end takes up to 10 s (`docker stop` kills after 10 unless told otherwise: --stop-timeout 15).
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s --retries=3 \
    CMD ["python", "-c", "import os, urllib.request; urllib.request.urlopen('http://127.0.0.1:' + os.environ['PORT'] + '/livez', timeout=2)"]
# On 0.0.0.0:PORT; platforms that choose the port set PORT.
CMD ["voice-trio", "serve"]
