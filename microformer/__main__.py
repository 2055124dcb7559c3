"""``python -m microformer`` is the command line."""

import sys

from microformer.cli import main

sys.exit(main())
