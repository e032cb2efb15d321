"""Where batches of runs go: a server, a file, or memory."""

from driftline.exporters.file import FileExporter
from driftline.exporters.http import HttpExporter
from driftline.exporters.memory import MemoryExporter

__all__ = ["FileExporter", "HttpExporter", "MemoryExporter"]
