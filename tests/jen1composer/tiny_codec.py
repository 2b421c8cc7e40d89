"""A codec that runs in milliseconds: three levels, one of them odd, and random weights."""

import dataclasses
import functools

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from jen1composer.models.autoencoder import Autoencoder, AutoencoderConfig
from jen1composer.models.whitening import LatentStatistics, fit
from jen1composer.training.codec import Codec

TINY = AutoencoderConfig(
    strides=(12, 3, 2),
    channels=(6, 8, 10),
    encoder_blocks=(1, 0, 2),
    decoder_blocks=(0, 2, 1),
    latent_channels=5,
    bands=3,
    band_corner_hz=5000.0,
)

# Whose decoder has oscillators, which go by the clock.
TONAL = dataclasses.replace(
    TINY, tones_per_octave=3, tone_octaves=2, tone_lowest_hz=2000.0, tone_window=500
)

# Of one level, for what must compile in a second.
SMALL = AutoencoderConfig(
    strides=(8,),
    channels=(6,),
    encoder_blocks=(0,),
    decoder_blocks=(0,),
    latent_channels=4,
    bands=2,
    band_corner_hz=5000.0,
)


@functools.partial(jax.jit, static_argnums=0)
def params(config: AutoencoderConfig = TINY):
    sound = jnp.zeros((1, config.hop_samples, 2))
    return nn.unbox(Autoencoder(config).init(jax.random.key(0), sound)['params'])


def sound(*shape: int, seed: int = 0) -> np.ndarray:
    """White noise at -20 dB."""
    return (0.1 * np.random.default_rng(seed).standard_normal(shape)).astype(np.float32)


def codec(config: AutoencoderConfig = TINY) -> Codec:
    latents = np.random.default_rng(1).standard_normal((100, config.latent_channels))
    whitening = fit(LatentStatistics.of(latents))
    return Codec(config=config, params=params(config), whitening=whitening)
