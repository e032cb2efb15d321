"""The house that people visit: stores, serves and watches what clients send."""
