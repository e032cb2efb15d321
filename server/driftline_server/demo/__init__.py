"""The demonstration: a real LangChain application of a fintech, whose traces fill a server."""

PROJECT = "fin-extract"
"""The project that it reports to."""
