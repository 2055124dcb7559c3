"""``python -m microformer`` is the command line."""

import os
import sys

# Threads that wait by spinning make a busy machine ten times slower; this must be said before torch is loaded.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

from microformer.cli import main

sys.exit(main())
