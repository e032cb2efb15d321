"""Runs the command line as ``python -m driftline_server.cli``."""

import sys

from driftline_server.cli import main

if __name__ == "__main__":
    sys.exit(main())
