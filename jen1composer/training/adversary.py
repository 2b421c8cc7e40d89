"""The adversary: discriminators learn to tell decoded sound y from the original x, and the
autoencoder learns to be taken for it.

Discriminator k gives maps F_k1, F_k2, ... and at last a map of scores D_k. | | is a mean over all
places of a map, and every line is averaged over the discriminators. Least squares (HiFi-GAN):

(1) discriminator       |(D_k(x) - 1)^2| + |D_k(hold y)^2|
(2) adversarial         |(D_k(y) - 1)^2|                               hold: the weights of D
(3) feature matching    mean over l of |F_kl(x) - F_kl(y)| / |F_kl(x)|     and so here

`hold` is a stopped gradient. (1) so has a gradient for the discriminators alone, (2) and (3) for
the autoencoder alone, and the gradient of their sum is what each would get in a step of its own:

(4) loss = reconstruction + r(step) (adversarial (2) + feature_matching (3)) + (1)
(5) r(step) = (step - counts_from) / ramp_steps, held within 0 .. 1

(3) is relative, so that a layer of small values counts as much as one of large ones; its divisor is
held. (1) has no weight: Adam's step would not change with it.

The discriminators learn from step `learns_from` on and count from `counts_from` on. Before they
learn they are not computed either, and neither they nor what their optimiser remembers of them
change: at `learns_from` its learning rate and its moments are at their first step.
"""

import dataclasses
import functools
import math
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import optax

from jen1composer.errors import require
from jen1composer.models.discriminator import Discriminators, Maps, judge

# The two networks in the tree of parameters.
AUTOENCODER, DISCRIMINATOR = 'autoencoder', 'discriminator'

Terms = Mapping[str, jax.Array]


@dataclasses.dataclass(frozen=True, kw_only=True)
class AdversaryConfig:
    """How much the discriminators count for the autoencoder, and from when on, (4) and (5)."""

    # weights, beside those of `autoencoder_losses`
    adversarial: float = 0.15
    feature_matching: float = 0.3

    # steps
    learns_from: int = 0
    counts_from: int = 0
    ramp_steps: int = 1

    def __post_init__(self) -> None:
        for name in ('adversarial', 'feature_matching'):
            value = getattr(self, name)
            require(0 <= value < math.inf, f'losses.{name}', value, 'is 0 or more')
        learns, counts = self.learns_from, self.counts_from
        require(learns >= 0, 'losses.learns_from', learns, 'is 0 or more')
        allowed = f'is learns_from, {learns}, or more'
        require(counts >= learns, 'losses.counts_from', counts, allowed)
        require(self.ramp_steps >= 1, 'losses.ramp_steps', self.ramp_steps, 'is 1 or more')


@dataclasses.dataclass(frozen=True, kw_only=True)
class Adversary:
    """Discriminators and what they are trained with."""

    model: Discriminators
    config: AdversaryConfig


def ramp(config: AdversaryConfig, step: jax.Array) -> jax.Array:
    """Equation (5)."""
    return jnp.clip((step - config.counts_from) / config.ramp_steps, 0.0, 1.0)


def adversarial_loss(
    adversary: Adversary,
    params: Any,
    original: jax.Array,
    decoded: jax.Array,
    step: jax.Array,
) -> tuple[jax.Array, Terms]:
    """What (4) adds to the reconstruction, and its terms, unweighted, by name.

    Args:
        adversary: the discriminators, weights and times.
        params: of the discriminators, a tree without sharding boxes.
        original: `[batch, sample, 2]`, left and right.
        decoded: the same shape.
        step: [] int32.
    """
    config = adversary.config
    terms = jax.lax.cond(
        step >= config.learns_from,
        functools.partial(_terms, adversary.model),
        functools.partial(_no_terms, adversary.model),
        params,
        original,
        decoded,
    )
    generator = (
        config.adversarial * terms['adversarial']
        + config.feature_matching * terms['feature_matching']
    )
    discriminator = _mean([terms[name] for name in terms if name.startswith(DISCRIMINATOR)])
    counts = ramp(config, step)
    return counts * generator + discriminator, {**terms, 'adversary_ramp': counts}


def _terms(
    model: Discriminators, params: Any, original: jax.Array, decoded: jax.Array
) -> dict[str, jax.Array]:
    """(2), (3), and (1) for each discriminator."""
    hold = jax.lax.stop_gradient
    # The last two differ in what they hold alone: the compiler computes them once.
    of_original = judge(model, params, original)
    of_held = judge(model, params, hold(decoded))
    of_decoded = judge(model, hold(params), decoded)
    terms = {
        f'{DISCRIMINATOR}_{name}': _square(of_original[name][-1] - 1) + _square(of_held[name][-1])
        for name in of_original
    }
    fooled = [_square(maps[-1] - 1) for maps in of_decoded.values()]
    matched = [
        matching(hold(of_original[name][:-1]), of_decoded[name][:-1]) for name in of_original
    ]
    return {'adversarial': _mean(fooled), 'feature_matching': _mean(matched), **terms}


def _no_terms(
    model: Discriminators, params: Any, original: jax.Array, decoded: jax.Array
) -> dict[str, jax.Array]:
    """Zeros in their place."""
    terms = jax.eval_shape(functools.partial(_terms, model), params, original, decoded)
    return {name: jnp.zeros(term.shape, term.dtype) for name, term in terms.items()}


def matching(true: Maps, ours: Maps) -> jax.Array:
    """Equation (3) of one discriminator."""
    return _mean(
        [
            jnp.mean(jnp.abs(x - y)) / (jnp.mean(jnp.abs(x)) + 1e-6)
            for x, y in zip(true, ours, strict=True)
        ]
    )


def two_optimizers(
    autoencoder: optax.GradientTransformation,
    discriminator: optax.GradientTransformation,
    learns_from: int = 0,
) -> optax.GradientTransformation:
    """One for each network: its own learning rate, moments and clipping.

    That of the discriminators begins at step `learns_from`.
    """
    waiting = optax.transforms.conditionally_mask(discriminator, lambda step: step >= learns_from)
    return optax.partition(
        {AUTOENCODER: autoencoder, DISCRIMINATOR: waiting},
        {AUTOENCODER: AUTOENCODER, DISCRIMINATOR: DISCRIMINATOR},
    )


def _square(x: jax.Array) -> jax.Array:
    return jnp.mean(jnp.square(x))


def _mean(values: list[jax.Array]) -> jax.Array:
    return jnp.mean(jnp.stack(values))
