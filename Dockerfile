# Built once with everything, then only the environment is kept: no compiler, no cache, no checkout.
FROM python:3.13-slim AS build
WORKDIR /checkout
COPY . .
RUN python -m venv /opt/driftline \
 && /opt/driftline/bin/pip install --no-cache-dir --disable-pip-version-check '.[server,postgres]'

FROM python:3.13-slim
RUN useradd --system --uid 10001 --create-home --home-dir /var/lib/driftline driftline
COPY --from=build /opt/driftline /opt/driftline
ENV PATH=/opt/driftline/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    DRIFTLINE_DATA=/var/lib/driftline \
    DRIFTLINE_HOST=0.0.0.0
USER driftline
WORKDIR /var/lib/driftline
VOLUME /var/lib/driftline
EXPOSE 8321
# A container has no curl; urlopen raises for anything but a good answer.
HEALTHCHECK --interval=10s --timeout=3s --start-period=20s --retries=3 \
  CMD ["python", "-c", "import urllib.request as u; u.urlopen('http://127.0.0.1:8321/readyz', timeout=2)"]
ENTRYPOINT ["driftline"]
CMD ["serve"]
