"""Runs on disk, for as long as a server cannot take them."""

from driftline.spool.files import SpoolError, url_in
from driftline.spool.letters import DeadLetter
from driftline.spool.parcels import Parcel, Spool, SpoolCounts, SpoolLimits
from driftline.spool.places import default_folder, file_name, spool_files

__all__ = [
    "DeadLetter",
    "Parcel",
    "Spool",
    "SpoolCounts",
    "SpoolError",
    "SpoolLimits",
    "default_folder",
    "file_name",
    "spool_files",
    "url_in",
]
