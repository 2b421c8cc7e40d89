"""The T5 encoder against transformers' (a recording of it), and what padding may not do."""

import dataclasses
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax.linen import unbox

from jen1composer.errors import BadInput
from jen1composer.models.t5 import (
    T5Config,
    T5Encoder,
    config_from_hugging_face,
    relative_buckets,
    weight_names,
)
from jen1composer.training.state import parameter_count
from jen1composer.training.t5_folder import read_t5
from tests.jen1composer import t5_recording
from tests.peers import live

TINY = T5Config(
    vocab_size=50,
    d_model=16,
    d_kv=4,
    d_ff=24,
    num_heads=3,
    num_layers=2,
    feed_forward_proj='gated-gelu',
)
TOKENS = np.array([[5, 7, 9, 1, 0, 0], [2, 3, 4, 5, 6, 1]], np.int32)
MASK = TOKENS > 0


@pytest.fixture(scope='module')
def params():
    return unbox(jax.jit(T5Encoder(TINY).init)(jax.random.key(0), TOKENS, MASK)['params'])


@jax.jit
def states(params, tokens, mask):
    return T5Encoder(TINY).apply({'params': params}, tokens, mask)


@pytest.fixture(scope='module')
def recorded_now(tmp_path_factory):
    out = tmp_path_factory.mktemp('peer') / 't5.npz'
    return t5_recording.read(live.record('record_t5.py', out))


def check_against_peer(recording, variant, folder):
    found = read_t5(t5_recording.write_folder(folder, variant, recording))
    peer = t5_recording.part(recording, variant)
    model = T5Encoder(found.config)
    with jax.default_matmul_precision('highest'):
        ours = jax.jit(model.apply)({'params': found.params}, peer['tokens'], peer['mask'])
    mask = peer['mask']
    assert not mask.all()
    assert mask.shape[1] > found.config.relative_attention_max_distance
    np.testing.assert_allclose(ours[mask], peer['states'][mask], atol=1e-5)
    np.testing.assert_array_equal(ours[~mask], 0)


@pytest.mark.parametrize('variant', t5_recording.VARIANTS)
def test_states_are_those_of_transformers(variant, tmp_path):
    check_against_peer(t5_recording.read(), variant, tmp_path)


@pytest.mark.peer
@pytest.mark.parametrize('variant', t5_recording.VARIANTS)
def test_states_are_those_of_transformers_now(variant, tmp_path, recorded_now):
    check_against_peer(recorded_now, variant, tmp_path)


@pytest.mark.parametrize('variant', t5_recording.VARIANTS)
def test_buckets_are_those_of_transformers(variant):
    peer = t5_recording.part(t5_recording.read(), variant)
    config = config_from_hugging_face(json.loads(peer['file/config.json'].tobytes()))
    table = relative_buckets(301, config)  # [query, key]
    by_distance = np.concatenate([table[300, :300], table[0]])  # -300 .. -1, 0 .. 300
    np.testing.assert_array_equal(by_distance, peer['buckets'])
    assert len(np.unique(table)) > config.relative_attention_num_buckets - 3


def test_published_sizes_have_the_parameters_that_transformers_counts():
    sizes = t5_recording.part(t5_recording.read(), 'size')
    names = {key.split('/')[0] for key in sizes}
    assert names == {'small', 'base', 'large', 'xl', 'xxl'}
    for name in names:
        config = config_from_hugging_face(json.loads(str(sizes[f'{name}/config'])))
        shapes = jax.eval_shape(T5Encoder(config).init, jax.random.key(0), TOKENS, MASK)
        assert parameter_count(shapes['params']) == sizes[f'{name}/parameters'], name


def test_every_parameter_has_one_name_in_hugging_face():
    for config in (TINY, dataclasses.replace(TINY, feed_forward_proj='relu')):
        shapes = jax.eval_shape(T5Encoder(config).init, jax.random.key(0), TOKENS, MASK)['params']
        paths = [
            '/'.join(str(key.key) for key in path)
            for path, _ in jax.tree_util.tree_flatten_with_path(unbox(shapes))[0]
        ]
        names = weight_names(config)
        assert sorted(names) == sorted(paths)
        assert len(set(names.values())) == len(names)


def test_padding_has_zero_states_and_the_rest_has_not(params):
    x = states(params, TOKENS, MASK)
    assert (x.shape, x.dtype) == ((2, 6, 16), jnp.float32)
    np.testing.assert_array_equal(jnp.any(x != 0, axis=-1), MASK)


def test_longer_padding_changes_nothing(params):
    longer = np.pad(TOKENS, ((0, 0), (0, 6)))
    x = states(params, longer, longer > 0)
    np.testing.assert_allclose(x[:, :6], states(params, TOKENS, MASK), atol=2e-6)


def test_a_nan_or_another_token_under_padding_is_not_seen(params):
    expected = states(params, TOKENS, MASK)
    np.testing.assert_array_equal(states(params, np.where(MASK, TOKENS, 33), MASK), expected)
    broken = {**params, 'words': params['words'].at[0].set(jnp.nan)}  # 0 is the padding's token
    np.testing.assert_array_equal(states(broken, TOKENS, MASK), expected)


def test_a_row_of_nothing_but_padding_is_zero(params):
    np.testing.assert_array_equal(states(params, TOKENS, np.zeros_like(MASK)), 0)


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        ({'model_type': 'umt5'}, r"model_type: 'umt5'; allowed is 't5'"),
        ({'d_kv': None}, 'd_kv: None; allowed are whole numbers'),
        ({'num_heads': 0}, 'num_heads: 0; allowed are whole numbers'),
        ({'feed_forward_proj': 'gated-silu'}, "feed_forward_proj: 'gated-silu'; allowed are"),
        ({'relative_attention_num_buckets': 2}, 'num_buckets: 2; allowed are whole numbers from 4'),
        ({'relative_attention_max_distance': 8}, 'max_distance: 8; allowed is more than 8'),
        ({'layer_norm_epsilon': 0}, 'layer_norm_epsilon: 0; allowed is above 0'),
    ],
)
def test_sizes_that_cannot_be_are_named(change, message):
    value = {'model_type': 't5', **dataclasses.asdict(TINY)} | change
    with pytest.raises(BadInput, match=message):
        config_from_hugging_face(value)


def test_an_old_config_means_the_plain_model():
    """t5-small's file is older than the last four fields; a missing size is named."""
    old = {'model_type': 't5', **dataclasses.asdict(TINY)}
    for name in ('feed_forward_proj', 'relative_attention_max_distance', 'layer_norm_epsilon'):
        del old[name]
    assert config_from_hugging_face(old) == dataclasses.replace(TINY, feed_forward_proj='relu')
    del old['d_model']
    with pytest.raises(BadInput, match='d_model: None; allowed is the size'):
        config_from_hugging_face(old)
