"""The UNet: what it is told matters, what it must not see cannot, and what grows with tracks."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jen1composer.diffusion.batch import Batch
from jen1composer.diffusion.corruption import corrupt, shown_latents, track_times
from jen1composer.diffusion.schedule import CosineSchedule
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
    return tiny.randomised(tiny.init_params(config))


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
    np.testing.assert_array_equal(run(with_text(**{name: states})), run())


def test_padding_has_no_gradient():
    spoiled = np.where(BATCH.text.prompt_mask[..., None], BATCH.text.prompt, np.nan)

    def loss(weights, batch):
        y = apply(CONFIG, weights, batch.latents, TIMES, batch.task, batch.text)
        return jnp.sum(jnp.square(y))

    gradient = jax.jit(jax.grad(loss))
    clean = gradient(params(), BATCH)
    found = gradient(params(), with_text(prompt=spoiled.astype(np.float32)))
    jax.tree.map(np.testing.assert_array_equal, found, clean)


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


def test_bfloat16_is_what_the_arithmetic_runs_in():
    config = tiny.bf16(CONFIG)
    weights = params(config)
    assert {leaf.dtype for leaf in jax.tree.leaves(weights)} == {jnp.dtype('float32')}
    jaxpr = jax.make_jaxpr(functools.partial(apply, config))(
        weights, BATCH.latents, TIMES, BATCH.task, BATCH.text
    )
    kinds: dict[str, list[str]] = {}
    for equation in equations(jaxpr.jaxpr):
        if equation.primitive.name in ('dot_general', 'conv_general_dilated'):
            kinds.setdefault(equation.primitive.name, []).append(str(equation.invars[0].aval.dtype))
    # In float32 only the two of the time condition and the last layer, whose output is the answer.
    assert kinds['dot_general'].count('float32') == 2
    assert kinds['conv_general_dilated'].count('float32') == 1
    assert kinds['dot_general'].count('bfloat16') == 20
    assert kinds['conv_general_dilated'].count('bfloat16') == 7
    full, half = run(), run(config=config)
    error = np.linalg.norm(half - full) / np.linalg.norm(full)
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
    ],
)
def test_a_config_that_does_not_fit_is_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(CONFIG, **changes)
