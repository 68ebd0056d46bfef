"""Pooling of a module's output to one vector per sample, compared with explicit means."""

from __future__ import annotations

import pytest
import torch

from emms.errors import ModelError
from emms.models.pooling import Layout, pool

PLAIN = Layout(channels_last=False, prefix_tokens=0, class_token=False)
VIT = Layout(channels_last=False, prefix_tokens=2, class_token=True)
SWIN = Layout(channels_last=True, prefix_tokens=0, class_token=False)


@pytest.mark.parametrize(
    ("shape", "layout", "how", "expected"),
    [
        ((2, 5), PLAIN, "auto", lambda x: x),
        ((2, 5, 3, 4), PLAIN, "auto", lambda x: x.mean((2, 3))),
        ((2, 3, 4, 5), SWIN, "auto", lambda x: x.mean((1, 2))),
        ((2, 7, 5), VIT, "auto", lambda x: x[:, 0]),
        ((2, 7, 5), VIT, "token", lambda x: x[:, 0]),
        ((2, 7, 5), VIT, "mean", lambda x: x[:, 2:].mean(1)),
        ((2, 7, 5), PLAIN, "mean", lambda x: x.mean(1)),
    ],
)
def test_each_layout_gives_one_vector_per_sample(shape, layout, how, expected):
    x = torch.rand(shape)
    assert torch.equal(pool(x, how, layout, layout.class_token, "here"), expected(x))


@pytest.mark.parametrize("layout", [PLAIN, SWIN])
def test_a_grid_has_the_mean_of_each_of_nine_parts(layout):
    x = torch.rand(2, 5, 6, 9)
    pooled = pool(x.movedim(1, -1) if layout.channels_last else x, "grid", layout, False, "here")
    assert pooled.shape == (2, 45)
    for row in range(3):
        for column in range(3):
            part = x[:, :, 2 * row : 2 * row + 2, 3 * column : 3 * column + 3].mean((2, 3))
            torch.testing.assert_close(pooled.view(2, 5, 3, 3)[:, :, row, column], part)


@pytest.mark.parametrize(
    ("output", "how", "complaint"),
    [
        ((torch.rand(2, 5),), "auto", "outputs a tuple, not one tensor"),
        (torch.rand(2, 5, 3, 4), "token", "no class token"),
        (torch.rand(2, 5, 3, 4, 6), "auto", "tensor of 5 dimensions"),
        (torch.rand(2, 7, 5), "grid", "outputs 7 x 5 numbers per sample, not a map"),
        (torch.rand(2, 5, 2, 4), "grid", "outputs 5 x 2 x 4 numbers per sample, not a map of at least 3 x 3"),
    ],
)
def test_unsupported_outputs_raise(output, how, complaint):
    with pytest.raises(ModelError, match=f"module 'x' .*{complaint}"):
        pool(output, how, PLAIN, False, "module 'x' of model 'y'")
