"""What every store for runs does, whatever lies beneath."""

from __future__ import annotations

from contracts.store_finding import Finding
from contracts.store_keeping import KeepingRuns
from contracts.store_scoring import Scoring
from contracts.store_summing import SummingUp
from contracts.store_tidying import KeepingTidy


class StoreContract(KeepingRuns, SummingUp, Finding, Scoring, KeepingTidy):
    """Subclass it, and let the fixture ``store`` hand over an empty store that lives by ``clock``."""
