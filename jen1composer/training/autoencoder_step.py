"""What one training step asks of the autoencoder ("masked noise-robust", JEN-1).

(1) z = encode(x)
(2) z' = keep * (z + noise * n),  n Gaussian;  keep = 0 for `masked_share` of the frames, else 1
(3) loss = reconstruction(x, decode(z')) + latent_penalty * mean z^2
                                         + tones * tone_distance, if the decoder has tones
                                         + what an adversary asks, if there is one

The noise has a fixed size and the penalty holds the latents near unit size, so that the encoder
cannot escape the noise by shouting: what it says must be worth saying above the noise, and the
decoder learns to tolerate latents that are slightly wrong, as generated ones are.

n and keep are drawn from (seed, example index) and nothing else.
"""

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp

from jen1composer.diffusion.randomness import Draw, example_keys
from jen1composer.errors import require
from jen1composer.models.autoencoder import (
    STEREO,
    Autoencoder,
    decode_with_levels,
    encode,
    tone_levels,
)
from jen1composer.training.adversary import (
    AUTOENCODER,
    DISCRIMINATOR,
    Adversary,
    adversarial_loss,
)
from jen1composer.training.autoencoder_losses import (
    AutoencoderLossConfig,
    reconstruction_loss,
    tone_distance,
)
from jen1composer.training.step import LossFn


@dataclasses.dataclass(frozen=True, kw_only=True)
class AutoencoderTaskConfig:
    losses: AutoencoderLossConfig = AutoencoderLossConfig()  # noqa: RUF009 (frozen)
    masked_share: float = 0.05  # of latent frames
    noise: float = 0.3  # standard deviation
    latent_penalty: float = 0.01

    def __post_init__(self) -> None:
        share = self.masked_share
        require(0 <= share < 1, 'task.masked_share', share, 'is 0 up to, but not, 1')
        for name in ('noise', 'latent_penalty'):
            value = getattr(self, name)
            require(0 <= value < math.inf, f'task.{name}', value, 'is 0 or more')


def make_loss(
    model: Autoencoder,
    config: AutoencoderTaskConfig,
    seed: int,
    adversary: Adversary | None = None,
) -> LossFn:
    """Returns `(params, batch, step) -> (loss, metrics)`.

    The step chooses the window where the losses take turns, and times the adversary. The batch maps
    'waveform' to `[batch, sample, 2]` and 'index' to `[batch]` uint32. The parameters are what
    `init_params` gives with the same adversary.
    """

    def loss_fn(
        params: Any, batch: Mapping[str, jax.Array], step: jax.Array
    ) -> tuple[jax.Array, Mapping[str, jax.Array]]:
        waveform, ours = batch['waveform'], autoencoder_of(params, adversary)
        latents = encode(model, ours, waveform)
        spoilt = spoil(latents, batch['index'], config, seed)
        decoded, told = decode_with_levels(model, ours, spoilt)
        loss, terms = reconstruction_loss(waveform, decoded, config.losses, step)
        if told is not None:
            measured = tone_levels(model.config, waveform)
            term = tone_distance(measured, told, config.losses.floor)
            loss, terms = loss + config.losses.tones * term, {**terms, 'tones': term}
        power = jnp.mean(jnp.square(latents))
        loss, terms = loss + config.latent_penalty * power, {**terms, 'latent_power': power}
        if adversary is None:
            return loss, terms
        theirs = params[DISCRIMINATOR]
        added, asked = adversarial_loss(adversary, theirs, waveform, decoded, step)
        return loss + added, {**terms, **asked}

    return loss_fn


def init_params(model: Autoencoder, seed: int, adversary: Adversary | None = None) -> Any:
    """Fresh parameters, boxed with their logical axes: the autoencoder's tree alone, or both."""
    sound = jnp.zeros((1, model.config.hop_samples, STEREO))
    ours = model.init(jax.random.key(seed), sound)['params']
    if adversary is None:
        return ours
    theirs = adversary.model.init(jax.random.fold_in(jax.random.key(seed), 1), sound)['params']
    return {AUTOENCODER: ours, DISCRIMINATOR: theirs}


def autoencoder_of(params: Any, adversary: Adversary | None) -> Any:
    """The autoencoder's part of what is trained."""
    return params if adversary is None else params[AUTOENCODER]


def spoil(
    latents: jax.Array, index: jax.Array, config: AutoencoderTaskConfig, seed: int
) -> jax.Array:
    """Equation (2) on `[batch, frame, channel]`; row i is a function of (seed, index[i]) alone."""

    def one(z: jax.Array, mask_key: jax.Array, noise_key: jax.Array) -> jax.Array:
        keep = jax.random.bernoulli(mask_key, 1.0 - config.masked_share, (z.shape[0], 1))
        return keep * (z + config.noise * jax.random.normal(noise_key, z.shape))

    mask_keys = example_keys(seed, index, Draw.LATENT_MASK)
    return jax.vmap(one)(latents, mask_keys, example_keys(seed, index, Draw.LATENT_NOISE))
