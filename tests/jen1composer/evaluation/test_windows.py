"""Windows: every sample is in one, none is made up, whatever the length."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jen1composer.errors import BadInput
from jen1composer.evaluation.windows import cut, mono


@given(size=st.integers(1, 40), extra=st.integers(0, 200))
def test_every_sample_is_heard_in_order_and_nothing_else_is(size, extra):
    sound = np.arange(size + extra)
    windows = cut(sound, size)
    assert windows.shape == (-(-len(sound) // size), size)
    np.testing.assert_array_equal(np.unique(windows), sound)
    np.testing.assert_array_equal(np.diff(windows, axis=1), 1)
    whole = len(sound) // size  # windows that do not overlap
    np.testing.assert_array_equal(windows[:whole].ravel(), sound[: whole * size])


@given(size=st.integers(1, 30), first=st.integers(1, 4), more=st.integers(0, 70))
def test_whole_windows_are_cut_as_if_alone(size, first, more):
    sound = np.random.default_rng(more).standard_normal(size * first + more)
    np.testing.assert_array_equal(cut(sound, size)[:first], cut(sound[: size * first], size))


def test_mono_is_the_mean_of_left_and_right():
    audio = np.random.default_rng(0).standard_normal((50, 2))
    assert mono(audio).dtype == np.float32
    np.testing.assert_allclose(mono(audio), (audio[:, 0] + audio[:, 1]) / 2, atol=1e-6)


@pytest.mark.parametrize('shape', [(0, 2), (5,), (5, 1), (2, 5, 2)])
def test_sound_of_another_shape_is_refused(shape):
    with pytest.raises(BadInput, match=r'audio: shape: .* allowed is \[sample, 2\]'):
        mono(np.zeros(shape))


@pytest.mark.parametrize('value', [np.nan, np.inf])
def test_samples_that_are_not_finite_are_refused(value):
    audio = np.zeros((9, 2), np.float32)
    audio[3, 1] = value
    with pytest.raises(BadInput, match='samples that are not finite: 1; allowed are none'):
        mono(audio)
