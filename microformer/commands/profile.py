"""``profile``: what a configuration costs, told without building a single weight."""

from pathlib import Path
from typing import Any

from microformer.commands import output
from microformer.commands.options import Parser, add_json, add_settings, given_settings, whole_number
from microformer.errors import UserError
from microformer.model.config import ModelConfig
from microformer.training.config import TrainConfig

DESCRIPTION = "Tell a model's parameters, arithmetic per token and memory before it is trained."

USAGE = "--config FILE [--data DIR | --vocab-size N] [--json] [--model.NAME VALUE] [--training.NAME VALUE]"


def add_arguments(parser: Parser) -> None:
    """What ``profile`` accepts."""
    parser.option("--config", required=True, metavar="FILE", help="A YAML file, or a preset's name.")
    parser.option("--data", metavar="DIR", help="Take the vocabulary size from this dataset.")
    parser.option("--vocab-size", metavar="N", help="How many tokens there are (instead of --data).")
    add_json(parser, "the profile")
    add_settings(parser, ModelConfig, prefix="model.", leave_out=("vocab_size",))
    add_settings(parser, TrainConfig, prefix="training.")


def run(values: dict[str, Any]) -> None:
    """Compute and print the profile."""
    from microformer.model.profile import learning_parameters, profile
    from microformer.presets import load_preset, with_changes
    from microformer.training.estimate import training_memory
    from microformer.training.runtime import find_device

    model = given_settings(values, ModelConfig, prefix="model.")
    vocab_size = _vocab_size(values)
    if vocab_size is not None:
        model["vocab_size"] = vocab_size
    training = given_settings(values, TrainConfig, prefix="training.")
    config = with_changes(load_preset(values["config"]), {"model": model, "training": training})
    found = profile(config.model)
    to_train = training_memory(config, find_device(config.training.device))
    if values["json"]:
        output.result_json(
            {
                "parameters": found.total_parameters,
                "learning_parameters": learning_parameters(config.model),
                "parameters_by_part": found.parameters,
                "flops_per_token": found.forward_flops,
                "flops_per_token_by_part": found.flops_per_token,
                "training_flops_per_token": found.training_flops,
                "memory": {
                    "training_bytes": to_train,
                    "sampling_bytes": found.sampling_bytes,
                    "cache_bytes_per_token": found.cache_bytes_per_token,
                },
            }
        )
        return
    for name, count in found.parameters.items():
        if count:
            output.result(f"{count:>13,} parameters  {name}")
    output.result(f"{found.total_parameters:>13,} parameters  in all")
    output.result(f"{found.forward_flops:>13,} FLOPs to read a token, {found.training_flops:,} to learn from one")
    output.result(
        f"About {output.size_in_words(to_train)} of memory to train with batches of "
        f"{config.training.batch_size}, {output.size_in_words(found.sampling_bytes)} to sample."
    )


def _vocab_size(values: dict[str, Any]) -> int | None:
    if "vocab_size" in values and "data" in values:
        raise UserError("Both --data and --vocab-size were given; the dataset knows its vocabulary size, so drop one.")
    if "vocab_size" in values:
        return whole_number(values["vocab_size"], "--vocab-size", minimum=2)
    if "data" in values:
        from microformer.data.datasets import Dataset

        return Dataset.open(Path(values["data"])).info.vocab_size
    return None
