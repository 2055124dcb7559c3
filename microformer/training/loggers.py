"""Metrics for other tools, by Lightning's own loggers. ``metrics.jsonl`` is written in any case."""

from pathlib import Path
from typing import Any

from microformer.errors import UserError


class Log:
    """Hands each row of metrics to a tool: "none", "tensorboard" or "wandb" (offline; ``wandb sync`` uploads it).

    Raises ``UserError`` when the tool is not installed.
    """

    def __init__(self, tool: str, run: Path) -> None:
        self.logger: Any = None
        try:
            if tool == "tensorboard":
                from lightning.fabric.loggers import TensorBoardLogger

                self.logger = TensorBoardLogger(root_dir=run, name="tensorboard", version="")
            elif tool == "wandb":
                from lightning.pytorch.loggers import WandbLogger

                self.logger = WandbLogger(name=run.name, save_dir=run, project="microformer", offline=True)
        except ModuleNotFoundError:
            raise UserError(
                f"logger is {tool}, but the package {tool} is not installed; install it, or set logger to none."
            ) from None

    def row(self, row: dict[str, Any]) -> None:
        """Pass on the numbers of a row; what is empty is left out."""
        if self.logger is not None:
            numbers = {name: value for name, value in row.items() if name != "step" and value is not None}
            self.logger.log_metrics(numbers, step=row["step"])

    def close(self) -> None:
        """Write what is still held back."""
        if self.logger is not None:
            self.logger.finalize("success")
