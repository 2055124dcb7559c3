"""The playground: ``python app.py [--host ADDRESS] [--port N] [--allow-host NAME]``."""

from microformer.ui.entry import main

if __name__ == "__main__":
    raise SystemExit(main())
