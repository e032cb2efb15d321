"""``python -m driftline`` is the ``driftline`` command."""

import sys

from driftline.command import main

sys.exit(main())
