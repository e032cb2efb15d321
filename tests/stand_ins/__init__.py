"""Stand-ins: small real things that tests talk to in place of the world outside."""
