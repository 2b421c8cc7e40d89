"""The discriminators: what each looks at, and that no more than that."""

import functools

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from configs import paper_autoencoder
from jen1composer.errors import BadInput
from jen1composer.models.autoencoder import rotate_stereo
from jen1composer.models.discriminator import (
    DiscriminatorConfig,
    Discriminators,
    compressed_spectrum,
    judge,
)
from jen1composer.training.state import parameter_count
from tests.jen1composer.tiny_adversary import MODEL, TINY, params
from tests.jen1composer.tiny_codec import sound

SAMPLES = 200


def test_each_view_gives_maps_that_end_in_one_score_for_each_place():
    maps = jax.eval_shape(functools.partial(judge, MODEL), params(), jnp.zeros((2, SAMPLES, 2)))
    shapes = {name: [x.shape for x in maps[name]] for name in maps}
    assert shapes == {
        'period_2': [(2, 34, 2, 4), (2, 34, 2, 6), (2, 34, 2, 1)],
        'period_5': [(2, 14, 5, 4), (2, 14, 5, 6), (2, 14, 5, 1)],
        'spectrum_64': [(2, 8, 33, 4), (2, 8, 17, 4), (2, 8, 17, 4), (2, 8, 17, 1)],
    }


@pytest.mark.parametrize('period', TINY.periods)
def test_a_column_is_every_so_manieth_sample(period):
    column = 1

    def seen(x):
        return judge(MODEL, params(), x)[f'period_{period}'][-1][:, :, column].sum()

    slope = np.abs(jax.jit(jax.grad(seen))(jnp.asarray(sound(1, SAMPLES, 2)))).sum((0, 2))
    here = np.arange(SAMPLES) % period == column
    assert (slope[here] > 0).all()
    assert (slope[~here] == 0).all()


def test_left_and_right_and_mid_and_side_are_one_rotation_apart():
    """Rotating the sound is undone by rotating the first layer's weights."""
    x = jnp.asarray(sound(2, SAMPLES, 2))
    rotated = jax.tree.map(lambda leaf: leaf, params())
    for name in rotated:
        kernel = rotated[name]['Conv2D_0']['kernel']  # [.., .., part x channel, feature]
        pairs = kernel.reshape(*kernel.shape[:2], -1, 2, kernel.shape[-1])
        pairs = jnp.moveaxis(rotate_stereo(jnp.moveaxis(pairs, 3, -1)), -1, 3)
        rotated[name]['Conv2D_0']['kernel'] = pairs.reshape(kernel.shape)
    judged = jax.jit(functools.partial(judge, MODEL))
    found, expected = judged(rotated, rotate_stereo(x)), judged(params(), x)
    jax.tree.map(functools.partial(np.testing.assert_allclose, atol=1e-5), found, expected)


def test_compression_brings_levels_closer_and_keeps_phase_and_panning():
    x = jnp.asarray(sound(1, 640, 2))
    plain = compressed_spectrum(x, 64, 1.0, 1e-3)
    once, louder = (compressed_spectrum(a * x, 64, 0.5, 1e-9) for a in (1, 16))
    np.testing.assert_allclose(louder, 4 * once, rtol=1e-3)
    loudness = np.sqrt(np.square(plain).sum(-1, keepdims=True))  # of both channels together
    np.testing.assert_allclose(once, plain / np.sqrt(loudness), rtol=1e-3)


def test_silence_has_a_finite_gradient():
    slope = jax.grad(lambda x: sum(maps[-1].sum() for maps in judge(MODEL, params(), x).values()))
    assert np.isfinite(slope(jnp.zeros((1, SAMPLES, 2)))).all()


def test_every_weight_names_its_axes():
    boxed = jax.eval_shape(MODEL.init, jax.random.key(0), jnp.zeros((1, SAMPLES, 2)))
    leaves = jax.tree.leaves(boxed, is_leaf=lambda leaf: hasattr(leaf, 'names'))
    assert len(leaves) == 2 * (3 + 3 + 4)
    for leaf in leaves:
        assert len(leaf.names) == leaf.value.ndim


def test_one_view_alone_will_do():
    model = Discriminators(DiscriminatorConfig(periods=(), sizes=(64,)))
    boxed = jax.eval_shape(model.init, jax.random.key(0), jnp.zeros((1, SAMPLES, 2)))
    assert nn.unbox(boxed)['params'].keys() == {'spectrum_64'}


def test_those_of_the_paper_config_have_the_sizes_it_states():
    sizes = paper_autoencoder.get_config().adversary.model.to_dict()
    model = Discriminators(DiscriminatorConfig(**sizes))
    boxed = jax.eval_shape(model.init, jax.random.key(0), jnp.zeros((1, SAMPLES, 2)))
    counts = {name: parameter_count(tree) for name, tree in nn.unbox(boxed)['params'].items()}
    assert len(counts) == 8
    for name, count in counts.items():
        assert f'{count:,}' in paper_autoencoder.__doc__
        assert count == (8_218_593 if name.startswith('period') else 96_065)


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        ({'periods': (1, 2)}, r'model.periods: \(1, 2\); allowed are whole numbers of 2'),
        ({'periods': (2, 2)}, 'allowed are distinct'),
        ({'periods': (), 'sizes': ()}, 'allowed are not both empty'),
        ({'period_channels': ()}, 'model.period_channels: .*; allowed are one or more'),
        ({'sizes': (33,)}, 'model.sizes: .*; allowed are even numbers of 16 or more'),
        ({'spectrum_channels': 0}, 'model.spectrum_channels: 0; allowed is 1 or more'),
        ({'dilations': (0,)}, 'model.dilations: .*; allowed are whole numbers of 1'),
        ({'compression': 0.0}, 'model.compression: 0.0; allowed is more than 0, up to 1'),
        ({'floor': 0.0}, 'model.floor: 0.0; allowed is more than 0'),
    ],
)
def test_sizes_that_cannot_be_are_refused_by_name(change, message):
    with pytest.raises(BadInput, match=message):
        DiscriminatorConfig(**change)
