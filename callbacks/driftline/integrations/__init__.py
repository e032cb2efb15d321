"""Translators from a framework's words into recorder calls; each module imports one framework."""
