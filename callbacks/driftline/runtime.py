"""The pipelines of this process: one per configuration, built when it is first asked for."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace

from driftline.causes import say
from driftline.configuration import Configuration, Content, read_configuration
from driftline.delivery import Delivery, DeliveryLimits, DeliveryReport, Exporter, Processor, Sealed
from driftline.exporters import FileExporter, HttpExporter
from driftline.processors import Sampling, without_content
from driftline.recorder import Recorder
from driftline.redaction import Redaction

TYPE_CHECKING = False
if TYPE_CHECKING:
    from driftline.spool import Spool


class Off:
    """Takes the place of a delivery where nothing is to be recorded."""

    def offer(self, sealed: Sealed) -> None:
        """Forget the run."""

    def flush(self, timeout_s: float = 0.0) -> bool:
        """There is nothing to wait for."""
        return True


def get_recorder(url: str | None = None, api_key: str | None = None, project: str | None = None) -> Recorder:
    """The recorder of this process for a server and a project; the environment says what is ``None``."""
    return recorder_of(read_configuration(url=url, api_key=api_key, project=project))


def recorder_of(configuration: Configuration) -> Recorder:
    """The recorder of this process for a configuration; the same one each time."""
    found = _recorders.get(configuration)
    if found is not None:
        return found
    outlet = delivery_of(configuration) if configuration.enabled else Off()
    recorder = Recorder(
        outlet,
        project=configuration.project,
        release=configuration.release,
        environment=configuration.environment,
    )
    # Where two threads build at once, one of them wins. A lock could stay locked for ever in a forked child.
    kept = _recorders.setdefault(configuration, recorder)
    if kept is recorder and isinstance(outlet, Delivery):
        outlet.before_closing(recorder.close)
    return kept


def delivery_of(configuration: Configuration) -> Delivery:
    """The delivery of this process for a configuration; projects on one server share it."""
    shared = replace(configuration, project="", release=None, environment=None, enabled=True)
    found = _deliveries.get(shared)
    return _deliveries.setdefault(shared, _build_delivery(shared)) if found is None else found


def is_enabled(environ: Mapping[str, str] | None = None, *, url: str | None = None) -> bool:
    """Whether the environment, and the server's address where one is given, let anything be recorded."""
    return read_configuration(environ, url=url).enabled


def flush(timeout_s: float = 10.0) -> bool:
    """Hand over everything that ended so far; false where time ran out before all of it was."""
    deadline = time.monotonic() + timeout_s
    flushed = [each.flush(max(0.0, deadline - time.monotonic())) for each in tuple(_deliveries.values())]
    return all(flushed)


def delivery_report() -> DeliveryReport:
    """What became of all runs of this process."""
    return sum((each.report() for each in tuple(_deliveries.values())), DeliveryReport())


def processors_of(configuration: Configuration) -> tuple[Processor, ...]:
    """What happens to a run before it leaves, the cheapest first."""
    processors: list[Processor] = []
    if configuration.sample_rate < 1:
        processors.append(Sampling(configuration.sample_rate))
    if configuration.content is Content.NONE:
        processors.append(without_content)
    if configuration.redact:
        processors.append(Redaction(configuration.redact))
    return tuple(processors)


def http_exporter_of(configuration: Configuration) -> HttpExporter:
    """A new exporter to the server of a configuration."""
    return HttpExporter(
        configuration.url,
        api_key=configuration.api_key,
        timeout_s=configuration.timeout_s,
        ca_file=configuration.ca_file,
    )


def spool_of(configuration: Configuration) -> Spool | None:
    """The spool for the server of a configuration; ``None`` where there shall be none, or can be none."""
    if configuration.spool == "":
        return None
    try:
        from driftline.spool import Spool, SpoolLimits, default_folder
    except ImportError as error:
        say(f"keeps nothing on disk, for this Python lacks a module: {error}")
        return None
    limits = SpoolLimits(
        max_bytes=configuration.spool_mb * 2**20,
        max_age_s=configuration.spool_days * 86_400,
        # No request lasts longer; a parcel goes in one, or where it is large or refused in part, in a few.
        hold_s=4 * configuration.timeout_s + 20,
    )
    return Spool(configuration.spool or default_folder(), configuration.url, limits=limits)


def _build_delivery(configuration: Configuration) -> Delivery:
    exporter: Exporter
    if configuration.file is not None:
        exporter = FileExporter(configuration.file)
    else:
        exporter = http_exporter_of(configuration)
    limits = DeliveryLimits(queue_runs=configuration.queue_runs, exit_timeout_s=configuration.exit_timeout_s)
    spool = spool_of(configuration) if configuration.file is None else None
    return Delivery(exporter, processors=processors_of(configuration), limits=limits, spool=spool)


_recorders: dict[Configuration, Recorder] = {}
_deliveries: dict[Configuration, Delivery] = {}
