"""Reading a tokenizer file of the ``tokenizers`` library that comes from somewhere else.

Loading such a file with the library itself means running components and regular expressions that its author chose:
some take for ever, some bring the process down. So nothing of the file is ever built. A child process with limits on
time and memory (``recognise.py``) reads it, recognises the byte-level BPE tokenizers that are in use, and translates
their vocabulary into the program's own format; whatever else the file asks for is refused with a sentence.
"""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from microformer.errors import UserError

MAX_BYTES = 20 * 2**20
CPU_SECONDS = 10
# A busy machine may need longer for the same work.
SECONDS = 30


def translate(path: Path) -> dict[str, Any]:
    """The program's own description of a foreign tokenizer file, or ``UserError``. Starts a child process."""
    package_root = str(Path(__file__).parents[3])
    environment = {"PYTHONPATH": package_root, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "PYTHONUTF8": "1"}
    if "SYSTEMROOT" in os.environ:  # Windows cannot start Python without it
        environment["SYSTEMROOT"] = os.environ["SYSTEMROOT"]
    try:
        done = subprocess.run(
            [sys.executable, "-m", "microformer.data.tokenizers.recognise", str(path.resolve())],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=SECONDS,
            env=environment,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise UserError(f"{path.name} took longer than {SECONDS} seconds to read, so it was given up.") from None
    if done.returncode == 2:
        raise UserError(f"{path.name} cannot be used: {done.stderr.decode('utf-8', 'replace').strip()}.")
    if done.returncode != 0:
        raise UserError(f"{path.name} cannot be used: reading it failed; it may be damaged.")
    return json.loads(done.stdout)
