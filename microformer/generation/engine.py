"""The engine: one thread that owns a model and serves all visitors, both those who sample and those who teach.

Streams are decoded together, a token of each in one forward pass. Jobs (teaching) are generators that are advanced a
step at a time between tokens. While there are both, they get equal shares of the time; owners take turns.
"""

import atexit
import logging
import secrets
import threading
import time
from collections import Counter
from collections.abc import Callable, Generator
from types import TracebackType
from typing import Any, TypeVar

from microformer.adapters.session import SessionMemory
from microformer.data.tokenizers import StreamDecoder, Tokenizer
from microformer.errors import UserError
from microformer.generation.batch import NO_TEXTS, Batch, Row
from microformer.generation.jobs import FairQueue, Job
from microformer.generation.prompt import prompt_ids, prompt_note
from microformer.generation.request import Request, labels
from microformer.generation.sampling import Sampling
from microformer.generation.stops import ended_by
from microformer.generation.stream import Stream
from microformer.model.transformer import Transformer

T = TypeVar("T")
READ_AT_ONCE = 2048
"""Most prompt tokens of newcomers that are read before the streams under way get their next token."""
CLOSED = "The model was put away before this was finished; try again."
log = logging.getLogger(__name__)


class Engine:
    """Serves one model to many threads. Close it, or use it in a ``with`` statement.

    ``max_rows`` texts are written at once (an owner who has none yet is always let in); more wait their turn.
    ``max_streams`` and ``max_jobs`` limit what one owner may have waiting and under way.
    """

    def __init__(
        self,
        model: Transformer,
        tokenizer: Tokenizer,
        *,
        max_rows: int = 32,
        max_streams: int = 1024,
        max_jobs: int = 3,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self.model = model
        self.tokenizer = tokenizer
        self.max_rows, self.max_streams, self.max_jobs = max_rows, max_streams, max_jobs
        self._clock = clock
        self._label = labels(tokenizer)
        self._batch: Batch | None = None
        if model.config.continues_text:  # any other can be given jobs only
            self._batch = Batch(model, tokenizer.end_id)
        self._requests: list[Request] = []  # one for each row of the batch, in the same order
        self._waiting: FairQueue[Request] = FairQueue()
        self._jobs: FairQueue[Job[Any]] = FairQueue()
        self._job: tuple[str, Job[Any]] | None = None  # the job that is making its step
        self._owed = 0.0  # seconds that streams are owed because a job had them
        self._closed = False
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._serve, name="microformer-engine", daemon=True)
        self._thread.start()
        atexit.register(self.close)

    def sample(
        self, prompt: str, sampling: Sampling, session: SessionMemory | None = None, *, owner: str = ""
    ) -> Stream:
        """Start writing one text after ``prompt`` and return at once.

        Raises ``UserError`` when the owner already has too much waiting, or the engine is closed.
        """
        seed = secrets.randbelow(2**31) if sampling.seed is None else sampling.seed
        return self._start(prompt, sampling, seed, session, owner)

    def samples(
        self, prompt: str, sampling: Sampling, session: SessionMemory | None = None, *, owner: str = ""
    ) -> list[Stream]:
        """Start ``sampling.num_samples`` texts; number ``i`` is what the seed ``seed + i`` gives alone."""
        seed = secrets.randbelow(2**31) if sampling.seed is None else sampling.seed
        return [self._start(prompt, sampling, seed + i, session, owner) for i in range(sampling.num_samples)]

    def run(self, job: Generator[Any, None, T], *, owner: str = "") -> Job[T]:
        """Have a generator advanced step by step on the engine's thread, and return at once.

        An owner's jobs are done one after another. A job may use the model, but must not wait for a stream or another
        job of this engine, which could not go on meanwhile. Raises ``UserError`` as ``sample`` does.
        """
        ours = Job(job)
        with self._changed:
            self._refuse_when_closed()
            under_way = [] if self._job is None or self._job[0] != owner else [self._job[1]]
            if sum(not one.done for one in self._jobs.line(owner) + under_way) >= self.max_jobs:
                raise UserError(f"You already have {self.max_jobs} lessons waiting; wait until one is done.")
            self._jobs.put(owner, ours)
            self._changed.notify()
        return ours

    @property
    def busy(self) -> bool:
        """Whether anything is waiting or under way."""
        return bool(self._requests or len(self._waiting) or len(self._jobs) or self._job)

    def close(self, timeout: float = 10.0) -> None:
        """End everything that is waiting or under way with a sentence, and the thread. Closing twice does nothing."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        if threading.current_thread() is not self._thread:
            self._thread.join(timeout)
        atexit.unregister(self.close)

    def __enter__(self) -> "Engine":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _start(self, prompt: str, sampling: Sampling, seed: int, session: SessionMemory | None, owner: str) -> Stream:
        if self._batch is None:
            raise UserError(NO_TEXTS)
        ids = prompt_ids(self.tokenizer, prompt)
        stream = Stream(prompt, seed, prompt_note(len(ids), self.model.config.max_seq_len))
        row = Row(ids, sampling, seed, session, ended_by(self.tokenizer, sampling.stops))
        decoder = StreamDecoder(self.tokenizer)
        request = Request(owner, stream, row, decoder, self._label, self.tokenizer.end_id)
        with self._changed:
            self._refuse_when_closed()
            theirs = [*self._waiting.line(owner), *(one for one in self._requests if one.owner == owner)]
            if sum(not one.stream.done for one in theirs) >= self.max_streams:
                raise UserError(f"You already have {self.max_streams} texts being written; wait until one is done.")
            self._waiting.put(owner, request)
            self._changed.notify()
        return stream

    def _refuse_when_closed(self) -> None:
        if self._closed:
            raise UserError("This model was put away; open it again.")

    # What follows runs on the engine's thread only.

    def _serve(self) -> None:
        while self._work_to_do():
            self._admit()
            self._write_tokens()
            self._advance_a_job()
        with self._changed:
            requests = [*self._requests, *self._waiting]
            jobs = list(self._jobs)
        for request in requests:
            request.stream.end("stopped", error=CLOSED)
        for job in jobs:
            job.fail(UserError(CLOSED))
            job.advance()  # closes the generator

    def _work_to_do(self) -> bool:
        """Wait until there is something to do; ``False`` when the engine was closed."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed or self.busy)
            return not self._closed

    def _admit(self) -> None:
        """Let waiting requests into the batch: while there is room, and one for each owner in any case."""
        joining: list[Request] = []
        longest = 0  # shorter prompts are padded to it
        while longest * len(joining) < READ_AT_ONCE:
            with self._changed:
                rows = Counter(one.owner for one in [*self._requests, *joining])
                room = rows.total() < self.max_rows
                taken = self._waiting.take(lambda owner, rows=rows, room=room: room or not rows[owner])  # type: ignore[misc]
            if taken is None:
                break
            if taken[1].stream.begin():
                joining.append(taken[1])
                longest = max(longest, min(len(taken[1].row.ids), self.model.config.max_seq_len))
        self._join(joining)

    def _join(self, joining: list[Request]) -> None:
        """Into the batch together or, when one of them cannot be read, each for itself."""
        if self._batch is None:  # then nothing has been let in
            return
        try:
            self._batch.join([one.row for one in joining])
            self._requests += joining
        except Exception as error:  # the thread must outlive whatever a request brings with it
            if len(joining) == 1:
                self._fail(joining, error)
            else:
                for one in joining:
                    self._join([one])

    def _write_tokens(self) -> None:
        """One token for every stream; those that end leave the batch."""
        if self._batch is None or not self._requests:
            self._owed = 0.0
            return
        began = self._clock()
        try:
            for request, choice in zip(self._requests, self._batch.step(), strict=True):
                request.pass_on(choice)
            ended = [one for one in self._requests if one.stream.done]
            self._batch.leave([one.row for one in ended])
            self._requests = [one for one in self._requests if not one.stream.done]
        except Exception as error:
            self._fail(self._requests, error)
            self._requests = []
            self._batch = Batch(self.model, self.tokenizer.end_id)
        self._owed -= self._clock() - began

    def _advance_a_job(self) -> None:
        """One step of the next owner's first job, unless streams have had less of the time than jobs."""
        if self._owed > 0:
            return
        with self._changed:
            self._job = self._jobs.take()
        if self._job is None:
            return
        owner, job = self._job
        began = self._clock()
        more = job.advance()
        self._owed = self._clock() - began
        with self._changed:
            self._job = None
            if more:
                self._jobs.put_back(owner, job)

    def _fail(self, requests: list[Request], error: Exception) -> None:
        """End streams with a sentence; what no user can have caused is logged as well."""
        if not isinstance(error, UserError):
            log.exception("The engine could not go on with %d streams", len(requests))
        for request in requests:
            request.fail(error)
