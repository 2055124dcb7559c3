"""The playground: ``python app.py [--host ADDRESS] [--port N] [--allow-host NAME]``."""

import os

# Threads that wait by spinning make a busy machine ten times slower; this must be said before torch is loaded.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

from microformer.ui.entry import main

if __name__ == "__main__":
    raise SystemExit(main())
