"""Guidance on the text, on tempo, key and chords together, and on each given track.

With `full` the estimate of x_0 under all conditions and `without_i` the one under all but the i-th,
for each row, and for each track at its time t:

(1) guided = full + sum_i (s_i - 1) (full - without_i),   s_i = 1 unless low <= t <= high
(2) result = (phi std(full) / std(guided) + 1 - phi) guided

(1) is exact at s_i = 1, and classifier-free guidance (arXiv 2207.12598) with scale s where there is
one condition; low and high are the interval of arXiv 2404.07724. The prompt is left out by the
learned null; tempo, key and chords by making all three unknown; a given track by passing it as
marginalised, which the training has seen, so it needs nothing more (JEN-1 Composer; UniDiffuser).
What a target shows of itself is left out of no branch: it is its past or its surroundings, and to
do without it would be another piece of music.

(2) is the rescaling of arXiv 2305.08891, section 3.4: large scales make latents too loud. The
deviations are those of a row's track over the frames that are generated; in a causal row, of each
frame by itself, so that no frame hears of a later one. There the network's output
is rescaled. Here it is the estimate of x_0, which is the same at t = 1 for v, and for any kind of
prediction the same at every t; to shrink an output that contains noise would leave noise behind.

Which conditions have a branch is static, because each makes the network's batch longer; all numbers
are traced and may differ from row to row. All branches are one batched evaluation.
"""

import dataclasses
from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
import numpy as np

from jen1composer.diffusion.batch import Array, Task, Text, unknown_control
from jen1composer.diffusion.corruption import is_shown
from jen1composer.diffusion.schedule import over_latents
from jen1composer.tracks import Role

# (x [batch, track, frame, channel], t [batch, track], shown as x, task, text) -> prediction as x
Predictor = Callable[[jax.Array, jax.Array, jax.Array, Task, Text], jax.Array]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Branches:
    """The conditions that are left out once each; hashable, to be a static argument."""

    text: bool = False
    control: bool = False
    given: tuple[int, ...] = ()  # tracks, by number


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True, kw_only=True)
class Guidance:
    """The numbers of (1) and (2), for each row of a batch."""

    text: Array  # [batch], s of the prompt
    control: Array  # [batch], s of tempo, key and chords
    given: Array  # [batch, track], s of each track, where it is given
    low: Array  # [batch]
    high: Array  # [batch]
    rescale: Array  # [batch], phi in [0, 1]

    @classmethod
    def constant(
        cls,
        batch: int,
        *,
        text: float = 1.0,
        control: float = 1.0,
        given: tuple[float, ...],
        low: float = 0.0,
        high: float = 1.0,
        rescale: float = 0.0,
    ) -> 'Guidance':
        """The same for every row; `given` has a scale for every track."""

        def rows(value: float) -> np.ndarray:
            return np.full(batch, value, np.float32)

        return cls(
            text=rows(text),
            control=rows(control),
            given=np.tile(np.array(given, np.float32), (batch, 1)),
            low=rows(low),
            high=rows(high),
            rescale=rows(rescale),
        )

    @property
    def branches(self) -> Branches:
        """Those that some row needs; only for numbers that are known, so outside of `jit`."""
        given = np.flatnonzero((np.asarray(self.given) != 1).any(axis=0))
        return Branches(
            text=bool((np.asarray(self.text) != 1).any()),
            control=bool((np.asarray(self.control) != 1).any()),
            given=tuple(map(int, given)),
        )


def guided(
    estimate: Predictor, guidance: Guidance, branches: Branches, noise: jax.Array
) -> Predictor:
    """The estimate of equations (1) and (2); `estimate` itself where there is no branch.

    Args:
        estimate: of x_0, by the network.
        guidance: the numbers; a scale counts only where its condition has a branch.
        branches: the conditions that are left out.
        noise: [batch, track, frame, channel], what a given track becomes where it is left out.
    """
    if branches == Branches():
        return estimate

    def combined(x: jax.Array, t: jax.Array, shown: jax.Array, task: Task, text: Text) -> jax.Array:
        inputs = [(x, t, shown, task, text)]
        scales = []
        if branches.text:
            null = dataclasses.replace(text, use_prompt=jnp.zeros_like(text.use_prompt))
            inputs.append((x, t, shown, task, null))
            scales.append(guidance.text)
        if branches.control:
            null = dataclasses.replace(text, control=unknown_control(len(x), x.shape[2]))
            inputs.append((x, t, shown, task, null))
            scales.append(guidance.control)
        for k in branches.given:
            x_k, t_k, task_k = _without(x, t, task, noise, k)
            inputs.append((x_k, t_k, shown, task_k, text))
            scales.append(guidance.given[:, k])
        stacked = jax.tree.map(lambda *leaves: jnp.concatenate(leaves), *inputs)
        full, *others = jnp.split(estimate(*stacked), len(inputs))

        return combine(full, others, scales, t, task, guidance)

    return combined


def combine(
    full: jax.Array,
    others: Sequence[jax.Array],
    scales: Sequence[Array],
    t: jax.Array,
    task: Task,
    guidance: Guidance,
) -> jax.Array:
    """Equations (1) and (2) of estimates [batch, track, frame, channel] at t [batch, track].

    `others` are the estimates without one condition each, which has the scale [batch] in `scales`;
    what is `full` itself is exactly as if it were not there.
    """
    inside = (guidance.low[:, None] <= t) & (t <= guidance.high[:, None])  # [batch, track]
    result = full
    for scale, without in zip(scales, others, strict=True):  # (1)
        pull = jnp.where(inside, scale[:, None] - 1, 0.0)
        result = result + over_latents(pull) * (full - without)
    return _gain(full, result, guidance.rescale, task) * result  # (2)


def _without(
    x: jax.Array, t: jax.Array, task: Task, noise: jax.Array, track: int
) -> tuple[jax.Array, jax.Array, Task]:
    """The inputs with `track`, where it is given, marginalised instead."""
    drop = (task.roles == Role.CONDITION) & (jnp.arange(x.shape[1]) == track)  # [batch, track]
    roles = jnp.where(drop, int(Role.MARGINAL), task.roles)
    x = jnp.where(drop[..., None, None], noise, x)
    return x, jnp.where(drop, 1.0, t), dataclasses.replace(task, roles=roles)


def _gain(full: jax.Array, result: jax.Array, rescale: jax.Array, task: Task) -> jax.Array:
    """What (2) multiplies with, `[batch, track, frame, 1]`; 1 where a deviation is 0."""
    generated = jnp.broadcast_to(~is_shown(task), full.shape)

    def deviation(x: jax.Array) -> jax.Array:
        whole = jnp.std(x, axis=(2, 3), keepdims=True, where=generated)
        each = jnp.std(x, axis=3, keepdims=True)
        return jnp.where(over_latents(jnp.asarray(task.causal)[:, None]), each, whole)

    before, after = deviation(full), deviation(result)
    usable = (before > 0) & (after > 0)
    ratio = jnp.where(usable, before, 1.0) / jnp.where(usable, after, 1.0)
    return 1.0 + over_latents(rescale[:, None]) * (ratio - 1.0)
