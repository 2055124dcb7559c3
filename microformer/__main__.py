"""``python -m microformer`` is the command line."""

import os
import sys

# Threads that wait by spinning make a busy machine ten times slower; this must be said before torch is loaded.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
if sys.argv[1:2] in (["train"], ["bench"]):  # short waits, though: waking a thread takes longer than most operations
    os.environ.setdefault("GOMP_SPINCOUNT", "3000")

from microformer.cli import main

sys.exit(main())
