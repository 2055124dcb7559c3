"""A run made from another one's weights without training: its LoRA merged, or its weights in fewer bits."""

import shutil
from dataclasses import replace
from pathlib import Path

from microformer import checkpoint
from microformer.checkpoint import Loaded
from microformer.files import check_new_directory, directory_written_whole
from microformer.model.transformer import Transformer
from microformer.training.config import RunConfig
from microformer.training.run_directory import DATA, METRICS, SAMPLES, TOKENIZER, Run

KEPT = (TOKENIZER, DATA, METRICS, SAMPLES, "val.npy")


def derive(loaded: Loaded, model: Transformer, out: Path, message: str) -> Path:
    """Make a run at ``out`` that is ``loaded`` with another ``model``, whole or not at all; returns ``out``.

    It can be used as any run, but not resumed. ``message`` says where it comes from. Raises ``UserError`` when ``out``
    already holds something, or the disk is full.
    """
    check_new_directory(out, room=2 * sum(tensor.nbytes for tensor in checkpoint.weights_of(model).values()))
    config = replace(RunConfig.from_dict(loaded.config), model=model.config)
    with directory_written_whole(out) as beside:
        run = Run(beside)
        run.write_config(config)
        for name in KEPT:
            if (loaded.run / name).is_file():
                shutil.copyfile(loaded.run / name, beside / name)
        checkpoint.save(
            beside / "checkpoints" / loaded.checkpoint.name, model=model, optimizer_state=None, state=loaded.state
        )
        run.write_status("finished", int(loaded.state.get("step", 0)), message)
    return out
