"""Tiny configs and batches that the tests share."""

import dataclasses

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from jen1composer.diffusion.batch import Batch, Task, Text
from jen1composer.models.unet import UNet, UNetConfig
from jen1composer.training.state import PyTree

# Every task that differs in kind: all free, one given, one marginal, both, one target alone.
ROLES = (
    (0, 0, 0, 0),
    (1, 0, 0, 0),
    (0, 2, 0, 0),
    (0, 1, 2, 0),
    (1, 1, 1, 0),
    (2, 2, 0, 2),
    (0, 0, 1, 1),
    (2, 1, 0, 0),
)

UNET = UNetConfig(
    num_tracks=4,
    latent_channels=2,
    text_width=8,
    channels=(16, 24),
    factors=(1, 2),
    blocks=(1, 1),
    attentions=(0, 1),
    head_width=8,
    condition_width=16,
    time_frequencies=4,
)


def make_task(roles: np.ndarray | tuple[tuple[int, ...], ...], num_frames: int) -> Task:
    """A task with nothing visible and nothing causal; `roles` is [batch, track]."""
    array = np.asarray(roles, np.int32)
    return Task(
        roles=array,
        visible=np.zeros((*array.shape, num_frames), bool),
        causal=np.zeros(len(array), bool),
    )


def make_text(
    batch: int, width: int = 8, num_tokens: int = 4, num_prefix: int = 3, seed: int = 0
) -> Text:
    """Random token states; the last token of each is padding."""
    rng = np.random.default_rng(seed)
    return Text(
        prompt=rng.normal(size=(batch, num_tokens, width)).astype(np.float32),
        prompt_mask=np.tile(np.arange(num_tokens) < num_tokens - 1, (batch, 1)),
        use_prompt=np.ones(batch, bool),
        prefix=rng.normal(size=(batch, num_prefix, width)).astype(np.float32),
        prefix_mask=np.tile(np.arange(num_prefix) < num_prefix - 1, (batch, 1)),
    )


def make_batch(
    roles: np.ndarray | tuple[tuple[int, ...], ...] = ROLES,
    num_frames: int = 8,
    num_channels: int = 2,
    text_width: int = 8,
    seed: int = 0,
    first_index: int = 0,
) -> Batch:
    """Random latents and text under `roles` [batch, track]."""
    batch, tracks = np.shape(roles)
    rng = np.random.default_rng(seed)
    return Batch(
        latents=rng.normal(size=(batch, tracks, num_frames, num_channels)).astype(np.float32),
        task=make_task(roles, num_frames),
        text=make_text(batch, text_width, seed=seed),
        index=np.arange(first_index, first_index + batch, dtype=np.uint32),
    )


def mixed(batch: Batch) -> Batch:
    """`batch` with every second example causal, and the first half of the frames visible.

    What is visible does not say whose target it is: elsewhere it is ignored.
    """
    num_frames = batch.latents.shape[2]
    task = dataclasses.replace(
        batch.task,
        visible=np.broadcast_to(np.arange(num_frames) < num_frames // 2, batch.latents.shape[:3]),
        causal=np.arange(len(batch.latents)) % 2 == 0,
    )
    return dataclasses.replace(batch, task=task)


def init_boxed(config: UNetConfig, num_frames: int = 8, seed: int = 0) -> PyTree:
    """The parameters of a UNet with the logical names of their axes; traceable."""
    batch = make_batch(
        ((0,) * config.num_tracks,), num_frames, config.latent_channels, config.text_width
    )
    times = jnp.ones((1, config.num_tracks))
    variables = UNet(config).init(
        jax.random.key(seed), batch.latents, times, batch.latents, batch.task, batch.text
    )
    return variables['params']


def init_params(config: UNetConfig, num_frames: int = 8, seed: int = 0) -> PyTree:
    """The parameters of a UNet, plain."""
    return jax.jit(lambda: nn.unbox(init_boxed(config, num_frames, seed)))()


def drawn_params(
    config: UNetConfig, num_frames: int = 8, stream: np.random.RandomState | None = None
) -> PyTree:
    """Parameters in which nothing is zero, drawn from `stream`, which no version changes."""
    shapes = jax.eval_shape(lambda: nn.unbox(init_boxed(config, num_frames)))
    stream = stream or np.random.RandomState(0)
    with jax.ensure_compile_time_eval():  # also where it is called while something is traced
        return jax.tree.map(
            lambda leaf: jnp.asarray(0.3 * stream.standard_normal(leaf.shape), leaf.dtype), shapes
        )


def randomised(params: PyTree, seed: int = 1, scale: float = 0.2) -> PyTree:
    """`params` with noise added to every weight, so that nothing that starts at zero is dead."""
    leaves, structure = jax.tree.flatten(params)
    rng = np.random.default_rng(seed)
    return structure.unflatten(
        [
            jnp.asarray(leaf + scale * rng.normal(size=leaf.shape).astype(leaf.dtype))
            for leaf in map(np.asarray, leaves)
        ]
    )


def bf16(config: UNetConfig) -> UNetConfig:
    return dataclasses.replace(config, dtype='bfloat16')
