"""Packed weights: what they keep, and how far they may be off."""

import hypothesis
import hypothesis.strategies as st
import jax.numpy as jnp
import numpy as np
import pytest
import safetensors.numpy
from hypothesis.extra import numpy as arrays

from jen1composer.errors import BadInput
from jen1composer.generation.weight_formats import FORMATS, SCALES, pack, read_arrays, unpack

MATRICES = arrays.arrays(
    np.float32,
    arrays.array_shapes(min_dims=2, max_dims=3, max_side=5),
    elements=st.floats(-100, 100, width=32),
)


@hypothesis.given(MATRICES)
def test_int8_is_off_by_half_a_step_of_its_column_at_most(matrix):
    packed = pack({'kernel': matrix}, 'int8')
    assert packed['kernel'].dtype == np.int8
    scales = packed[SCALES + 'kernel']
    assert scales.shape == (*matrix.shape[:-2], 1, matrix.shape[-1])
    error = np.abs(unpack(packed)['kernel'] - matrix)
    assert (error <= scales * 0.5001).all()
    largest = np.abs(matrix) == np.abs(matrix).max(axis=-2, keepdims=True)
    np.testing.assert_allclose(unpack(packed)['kernel'][largest], matrix[largest], rtol=1e-6)


@hypothesis.given(MATRICES)
def test_bfloat16_is_off_by_a_256th_at_most(matrix):
    found = unpack(pack({'kernel': matrix}, 'bfloat16'))['kernel']
    assert found.dtype == np.float32
    tiny = np.finfo(np.float32).tiny
    assert (np.abs(found - matrix) <= np.abs(matrix) / 256 + tiny).all()


@pytest.mark.parametrize('form', FORMATS)
def test_what_is_packed_once_stays_and_the_whitening_and_float32_are_exact(form):
    rng = np.random.default_rng(0)
    given = {
        name: rng.standard_normal(shape).astype(np.float32)
        for name, shape in {'unet/kernel': (3, 4), 'bias': (4,), 'whitening/whiten': (4, 2)}.items()
    }
    once = unpack(pack(given, form))
    assert once.keys() == given.keys()
    for name, array in unpack(pack(once, form)).items():
        np.testing.assert_allclose(array, once[name], rtol=1e-6)
    exact = {'float32': given.keys(), 'bfloat16': set(), 'int8': {'bias'}}[form]
    for name in {*exact, 'whitening/whiten'}:
        np.testing.assert_array_equal(once[name], given[name])


def test_files_of_every_dtype_are_read_and_others_refused():
    given = {
        'a': np.arange(6, dtype=np.float32).reshape(2, 3),
        'b': np.arange(3).astype(jnp.bfloat16),
        'c': np.arange(-2, 2, dtype=np.int8),
        'd': np.float32(3) * np.ones(()),
    }
    data = safetensors.numpy.save({k: np.asarray(v, v.dtype) for k, v in given.items()})
    with pytest.raises(BadInput, match='here: cut short or not a safetensors'):
        read_arrays(data, 'here')  # float64
    given['d'] = np.float32(3) * np.ones((), np.float32)
    data = safetensors.numpy.save({k: np.asarray(v) for k, v in given.items()})
    for name, array in read_arrays(data, 'here').items():
        np.testing.assert_array_equal(array, given[name])
        assert array.dtype == given[name].dtype
    with pytest.raises(BadInput, match='here: cut short'):
        read_arrays(data[:-1], 'here')
