"""Tempo, key and chords in the UNet: told, they matter; unknown, nothing is there; and at first."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jen1composer.diffusion.batch import Batch, Control, unknown_control
from jen1composer.diffusion.corruption import shown_latents
from jen1composer.harmony import (
    NO_CHORD,
    NUM_CHORDS,
    NUM_KEYS,
    UNKNOWN_CHORD,
    UNKNOWN_KEY,
    chord_features,
    key_features,
)
from jen1composer.models.unet import UNet, UNetConfig
from jen1composer.training.state import parameter_name
from tests import tiny

FRAMES = 8
CONFIG = dataclasses.replace(tiny.UNET, control=True)
BATCH = tiny.make_batch()
ROWS = len(BATCH.latents)
TIMES = jnp.full(BATCH.task.roles.shape, 0.4)
KNOWN = Control(
    bpm=np.linspace(70, 180, ROWS).astype(np.float32),
    key=np.arange(ROWS, dtype=np.int32),
    chords=np.arange(ROWS * FRAMES, dtype=np.int32).reshape(ROWS, FRAMES) % UNKNOWN_CHORD,
)
NOTHING = unknown_control(ROWS, FRAMES)


def told(control: Control | None, batch: Batch = BATCH) -> Batch:
    return dataclasses.replace(batch, text=dataclasses.replace(batch.text, control=control))


@functools.partial(jax.jit, static_argnums=0)
def apply(config: UNetConfig, params, batch: Batch) -> jax.Array:
    shown = shown_latents(batch.latents, batch.task)
    return UNet(config).apply(
        {'params': params}, batch.latents, TIMES, shown, batch.task, batch.text
    )


@functools.cache
def params(config: UNetConfig = CONFIG):
    return tiny.drawn_params(config)


def run(control: Control | None) -> np.ndarray:
    return np.asarray(apply(CONFIG, params(), told(control)))


def names(params) -> dict[str, jax.Array]:
    return {parameter_name(path): leaf for path, leaf in jax.tree.leaves_with_path(params)}


@pytest.mark.parametrize(
    ('changes', 'rounding'), [({}, 0.0), ({'norm_groups': 4}, 1e-5), ({'dtype': 'bfloat16'}, 0.05)]
)
def test_a_network_that_learns_control_begins_as_the_one_without(changes, rounding):
    plain = dataclasses.replace(tiny.UNET, **changes)
    config = dataclasses.replace(plain, control=True)
    old, fresh = names(params(plain)), tiny.init_params(config)
    added = names(fresh).keys() - old.keys()
    assert {name.partition('/')[0] for name in added} == {'control', 'chords'}
    warm = jax.tree.map_with_path(lambda path, leaf: old.get(parameter_name(path), leaf), fresh)
    found = apply(config, warm, told(KNOWN))
    expected = apply(plain, params(plain), told(None))
    np.testing.assert_allclose(found, expected, rtol=0, atol=rounding)


def test_what_is_not_asked_of_a_network_changes_no_bit_of_it():
    weights = params(tiny.UNET)
    with_it, without = (apply(tiny.UNET, weights, told(c)) for c in (KNOWN, None))
    np.testing.assert_array_equal(with_it, without)


@pytest.mark.parametrize('name', ['bpm', 'key', 'chords'])
def test_each_matters_by_itself(name):
    one = dataclasses.replace(NOTHING, **{name: getattr(KNOWN, name)})
    change = np.abs(run(one) - run(NOTHING)).max(axis=(1, 2, 3))
    assert (change > 1e-3).all()


def test_none_told_is_all_unknown():
    np.testing.assert_array_equal(run(None), run(NOTHING))


def test_tempi_that_are_close_are_told_apart_and_those_far_off_stay_finite():
    def of(bpm):
        return run(dataclasses.replace(NOTHING, bpm=np.full(ROWS, bpm, np.float32)))

    assert np.abs(of(100) - of(102)).max() > 1e-2
    assert np.isfinite(of(1e-3)).all()
    assert np.isfinite(of(1e6)).all()


def test_in_a_causal_example_a_chord_reaches_its_own_frame_and_later_ones():
    causal = np.arange(ROWS) % 2 == 0
    task = dataclasses.replace(BATCH.task, causal=causal)
    batch = dataclasses.replace(BATCH, task=task)
    before = np.asarray(apply(CONFIG, params(), told(NOTHING, batch)))
    for n in range(FRAMES):
        chords = np.where(np.arange(FRAMES) >= n, KNOWN.chords, UNKNOWN_CHORD).astype(np.int32)
        chords[:, n] = 5
        after = apply(CONFIG, params(), told(dataclasses.replace(NOTHING, chords=chords), batch))
        changed = (before != np.asarray(after)).any(axis=(1, 3))  # [example, frame]
        assert not changed[causal, :n].any()
        assert changed[:, n].all()
        assert changed[~causal][:, max(n - 1, 0)].all()


def test_every_weight_of_control_learns():
    def loss(params):
        y = UNet(CONFIG).apply(
            {'params': params}, BATCH.latents, TIMES, BATCH.latents, BATCH.task, told(KNOWN).text
        )
        return jnp.sum(jnp.square(y - 1))

    for name, leaf in names(jax.jit(jax.grad(loss))(params())).items():
        if name.startswith(('control', 'chords')):
            assert (leaf != 0).any(), name


def test_features_name_each_once_and_say_which_notes():
    for features, count, unknown in (
        (key_features(), NUM_KEYS, UNKNOWN_KEY),
        (chord_features(), NUM_CHORDS, UNKNOWN_CHORD),
    ):
        assert features.shape == (count, 12 + count)
        assert len(np.unique(features, axis=0)) == count
        assert not features[unknown, :12].any()
    c_major, a_minor, d_minor = key_features()[[0, 21, 14], :12]
    np.testing.assert_array_equal(c_major, a_minor)  # relatives share all notes
    assert (c_major * d_minor).sum() == 6  # and neighbours all but one
    assert not chord_features()[NO_CHORD, :12].any()
    assert np.flatnonzero(chord_features()[21, :12]).tolist() == [0, 4, 9]  # Am
