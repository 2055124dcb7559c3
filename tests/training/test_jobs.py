"""The queue is worked off by hand here: ``tick`` is what its thread does."""

import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from microformer.training.config import RunConfig
from microformer.training.jobs import Supervisor
from microformer.training.run_directory import LOG, Run
from microformer.training.speed import SpeedMemory

Make = Callable[..., RunConfig]


@pytest.fixture
def supervisor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Supervisor]:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setenv("HF_TOKEN", "a secret")
    made = Supervisor(tmp_path)
    yield made
    for run in made.runs.glob("[!.]*"):
        made.stop(run)
    wait_until(lambda: made.tick() is None and made.working() is None and made._child is None)
    made.close()


def wait_until(holds: Callable[[], bool], seconds: float = 400) -> None:
    pause = threading.Event()
    for _ in range(int(seconds / 0.02)):
        if holds():
            return
        pause.wait(0.02)
    raise AssertionError("it did not come to pass in time")


def test_runs_wait_in_the_order_they_came(supervisor: Supervisor, dataset: Path, make_run_config: Make) -> None:
    first, second, third = (supervisor.runs / name for name in "bca")
    for path in (first, second, third):
        supervisor.add(path, make_run_config(), dataset)
    assert [supervisor.place(path) for path in (first, second, third)] == [1, 2, 3]
    supervisor.stop(second)
    assert Run(second).status().state == "stopped"
    assert [supervisor.place(path) for path in (first, second, third)] == [1, None, 2]
    supervisor.resume(second)
    assert [supervisor.place(path) for path in (first, second, third)] == [1, 3, 2]
    for path in (first, second, third):
        supervisor.stop(path)
    assert supervisor.waiting() == []


def test_a_run_that_has_had_its_time_is_asked_to_stop(tmp_path: Path, dataset: Path, make_run_config: Make) -> None:
    supervisor = Supervisor(tmp_path, most_seconds=60)
    run = Run(supervisor.runs / "long")
    run.set_up(make_run_config(), dataset)
    run.write_status("running", 1)
    with run.lock():  # as its trainer does
        for seconds, stopped in ((59.9, False), (60.0, True)):
            run.append_metrics({"step": 1, "seconds": seconds})
            supervisor.tick()
            assert run.stop_requested() is stopped
    supervisor.close()


def test_a_run_under_way_tells_how_long_the_next_will_take(
    tmp_path: Path, dataset: Path, make_run_config: Make
) -> None:
    supervisor = Supervisor(tmp_path)
    run = Run(supervisor.runs / "one")
    run.set_up(make_run_config(), dataset)
    supervisor.learn_speed(run)  # nothing is known of it yet
    run.append_metrics({"step": 20, "seconds": 60.0})
    supervisor.learn_speed(run)
    assert SpeedMemory(tmp_path).seconds_per_step(run.config()) == pytest.approx(3.0)


@pytest.mark.slow
def test_one_run_at_a_time_and_the_next_when_it_is_done(
    supervisor: Supervisor, dataset: Path, make_run_config: Make
) -> None:
    first, second = supervisor.runs / "first", supervisor.runs / "second"
    supervisor.add(first, make_run_config(max_steps=3), dataset)
    supervisor.add(second, make_run_config(max_steps=3), dataset)
    begun = supervisor.tick()
    assert begun is not None and begun.path == first
    assert supervisor.place(first) is None and supervisor.place(second) == 1
    assert supervisor.tick() is None
    wait_until(lambda: Run(first).status().state == "finished" and not Run(first).alive())
    wait_until(lambda: (begun := supervisor.tick()) is not None and begun.path == second)
    wait_until(lambda: Run(second).status().state == "finished")
    assert Run(first).metrics()[0][-1]["step"] == 3


@pytest.mark.slow
def test_a_run_resumed_the_moment_it_ended_is_not_taken_for_one_that_could_not_begin(
    supervisor: Supervisor, dataset: Path, make_run_config: Make
) -> None:
    path = supervisor.runs / "quick"
    supervisor.add(path, make_run_config(max_steps=3), dataset)
    assert supervisor.tick() is not None
    child = supervisor._child
    assert child is not None
    wait_until(lambda: child.process.poll() is not None)
    supervisor.resume(path)  # before the supervisor has looked
    assert supervisor.tick() is not None, "it begins again"
    wait_until(lambda: Run(path).status().state == "finished")


@pytest.mark.slow
def test_a_run_outlives_the_supervisor_and_another_one_can_stop_and_resume_it(
    supervisor: Supervisor, dataset: Path, make_run_config: Make
) -> None:
    path = supervisor.runs / "long"
    supervisor.add(path, make_run_config(max_steps=1_000_000, eval_every=1_000_000), dataset)
    supervisor.tick()
    wait_until(lambda: Run(path).status().step > 0 or bool(Run(path).metrics()[0]))
    supervisor.close()

    after_restart = Supervisor(supervisor.runs.parent)
    working = after_restart.working()
    assert working is not None and working.path == path
    assert after_restart.tick() is None
    after_restart.stop(path)
    wait_until(lambda: Run(path).status().state == "stopped" and not Run(path).alive())
    stopped_at = Run(path).status().step
    assert stopped_at > 0
    after_restart.resume(path)
    assert after_restart.place(path) == 1
    after_restart.tick()
    wait_until(lambda: Run(path).metrics()[0][-1]["step"] > stopped_at)
    after_restart.stop(path)
    wait_until(lambda: after_restart.tick() is None and not Run(path).alive() and after_restart._child is None)
    after_restart.close()


@pytest.mark.slow
def test_a_trainer_that_cannot_begin_is_told_of_as_failed(
    supervisor: Supervisor, dataset: Path, make_run_config: Make
) -> None:
    path = supervisor.runs / "broken"
    supervisor.add(path, make_run_config(), dataset)
    (path / "data.json").write_text("{}")
    supervisor.tick()
    wait_until(lambda: supervisor.tick() is None and Run(path).status().state == "failed")
    assert "The dataset of the run broken is not here" in Run(path).status().message
    assert (path / LOG).is_file()


def test_a_second_supervisor_leaves_the_queue_alone(
    supervisor: Supervisor, dataset: Path, make_run_config: Make
) -> None:
    assert supervisor.tick() is None
    second = Supervisor(supervisor.runs.parent)
    path = supervisor.runs / "one"
    second.add(path, make_run_config(), dataset)
    assert second.tick() is None and Run(path).status().state == "queued"
    second.stop(path)
    second.close()


def test_trainers_see_no_secrets(supervisor: Supervisor) -> None:
    from microformer.training.jobs import KEPT_VARIABLES

    assert os.environ["HF_TOKEN"] and not any("TOKEN" in name or "KEY" in name for name in KEPT_VARIABLES)


def test_a_vanished_trainer_is_seen_as_stopped(tmp_path: Path, dataset: Path, make_run_config: Make) -> None:
    run = Run(tmp_path / "run")
    run.set_up(make_run_config(), dataset)
    with run.lock():
        run.write_status("running", 7)
        assert run.status().state == "running"
    assert run.status().state == "stopped" and run.status().step == 7
    assert run.written_status().state == "running"
