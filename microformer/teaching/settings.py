"""How a lesson is held: the few numbers that teaching depends on, with what they were measured to be good at."""

from dataclasses import dataclass

from microformer.settings import check, setting


@dataclass(frozen=True)
class TeachSettings:
    """Raises ``UserError`` for a value out of its range. The defaults are those of the benchmark's table."""

    learning_rate: float = setting(0.05, "Size of the steps that fill a blank memory.", above=0, maximum=1)
    later_rate: float = setting(0.02, "Size of the steps that add to a memory that holds much.", above=0, maximum=1)
    max_steps: int = setting(300, "Give up an attempt after this many steps.", minimum=1, maximum=100_000)
    settling: int = setting(
        0, "Steps after all is learnt that only lessen what else has changed.", minimum=0, maximum=100_000
    )
    rehearsal: int = setting(
        32,
        "Facts taught before that are repeated in each step (a quarter of many), half of them the weakest.",
        minimum=0,
        maximum=4096,
    )
    drift_weight: float = setting(
        1000.0, "How strongly the rest of what the model says is held in place.", minimum=0, maximum=1e6
    )
    anchor_places: int = setting(
        512, "Places of the model's own text that are held in each step.", minimum=1, maximum=65536
    )
    margin: float = setting(
        0.5, "How far the right token must lead the next best, in logits, everywhere.", minimum=0, maximum=20
    )
    group: int = setting(32, "Facts of a list that are learnt together.", minimum=1, maximum=1024)
    seed: int = setting(0, "Starting point of the choice of what is rehearsed.", minimum=0, maximum=2**31 - 1)

    def __post_init__(self) -> None:
        check(self)
