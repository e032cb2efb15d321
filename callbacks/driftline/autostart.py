"""Imported when the interpreter starts, but only where ``DRIFTLINE_AUTO`` is set."""

from driftline.activation import autostart

autostart()
