"""A cache from which something was removed reads on as if it had never been there."""

import torch

from microformer.model.transformer import Transformer
from tests.conftest import make_config


@torch.inference_mode()
def test_a_truncated_cache_goes_on_as_if_the_rest_had_not_been_read() -> None:
    torch.manual_seed(0)
    model = Transformer(make_config()).eval()
    tokens = torch.randint(0, 64, (1, 12), generator=torch.Generator().manual_seed(1))
    cache = model.new_cache()
    model(tokens, cache=cache)
    cache.truncate(6)
    again = model(tokens[:, 6:8], cache=cache)
    torch.testing.assert_close(again, model(tokens)[:, 6:8], atol=1e-5, rtol=1e-5)
