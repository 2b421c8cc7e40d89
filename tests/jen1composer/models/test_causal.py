"""Causal examples see only the past, to the bit; the others see both sides; one program for all."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jen1composer.diffusion.batch import Batch
from jen1composer.diffusion.corruption import shown_latents
from jen1composer.models.unet import UNet, UNetConfig
from jen1composer.training.composer_step import DiffusionConfig, make_composer_loss
from tests import tiny

FRAMES = 12
TIMES = jnp.full((2, 2), 0.4)
BASE = UNetConfig(
    num_tracks=2,
    latent_channels=2,
    text_width=8,
    spans=True,
    channels=(8,),
    factors=(1,),
    blocks=(1,),
    attentions=(0,),
    head_width=4,
    condition_width=8,
    time_frequencies=4,
)
TWO = dataclasses.replace(BASE, channels=(8, 12), factors=(1, 2), blocks=(1, 1), attentions=(0, 1))
CONFIGS = {
    'one level': BASE,
    'attention': dataclasses.replace(BASE, attentions=(1,)),
    'two levels': TWO,
    'factor 3': dataclasses.replace(TWO, factors=(1, 3), attentions=(1, 0)),
    'factor 4': dataclasses.replace(TWO, factors=(1, 4), blocks=(0, 2)),
    'three levels': dataclasses.replace(
        BASE, channels=(8, 12, 12), factors=(1, 2, 3), blocks=(1, 1, 1), attentions=(0, 1, 1)
    ),
    'groups': dataclasses.replace(TWO, norm_groups=4),
    'remat': dataclasses.replace(TWO, remat='full'),
    'bfloat16': tiny.bf16(TWO),
}


def example() -> Batch:
    """Two examples that are alike but for their mode: the first is causal, the second is not."""
    batch = tiny.mixed(tiny.make_batch(((0, 0),), num_frames=FRAMES))
    twice = jax.tree.map(lambda leaf: np.concatenate([leaf, leaf]), batch)
    return with_modes(twice, np.array([True, False]))


def with_modes(batch: Batch, causal) -> Batch:
    return dataclasses.replace(batch, task=dataclasses.replace(batch.task, causal=causal))


@functools.cache
def params(config: UNetConfig):
    return tiny.drawn_params(config, FRAMES)


def forward(config: UNetConfig, params, batch: Batch) -> jax.Array:
    shown = shown_latents(jnp.asarray(batch.latents) + 1, batch.task)  # not what x tells already
    return UNet(config).apply(
        {'params': params}, batch.latents, TIMES, shown, batch.task, batch.text
    )


def bits(x: jax.Array) -> np.ndarray:
    return np.asarray(x).view(np.int32)


def changed_from(batch: Batch, first: int, value: float) -> Batch:
    """Everything that has frames is another from frame `first` on, and `value` large."""
    later = np.arange(FRAMES) >= first
    task = dataclasses.replace(batch.task, visible=batch.task.visible ^ later)
    noise = np.random.default_rng(first).normal(size=batch.latents[:1].shape)
    latents = np.where(later[:, None], value * noise, batch.latents).astype(np.float32)
    return dataclasses.replace(batch, latents=latents, task=task)


@pytest.mark.parametrize('name', CONFIGS)
def test_a_later_input_changes_no_bit_of_an_earlier_output(name):
    config = CONFIGS[name]
    apply = jax.jit(functools.partial(forward, config))
    batch = example()
    before = bits(apply(params(config), batch))  # [example, track, frame, channel]
    for value in (1.0, 1e30):
        for n in range(FRAMES):
            after = bits(apply(params(config), changed_from(batch, n, value)))
            causal, both = (before != after).any(axis=(1, 3))  # [frame]
            assert not causal[:n].any()
            assert causal[n]  # the present is seen
            assert both[max(n - 1, 0)]  # and the future where it may be


@pytest.mark.parametrize('part', ['latents', 'shown', 'visible'])
def test_each_input_is_seen_by_its_own_frame_and_later_ones(part):
    @jax.jit
    def apply(batch, extra):
        shown = shown_latents(batch.latents, batch.task) + extra
        return UNet(TWO).apply(
            {'params': params(TWO)}, batch.latents, TIMES, shown, batch.task, batch.text
        )

    batch, nothing = example(), np.zeros((FRAMES, 1), np.float32)
    before = bits(apply(batch, nothing))
    for n in range(FRAMES):
        later, extra, other = np.arange(FRAMES) >= n, nothing, batch
        if part == 'latents':
            latents = batch.latents + later[:, None].astype(np.float32)
            other = dataclasses.replace(batch, latents=latents)
        elif part == 'visible':
            task = dataclasses.replace(batch.task, visible=batch.task.visible ^ later)
            other = dataclasses.replace(batch, task=task)
        else:
            extra = later[:, None].astype(np.float32)
        causal, both = (before != bits(apply(other, extra))).any(axis=(1, 3))
        assert not causal[:n].any()
        assert causal[n:].all()
        assert both[max(n - 1, 0) :].all()


@pytest.mark.parametrize('name', ['three levels', 'factor 4', 'groups'])
def test_each_row_is_what_the_network_with_that_one_mode_gives(name):
    """The reference holds no select: each layer is told its mode when the program is made."""
    config, batch = CONFIGS[name], example()
    apply = jax.jit(functools.partial(forward, config))
    mixed = apply(params(config), batch)
    for row, mode in enumerate((True, False)):
        static = jax.jit(lambda p, mode=mode: forward(config, p, with_modes(batch, mode)))
        expected = static(params(config))[row]
        np.testing.assert_allclose(mixed[row], expected, atol=1e-5)
        pure = apply(params(config), with_modes(batch, np.full(2, mode)))
        np.testing.assert_allclose(pure, jnp.stack([expected] * 2), atol=1e-5)
    assert np.abs(mixed[0] - mixed[1]).max() > 0.1


def test_the_gradient_of_a_mixed_batch_is_the_sum_of_those_of_its_modes():
    config, batch = CONFIGS['two levels'], example()

    def loss(params, causal, share):
        y = forward(config, params, with_modes(batch, causal))
        return jnp.sum(share[:, None, None, None] * jnp.square(y))

    found = jax.jit(jax.grad(loss))(params(config), jnp.array([True, False]), jnp.ones(2))
    parts = [
        jax.jit(jax.grad(lambda p, mode=mode: loss(p, mode, jnp.array([mode, not mode]))))
        for mode in (True, False)
    ]
    parts = [gradient(params(config)) for gradient in parts]
    for leaf, causal, both in zip(*map(jax.tree.leaves, (found, *parts)), strict=True):
        np.testing.assert_allclose(leaf, causal + both, rtol=1e-4, atol=1e-5 * np.abs(leaf).max())


def test_no_gradient_flows_to_a_later_input():
    batch = example()

    @jax.jit
    @jax.grad
    def slope(latents, frame):
        y = forward(TWO, params(TWO), dataclasses.replace(batch, latents=latents))
        return jnp.sum(y[:, :, frame])

    for frame in range(FRAMES):
        causal, both = (slope(batch.latents, frame) != 0).any(axis=(1, 3))  # [frame]
        assert not causal[frame + 1 :].any()
        assert causal[frame]
        assert both[frame + 1 : frame + 2].all()


def test_one_compiled_step_serves_every_mixture():
    loss = make_composer_loss(UNet(BASE), DiffusionConfig(), 0)
    step = jax.jit(jax.value_and_grad(loss, has_aux=True))
    found = [
        step(params(BASE), with_modes(example(), np.array(modes)), 0)[0][0]
        for modes in ([False, False], [True, False], [True, True])
    ]
    assert step._cache_size() == 1
    assert len({float(one) for one in found}) == 3
