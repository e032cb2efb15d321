"""Measures Driftline; ``make bench`` runs it and writes ``RESULTS.md``."""
