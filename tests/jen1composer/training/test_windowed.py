"""Windows: together they are the whole, on any number of devices, with nothing at the seams."""

import functools
import itertools

import jax
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jen1composer.models.autoencoder import Autoencoder, decode
from jen1composer.training.windowed import in_windows, windows
from tests.jen1composer.tiny_codec import TINY, codec, sound


@given(st.integers(0, 10), st.integers(1, 30), st.integers(1, 200))
def test_every_frame_is_given_once_by_a_window_that_knows_it(reach, more, beyond):
    length = 2 * reach + more
    num_frames = length + beyond
    found = windows(num_frames, length, reach)
    frames = [frame for window in found for frame in range(window.begin, window.end)]
    assert frames == list(range(num_frames))
    for window in found:
        assert 0 <= window.start <= num_frames - length
        assert window.begin >= window.start + reach or window.begin == 0
        assert window.end <= window.start + length - reach or window.end == num_frames


@pytest.mark.parametrize('num_frames', [5, 24, 25, 100, 300])
@pytest.mark.parametrize('num_devices', [1, 2, 8])
def test_the_parts_are_the_whole(num_frames, num_devices):
    """A network that reaches 3 frames far: a sum over 7, outside of which there is nothing."""
    shapes = []

    def network(x, starts):
        shapes.append(x.shape)
        padded = np.pad(x, ((0, 0), (3, 3), (0, 0)))
        return sum(padded[:, k : k + x.shape[1]] * (k + 1) for k in range(7))

    x = np.random.default_rng(0).integers(0, 99, (3, num_frames, 2))
    whole = network(x, np.zeros(3, np.int32))
    shapes.clear()
    found = in_windows(network, x, length=24, reach=3, num_devices=num_devices)
    np.testing.assert_array_equal(found, whole)
    assert len(set(shapes)) == 1
    assert shapes[0][0] % num_devices == 0
    if num_frames > 24:
        assert shapes[0] == (3 * num_devices, 24, 2)
        assert len(shapes) == -(-len(windows(num_frames, 24, 3)) // num_devices)


def seams(num_frames: int, reach: int) -> np.ndarray:
    """The first frames of all windows but the first, from a network that numbers its calls."""
    calls = itertools.count()

    def network(x, starts):
        return np.full(x.shape, next(calls))

    number = in_windows(network, np.zeros((1, num_frames, 1)), length=LENGTH, reach=reach)
    return np.flatnonzero(np.diff(number[0, :, 0])) + 1


LENGTH = max(24, 4 * TINY.decoder_reach)


@pytest.mark.parametrize('cut_short', [0, 1])
def test_there_is_nothing_to_hear_at_the_seams(cut_short):
    """Beside a seam the error is what it is elsewhere, rounding; with one frame less it is not."""
    frames, model, params = 300, Autoencoder(TINY), codec().params
    z = sound(1, frames, TINY.latent_channels)
    network = jax.jit(functools.partial(decode, model, params))
    truth = np.asarray(network(z)).reshape(frames, -1)
    reach = TINY.decoder_reach - cut_short
    found = in_windows(
        lambda z, _: network(z).reshape(1, z.shape[1], -1), z, length=LENGTH, reach=reach
    )[0]
    beside = np.zeros(frames, bool)
    for seam in seams(frames, reach):
        beside[seam - 1 : seam + 1] = True
    error = np.abs(found - truth).max(axis=1) / np.abs(truth).max()
    assert 20 < beside.sum() < frames / 2
    assert error[~beside].max() < 1e-5
    if cut_short:
        assert error[beside].max() > 1e-4
    else:
        assert error[beside].max() < 1e-5
