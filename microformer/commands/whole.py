"""Texts that ``sample`` shows when they are finished: from the list of facts, by beam search, or with a draft model."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from microformer.commands.options import Parser, convert_number, whole_number
from microformer.errors import UserError
from microformer.settings import Setting

if TYPE_CHECKING:
    from microformer.adapters.session import SessionMemory
    from microformer.checkpoint import Loaded
    from microformer.generation.sampling import Sampling
    from microformer.generation.stream import Stream

LENGTH_PENALTY = Setting("--length-penalty", float, False, 1.0, "", minimum=0, maximum=10)


MOST_BEAMS = 256


@dataclass(frozen=True)
class Whole:
    """A finished text; it looks like a ``Stream`` that is done."""

    text: str
    stop_reason: str = "endoftext"
    note: str | None = None

    def result(self) -> str:
        return self.text


Write = Callable[[str, "Sampling", "SessionMemory | None"], "Sequence[Stream | Whole]"]
"""Writes the texts that follow a prompt, as a sampling asks for, with a memory beside the model."""


def add_whole_options(parser: Parser) -> None:
    """Beam search and speculative decoding."""
    parser.option("--beams", metavar="N", help="Look for the likeliest text among this many at a time (beam search).")
    parser.option("--length-penalty", metavar="X", help="0 lets beam search prefer short texts; the default is 1.")
    parser.option("--draft", metavar="RUN", help="A smaller model that drafts; this one checks, so texts are no worse.")
    parser.option("--ahead", metavar="N", help="How many tokens are drafted at a time (default: 4).")


def length_penalty(values: dict[str, Any]) -> float:
    """What ``--length-penalty`` says, or its default. Raises ``UserError``."""
    return convert_number(LENGTH_PENALTY, values.get("length_penalty", LENGTH_PENALTY.default))


def writer_of(values: dict[str, Any], loaded: "Loaded", sampling: "Sampling") -> Write | None:
    """What writes whole texts as the options ask for, or ``None`` when they ask for no such thing."""
    beams = whole_number(values["beams"], "--beams", minimum=1, maximum=MOST_BEAMS) if "beams" in values else None
    if beams is not None and "draft" in values:
        raise UserError("--beams and --draft were both given; choose one of them.")
    for option, needed in (("length_penalty", "beams"), ("ahead", "draft")):
        if option in values and needed not in values:
            raise UserError(f"--{option.replace('_', '-')} says something about --{needed}; give that as well.")
    if sampling.stop and (beams is not None or "draft" in values):
        raise UserError("--stop works without --beams and --draft only; leave one of them out.")
    if beams is not None:
        return _beam_writer(values, loaded, sampling, beams)
    return _draft_writer(values, loaded) if "draft" in values else None


def _beam_writer(values: dict[str, Any], loaded: "Loaded", sampling: "Sampling", beams: int) -> Write:
    from microformer.generation.beam import beam_search
    from microformer.generation.prompt import prompt_ids

    penalty = length_penalty(values)
    if sampling.num_samples > beams:
        raise UserError(f"{sampling.num_samples} samples were asked for, but only {beams} beams; give more beams.")

    def write(reads: str, sampling: "Sampling", memory: "SessionMemory | None") -> list[Whole]:
        found = beam_search(
            loaded.model,
            prompt_ids(loaded.tokenizer, reads),
            beams=beams,
            max_tokens=sampling.max_tokens,
            end_id=loaded.tokenizer.end_id,
            length_penalty=penalty,
            session=memory,
        )
        return [
            Whole(loaded.tokenizer.decode(list(beam.ids)), "endoftext" if beam.ended else "length")
            for beam in found[: sampling.num_samples]
        ]

    return write


def _draft_writer(values: dict[str, Any], loaded: "Loaded") -> Write:
    from dataclasses import replace

    from microformer.checkpoint import load
    from microformer.generation.prompt import prompt_ids
    from microformer.generation.speculative import speculate

    draft, end_id = load(values["draft"]), loaded.tokenizer.end_id
    ahead = whole_number(values.get("ahead", "4"), "--ahead", minimum=1)
    if draft.tokenizer.hash != loaded.tokenizer.hash:
        raise UserError(f"{values['draft']} has another tokenizer than {values['run']}; a draft needs the same one.")

    def write(reads: str, sampling: "Sampling", memory: "SessionMemory | None") -> list[Whole]:
        texts = []
        for number in range(sampling.num_samples):
            once = replace(sampling, seed=(sampling.seed or 0) + number)
            begun = prompt_ids(loaded.tokenizer, reads)
            ids = list(speculate(loaded.model, draft.model, begun, once, end_id=end_id, ahead=ahead, session=memory))
            ended = ids[-1] == end_id
            texts.append(Whole(loaded.tokenizer.decode(ids[:-1] if ended else ids), "endoftext" if ended else "length"))
        return texts

    return write
