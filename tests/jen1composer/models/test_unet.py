"""The UNet: what it is told matters, what it must not see cannot, and what grows with tracks.

`recorded_unet.npy` is what the network gave before it had modes, spans and groups, for the inputs
of `test_a_network_that_was_saved_gives_what_it_gave`.
"""

import collections
import dataclasses
import functools
import pathlib

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jen1composer.diffusion.batch import Batch
from jen1composer.diffusion.corruption import corrupt, shown_latents, track_times
from jen1composer.diffusion.schedule import CosineSchedule
from jen1composer.models.conditions import frequencies
from jen1composer.models.unet import UNet, UNetConfig
from jen1composer.tracks import Role
from jen1composer.training.state import parameter_count
from tests import tiny

CONFIG = tiny.UNET
BATCH = tiny.make_batch()
TIMES = jnp.asarray(np.where(np.array(tiny.ROLES) == 0, 0.4, np.array(tiny.ROLES) - 1), jnp.float32)


@functools.cache
def params(config: UNetConfig = CONFIG):
    """Weights in which nothing is zero."""
    return tiny.drawn_params(config)


@functools.partial(jax.jit, static_argnums=0)
def apply(config: UNetConfig, params, x, t, task, text):
    shown = shown_latents(x, task)
    return UNet(config).apply({'params': params}, x, t, shown, task, text)


def run(batch: Batch = BATCH, t=TIMES, config: UNetConfig = CONFIG) -> np.ndarray:
    return np.asarray(apply(config, params(config), batch.latents, t, batch.task, batch.text))


def with_text(**changes) -> Batch:
    return dataclasses.replace(BATCH, text=dataclasses.replace(BATCH.text, **changes))


def rows_changed(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Which examples differ noticeably."""
    return np.abs(a - b).max(axis=(1, 2, 3)) > 1e-3


def test_a_network_that_was_saved_gives_what_it_gave():
    stream = np.random.RandomState(0)
    weights = tiny.drawn_params(CONFIG, stream=stream)
    x, prompt, prefix = (
        stream.standard_normal(shape).astype(np.float32)
        for shape in (BATCH.latents.shape, BATCH.text.prompt.shape, BATCH.text.prefix.shape)
    )
    text = with_text(prompt=prompt, prefix=prefix).text
    found = apply(CONFIG, weights, x, TIMES, BATCH.task, text)
    recorded = np.load(pathlib.Path(__file__).parent / 'recorded_unet.npy')
    np.testing.assert_allclose(found, recorded, atol=2e-5)


@pytest.mark.parametrize('num_frames', [2, 8, 14])
def test_it_returns_what_it_was_given_and_first_says_nothing(num_frames):
    batch = tiny.make_batch(num_frames=num_frames)
    fresh = tiny.init_params(CONFIG)
    y = apply(CONFIG, fresh, batch.latents, TIMES, batch.task, batch.text)
    assert y.shape == batch.latents.shape
    assert y.dtype == jnp.float32
    assert (y == 0).all()


def test_what_a_marginal_track_held_changes_nothing_end_to_end():
    def end_to_end(latents):
        times = track_times(BATCH.task.roles, jnp.full(len(tiny.ROLES), 0.6))
        noise = jax.random.normal(jax.random.key(0), latents.shape)
        x = corrupt(jnp.asarray(latents), noise, times, CosineSchedule())
        return run(dataclasses.replace(BATCH, latents=x), times)

    marginal = (np.array(tiny.ROLES) == Role.MARGINAL)[..., None, None]
    expected = end_to_end(BATCH.latents)
    for content in (7.0, np.nan):
        found = end_to_end(np.where(marginal, content, BATCH.latents).astype(np.float32))
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize('track', range(4))
def test_the_time_of_every_track_matters(track):
    assert rows_changed(run(), run(t=TIMES.at[:, track].set(0.77))).all()


@pytest.mark.parametrize('track', range(4))
def test_every_track_sees_every_other(track):
    latents = BATCH.latents.copy()
    latents[:, track] += 1
    change = run(dataclasses.replace(BATCH, latents=latents)) - run()
    assert (np.abs(change).max(axis=(2, 3)) > 1e-3).all()


@pytest.mark.parametrize('track', range(4))
def test_the_role_of_every_track_matters(track):
    roles = np.array(tiny.ROLES)
    roles[:, track] = (roles[:, track] + 1) % len(Role)
    task = dataclasses.replace(BATCH.task, roles=roles)
    other = dataclasses.replace(BATCH, task=task)
    assert rows_changed(run(), run(other)).all()
    blind = dataclasses.replace(CONFIG, use_role_tokens=False)
    np.testing.assert_array_equal(run(config=blind), run(other, config=blind))


def test_the_prefix_matters():
    other = with_text(prefix=BATCH.text.prefix[::-1].copy())
    assert rows_changed(run(), run(other)).all()
    blind = dataclasses.replace(CONFIG, use_prefix=False)
    np.testing.assert_array_equal(run(config=blind), run(other, config=blind))


def test_the_prompt_matters():
    assert rows_changed(run(), run(with_text(prompt=BATCH.text.prompt[::-1].copy()))).all()


def test_a_dropped_prompt_cannot_matter():
    null = np.zeros(len(tiny.ROLES), bool)
    dropped = run(with_text(use_prompt=null))
    assert rows_changed(dropped, run()).all()
    for content in (BATCH.text.prompt[::-1].copy(), np.full_like(BATCH.text.prompt, np.nan)):
        mask = ~BATCH.text.prompt_mask
        other = with_text(use_prompt=null, prompt=content, prompt_mask=mask)
        np.testing.assert_array_equal(run(other), dropped)


@pytest.mark.parametrize('content', [5.0, np.nan, np.inf])
@pytest.mark.parametrize('name', ['prompt', 'prefix'])
def test_padding_changes_no_bit(name, content):
    mask = getattr(BATCH.text, f'{name}_mask')
    states = np.where(mask[..., None], getattr(BATCH.text, name), content).astype(np.float32)
    clean = tiny.mixed(BATCH)  # in both modes
    spoiled = dataclasses.replace(clean, text=with_text(**{name: states}).text)
    for width in (None, 5):
        config = dataclasses.replace(CONFIG, context_width=width)
        np.testing.assert_array_equal(run(spoiled, config=config), run(clean, config=config))


@pytest.mark.parametrize('width', [None, 5])
def test_padding_has_no_gradient(width):
    config = dataclasses.replace(CONFIG, context_width=width)
    spoiled = np.where(BATCH.text.prompt_mask[..., None], BATCH.text.prompt, np.nan)
    batch = tiny.mixed(BATCH)

    def loss(weights, text):
        y = apply(config, weights, batch.latents, TIMES, batch.task, text)
        return jnp.sum(jnp.square(y))

    gradient = jax.jit(jax.grad(loss))
    clean = gradient(params(config), BATCH.text)
    found = gradient(params(config), with_text(prompt=spoiled.astype(np.float32)).text)
    jax.tree.map(np.testing.assert_array_equal, found, clean)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(clean))


def test_an_example_does_not_depend_on_its_batch():
    rows = jax.tree.map(lambda leaf: leaf[:3], BATCH)
    np.testing.assert_allclose(run(rows, TIMES[:3]), run()[:3], rtol=1e-4, atol=1e-4)


def test_only_the_ends_the_times_and_the_roles_grow_with_the_tracks():
    shapes = {
        tracks: jax.eval_shape(
            lambda t=tracks: tiny.init_params(dataclasses.replace(CONFIG, num_tracks=t))
        )
        for tracks in (3, 4)
    }
    differing = {
        '/'.join(key.key for key in path)
        for (path, three), four in zip(
            jax.tree_util.tree_leaves_with_path(shapes[3]), jax.tree.leaves(shapes[4]), strict=True
        )
        if three.shape != four.shape
    }
    assert differing == {
        'enter/kernel',
        'leave/kernel',
        'leave/bias',
        'condition/in/kernel',
        'context/role_tokens',
    }


def with_visible(batch: Batch, visible) -> Batch:
    return dataclasses.replace(batch, task=dataclasses.replace(batch.task, visible=visible))


def test_with_spans_what_is_shown_matters_where_it_is():
    spans = dataclasses.replace(CONFIG, spans=True)

    @functools.partial(jax.jit, static_argnums=0)
    def given(config, latents, task):
        shown = shown_latents(latents, task)
        inputs = (BATCH.latents, TIMES, shown, task, BATCH.text)
        return UNet(config).apply({'params': params(config)}, *inputs)

    seen = tiny.mixed(BATCH).task  # the first half of each target
    first = np.arange(8) < 4
    for hidden, frames in ((False, first), (True, ~first)):
        other = np.where(frames[:, None], BATCH.latents + 1, BATCH.latents)
        change = given(spans, other, seen) - given(spans, BATCH.latents, seen)
        assert (np.abs(change).max(axis=(1, 2, 3)) > 1e-3).all() != hidden
        assert (change == 0).all() == hidden
        blind = given(CONFIG, other, seen) - given(CONFIG, BATCH.latents, seen)
        assert (blind == 0).all()


def test_with_spans_silence_that_is_shown_is_not_what_is_hidden():
    spans = dataclasses.replace(CONFIG, spans=True)
    silent = dataclasses.replace(BATCH, latents=np.zeros_like(BATCH.latents))
    everything = with_visible(silent, np.ones_like(BATCH.task.visible))
    assert rows_changed(run(silent, config=spans), run(everything, config=spans)).all()
    np.testing.assert_array_equal(run(silent), run(everything))


def test_visible_says_nothing_of_a_track_that_is_not_a_target():
    spans = dataclasses.replace(CONFIG, spans=True)
    others = (np.array(tiny.ROLES) != Role.TARGET)[..., None] & np.ones(8, bool)
    np.testing.assert_array_equal(run(config=spans), run(with_visible(BATCH, others), config=spans))


def test_with_neither_prefix_nor_roles_the_task_is_not_told():
    blind = dataclasses.replace(CONFIG, use_prefix=False, use_role_tokens=False)
    roles = (np.array(tiny.ROLES) + 1) % len(Role)
    other = with_text(prefix=BATCH.text.prefix[::-1].copy())
    other = dataclasses.replace(other, task=dataclasses.replace(BATCH.task, roles=roles))
    np.testing.assert_array_equal(run(config=blind), run(other, config=blind))
    assert 'role_tokens' not in params(blind)['context']
    prompt = with_text(prompt=BATCH.text.prompt[::-1].copy())
    assert rows_changed(run(config=blind), run(prompt, config=blind)).all()


@pytest.mark.parametrize('tracks', [1, 2, 8])
def test_from_one_to_eight_tracks(tracks):
    config = dataclasses.replace(CONFIG, num_tracks=tracks, spans=True)
    batch = tiny.make_batch(((0,) * tracks,))
    times = jnp.full((1, tracks), 0.4)
    y = run(batch, times, config)
    assert y.shape == (1, tracks, 8, 2)
    for track in range(tracks):
        assert rows_changed(y, run(batch, times.at[:, track].set(0.77), config)).all()


def test_learned_frequencies_begin_as_the_fixed_ones_and_move():
    learned = dataclasses.replace(CONFIG, time_embedding='learned')
    weights = params(learned)
    start = frequencies(CONFIG.time_frequencies)
    begun = weights | {'condition': weights['condition'] | {'frequencies': start}}
    rest = {k: v for k, v in begun['condition'].items() if k != 'frequencies'}
    inputs = (BATCH.latents, TIMES, BATCH.task, BATCH.text)
    fixed = apply(CONFIG, begun | {'condition': rest}, *inputs)
    np.testing.assert_allclose(apply(learned, begun, *inputs), fixed, atol=1e-4)
    assert rows_changed(apply(learned, weights, *inputs), fixed).all()
    fresh = tiny.init_params(learned)['condition']['frequencies']
    np.testing.assert_allclose(fresh, start, rtol=1e-6)

    def loss(weights):
        return jnp.sum(jnp.square(apply(learned, weights, *inputs)))

    assert (jnp.abs(jax.grad(loss)(begun)['condition']['frequencies']) > 1e-4).all()


GROUPS = dataclasses.replace(CONFIG, norm_groups=8)


@pytest.mark.parametrize('track', range(4))
def test_at_the_ends_no_statistic_is_taken_over_two_tracks(track):
    """What a track is embedded as, and what it is read from, is that of the track alone."""
    weights = params(GROUPS)

    @jax.jit
    def ends(x, features):
        normalised = {}

        def note(call, args, kwargs, context):
            name = context.module.name
            y = call(*((args[0] + features,) if name == 'unembed_norm' else args), **kwargs)
            if name in ('embed_norm', 'unembed_norm'):
                normalised[name] = y
            return y

        with nn.intercept_methods(note):
            UNet(GROUPS).apply({'params': weights}, x, TIMES, x, BATCH.task, BATCH.text)
        return normalised

    x = jnp.asarray(BATCH.latents)
    width = GROUPS.channels[0]
    mine = np.arange(4 * width) // width == track
    nothing = jnp.zeros((1, 1, 4 * width))
    before = ends(x, nothing)
    for name, after in (
        ('embed_norm', ends(x.at[:, track].mul(50), nothing)),
        ('unembed_norm', ends(x, 50.0 * mine)),
    ):
        changed = np.asarray(before[name] != after[name])
        assert changed[..., mine].any()
        assert not changed[..., ~mine].any()


def test_a_context_width_maps_the_context_once():
    narrow = dataclasses.replace(CONFIG, context_width=5)
    weights = params(narrow)
    assert weights['context']['project']['kernel'].shape == (8, 5)
    assert weights['bottom_1_transformer_0_0']['cross']['key']['kernel'].shape == (5, 24)
    assert rows_changed(
        run(config=narrow), run(with_text(prompt=BATCH.text.prompt[::-1].copy()), config=narrow)
    ).all()


REMATS = ('block', 'full')


@pytest.mark.parametrize('remat', REMATS)
def test_what_is_computed_again_is_the_same(remat):
    config = dataclasses.replace(CONFIG, spans=True, norm_groups=4, blocks=(1, 2))
    again = dataclasses.replace(config, remat=remat)
    batch = tiny.mixed(BATCH)

    def gradient(config):
        def loss(weights):
            y = apply(config, weights, batch.latents, TIMES, batch.task, batch.text)
            return jnp.sum(jnp.square(y))

        return jax.jit(jax.grad(loss))

    weights = params(config)
    shapes = jax.eval_shape(lambda: tiny.init_params(again))
    assert jax.tree.map(jnp.shape, shapes) == jax.tree.map(jnp.shape, weights)  # names and all
    kept, found = gradient(config)(weights), gradient(again)(weights)
    for true, leaf in zip(jax.tree.leaves(kept), jax.tree.leaves(found), strict=True):
        assert np.linalg.norm(leaf - true) <= 3e-6 * np.linalg.norm(true)


def test_more_is_computed_again_the_less_is_kept():
    config = dataclasses.replace(CONFIG, blocks=(1, 2))

    def kept(config):
        def loss(weights):
            return apply(config, weights, BATCH.latents, TIMES, BATCH.task, BATCH.text)

        weights = jax.eval_shape(lambda: tiny.init_params(config))
        residuals = jax.eval_shape(lambda weights: jax.vjp(loss, weights)[1], weights)
        return sum(leaf.size for leaf in jax.tree.leaves(residuals))

    counts = [kept(dataclasses.replace(config, remat=remat)) for remat in ('none', *REMATS)]
    assert counts == sorted(counts, reverse=True)
    assert len(set(counts)) == 3


def test_the_demo_shape_has_at_most_two_million_parameters():
    demo = UNetConfig(
        num_tracks=4,
        latent_channels=64,
        text_width=384,
        channels=(128, 160, 192),
        factors=(1, 2, 2),
        blocks=(1, 1, 1),
        attentions=(0, 0, 1),
    )
    count = parameter_count(jax.eval_shape(lambda: tiny.init_params(demo)))
    assert 1_000_000 < count <= 2_000_000


EVERYTHING = dataclasses.replace(
    CONFIG,
    spans=True,
    norm_groups=4,
    context_width=12,
    time_embedding='learned',
    blocks=(1, 2),
    remat='block',
)


@pytest.mark.parametrize(
    ('config', 'wide', 'half'),
    [
        # In float32 only the two of the time condition and the last layer, which is the answer.
        (CONFIG, {'dot_general': 2, 'conv_general_dilated': 1}, (20, 7)),
        (EVERYTHING, {'dot_general': 3}, (37, 10)),
    ],
)
def test_bfloat16_is_what_the_arithmetic_runs_in(config, wide, half):
    halved = tiny.bf16(config)
    weights = params(halved)
    assert {leaf.dtype for leaf in jax.tree.leaves(weights)} == {jnp.dtype('float32')}
    batch = tiny.mixed(BATCH)
    inputs = (batch.latents, TIMES, batch.task, batch.text)
    jaxpr = jax.make_jaxpr(functools.partial(apply, halved))(weights, *inputs)
    counts = collections.Counter(
        (equation.primitive.name, str(equation.invars[0].aval.dtype))
        for equation in equations(jaxpr.jaxpr)
        if equation.primitive.name in ('dot_general', 'conv_general_dilated')
    )
    assert {name: n for (name, dtype), n in counts.items() if dtype == 'float32'} == wide
    assert counts['dot_general', 'bfloat16'] == half[0]
    assert counts['conv_general_dilated', 'bfloat16'] == half[1]
    full, found = apply(config, weights, *inputs), apply(halved, weights, *inputs)
    assert found.dtype == jnp.float32
    error = np.linalg.norm(found - full) / np.linalg.norm(full)
    assert 1e-4 < error < 0.1


def equations(jaxpr):
    """Every equation, those of inner programs too."""
    for equation in jaxpr.eqns:
        yield equation
        for value in equation.params.values():
            inner = getattr(value, 'jaxpr', value)
            if hasattr(inner, 'eqns'):
                yield from equations(inner)


@pytest.mark.parametrize(
    ('batch', 'message'),
    [
        (tiny.make_batch(num_frames=7), '7 frames; allowed are multiples of 2'),
        (tiny.make_batch(((0, 0, 0),)), '3 tracks of 2 channels; the UNet takes 4 of 2'),
        (tiny.make_batch(num_channels=3), '4 tracks of 3 channels; the UNet takes 4 of 2'),
        (tiny.make_batch(text_width=9), 'text states are 9 wide; the UNet takes 8'),
    ],
)
def test_a_wrong_shape_is_refused_with_both(batch, message):
    with pytest.raises(ValueError, match=message):
        run(batch, jnp.ones(batch.task.roles.shape))


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        ({'factors': (2, 2)}, 'the first level merges nothing'),
        ({'blocks': (1,)}, 'one entry per level'),
        ({'channels': (16, 24, 32)}, 'one entry per level'),
        ({'num_tracks': 0}, r'model.num_tracks: 0; allowed is 1 to 8'),
        ({'num_tracks': 9}, r'model.num_tracks: 9; allowed is 1 to 8'),
        ({'norm_groups': 2}, r'model.norm_groups: 2; allowed are 1 and the multiples of the 4 tr'),
        ({'norm_groups': 16}, r'model.norm_groups: 16; .* that divide each of \(16, 24\)'),
        ({'norm_groups': 0}, r'model.norm_groups: 0'),
        ({'context_width': 0}, r'model.context_width: 0; allowed is 1 or more'),
        ({'time_embedding': 'sin'}, r"model.time_embedding: 'sin'; allowed are fixed, learned"),
        ({'remat': 'some'}, r"model.remat: 'some'; allowed are none, block, full"),
    ],
)
def test_a_config_that_does_not_fit_is_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(CONFIG, **changes)
