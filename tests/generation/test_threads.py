"""How many threads a forward pass is given."""

import torch

from microformer.generation.threads import WORTH_SHARING, threads_for


def test_small_work_is_done_by_one_thread_and_the_rest_as_usual() -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        with threads_for(1000, 1):
            assert torch.get_num_threads() == 1
        assert torch.get_num_threads() == 2
        with threads_for(int(WORTH_SHARING), 1):
            assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
