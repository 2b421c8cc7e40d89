"""Guidance on the text and on each given track.

With `full` the prediction under all conditions and `without_i` the one under all but the i-th:

(1) guided = full + sum_i (s_i - 1) (full - without_i)

exact at s_i = 1, and classifier-free guidance (arXiv 2207.12598) with scale s where there is one
condition. The prompt is left out by the learned null; a given track by passing it as marginalised,
which the training has seen, so it needs nothing more (JEN-1 Composer; UniDiffuser). A scale of 1
drops its branch. All branches are one batched evaluation.
"""

import dataclasses
from collections.abc import Callable

import jax
import jax.numpy as jnp

from jen1composer.diffusion.batch import Task, Text
from jen1composer.tracks import Role

# (x [batch, track, frame, channel], t [batch, track], shown as x, task, text) -> prediction as x
Predictor = Callable[[jax.Array, jax.Array, jax.Array, Task, Text], jax.Array]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Guidance:
    """The scales s_i of (1), static; `given` has one for each track, in their order, or none."""

    text: float = 1.0
    given: tuple[float, ...] = ()


def guided(predict: Predictor, guidance: Guidance, noise: jax.Array) -> Predictor:
    """The predictor of equation (1).

    Args:
        predict: the network.
        guidance: the scales.
        noise: [batch, track, frame, channel], what a given track becomes where it is left out.
    """
    given = tuple((k, scale) for k, scale in enumerate(guidance.given) if scale != 1)
    if guidance.text == 1 and not given:
        return predict

    def combined(x: jax.Array, t: jax.Array, shown: jax.Array, task: Task, text: Text) -> jax.Array:
        inputs = [(x, t, shown, task, text)]
        scales = []
        if guidance.text != 1:
            null = dataclasses.replace(text, use_prompt=jnp.zeros_like(text.use_prompt))
            inputs.append((x, t, shown, task, null))
            scales.append(guidance.text)
        for k, scale in given:
            x_k, t_k, task_k = _without(x, t, task, noise, k)
            inputs.append((x_k, t_k, shown, task_k, text))
            scales.append(scale)
        stacked = jax.tree.map(lambda *leaves: jnp.concatenate(leaves), *inputs)
        full, *others = jnp.split(predict(*stacked), len(inputs))
        pulls = (
            (scale - 1) * (full - without) for scale, without in zip(scales, others, strict=True)
        )
        return full + sum(pulls)

    return combined


def _without(
    x: jax.Array, t: jax.Array, task: Task, noise: jax.Array, track: int
) -> tuple[jax.Array, jax.Array, Task]:
    """The inputs with `track`, where it is given, marginalised instead."""
    drop = (task.roles == Role.CONDITION) & (jnp.arange(x.shape[1]) == track)  # [batch, track]
    roles = jnp.where(drop, int(Role.MARGINAL), task.roles)
    x = jnp.where(drop[..., None, None], noise, x)
    return x, jnp.where(drop, 1.0, t), dataclasses.replace(task, roles=roles)
