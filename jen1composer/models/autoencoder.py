"""The autoencoder: 48 kHz stereo to a slow sequence of latent vectors and back, nothing quantised.

1. Left and right become mid and side, and both become frames of MDCT coefficients
   (`models.framing`): no layer works at the sample rate, which is what makes a CPU fast enough.
2. Loudness spans five decades, so the encoder sees arcsinh(coefficient / knee), which is linear
   below the knee and logarithmic above, and the log power of each of a few bands.
3. Levels of residual blocks follow; between two levels the frames are grouped and mapped by a
   matrix. The decoder mirrors them.
4. The decoder ends in a gain and a shape, as in speech codecs: coefficient = exp(gain of its band,
   interpolated) x shape. The network need not produce the five decades itself.
5. With `tones_per_octave`, the level of each pitch (`models.tones`) is shown to the encoder's last
   level beside (3), and the decoder ends in a level for each as well, exp(what it says), which
   sounds by the clock and is added to (4). Latents then say which notes sound, not their phase.
   A matrix leads straight from levels to latents and another back, since what one matrix can do is
   learnt first: without them hardly any pitch was kept (configs/tonal_autoencoder.py).

Masking and noise on the latents, which make the decoder tolerant, are the training step's.

Normalisation is over the channels of one frame and there is no attention, so that a latent frame
depends on `encoder_reach` frames of sound on either side and a frame of sound on `decoder_reach`
latents: long audio is coded in overlapping chunks that equal the whole (`training.codec`).
"""

import dataclasses
import functools
import math
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from jen1composer.errors import BadInput, require
from jen1composer.models import framing, tones
from jen1composer.models.layers import ANYWHERE, Conv, Dense, Placement, RMSNorm
from jen1composer.tracks import SAMPLE_RATE

STEREO = 2
POWER_FLOOR = 1e-9  # -90 dB of full scale, what silence is taken for
QUIET = -5.0  # log of the gain that the untrained decoder starts with
QUIET_TONE = -8.0  # and of each tone's level
LEVEL_FLOOR = 1e-3  # of a tone, -60 dB of full scale

# A residual branch starts small: the blocks begin near the identity.
small = nn.initializers.variance_scaling(0.1, 'fan_in', 'truncated_normal')


@dataclasses.dataclass(frozen=True, kw_only=True)
class AutoencoderConfig:
    """Sizes; the columns have one entry per level, from the sound to the latents."""

    # levels
    strides: tuple[int, ...]  # frames of the level before (first: samples) that make one
    channels: tuple[int, ...]  # width
    encoder_blocks: tuple[int, ...]  # residual blocks
    decoder_blocks: tuple[int, ...]

    # structure
    latent_channels: int
    kernel: int = 3  # frames a block's convolution sees, odd
    bands: int = 24  # of gain, on a scale that is linear below `band_corner_hz`
    band_corner_hz: float = 300.0
    knee: float = 1e-3  # coefficient where arcsinh turns from linear to logarithmic

    # pitches that sound by the clock
    tones_per_octave: int = 0  # 0: none
    tone_octaves: int = 8
    tone_lowest_hz: float = 32.703  # C1
    tone_window: int = 8192  # samples that a level is measured in, at most

    def __post_init__(self) -> None:
        columns = (self.strides, self.channels, self.encoder_blocks, self.decoder_blocks)
        if len({len(column) for column in columns}) != 1 or not self.strides:
            raise BadInput(
                'model: strides, channels, encoder_blocks and decoder_blocks need one '
                f'entry per level, got {columns}'
            )
        for name, least in (
            ('strides', 1),
            ('channels', 1),
            ('encoder_blocks', 0),
            ('decoder_blocks', 0),
        ):
            values = getattr(self, name)
            whole = all(isinstance(value, int) and value >= least for value in values)
            require(whole, f'model.{name}', values, f'are whole numbers of {least} or more')
        require(
            self.latent_channels >= 1, 'model.latent_channels', self.latent_channels, 'is 1 or more'
        )
        require(self.bands >= 2, 'model.bands', self.bands, 'is 2 or more')
        require(self.knee > 0, 'model.knee', self.knee, 'is more than 0')
        require(
            self.tones_per_octave >= 0,
            'model.tones_per_octave',
            self.tones_per_octave,
            'is 0 or more',
        )
        if self.tones_per_octave:
            highest = self.tone_lowest_hz * 2.0**self.tone_octaves
            heard = 0 < self.tone_lowest_hz < highest <= SAMPLE_RATE / 2
            pair = (self.tone_lowest_hz, self.tone_octaves)
            allowed = f'are octaves of up to {SAMPLE_RATE // 2} Hz'
            require(heard, 'model.tone_lowest_hz and tone_octaves', pair, allowed)
            require(self.tone_window >= 16, 'model.tone_window', self.tone_window, 'is 16 or more')
        if self.kernel % 2 == 0:
            raise BadInput(f'model.kernel: {self.kernel}; allowed are odd widths')
        if not band_weights(self).any(axis=1).all():
            raise BadInput(
                f'model.bands: {self.bands} with a corner of {self.band_corner_hz} Hz '
                f'leave a band without any of the {self.strides[0]} frequencies; take fewer bands'
            )

    @property
    def hop_samples(self) -> int:
        """Samples from one latent frame to the next."""
        return math.prod(self.strides)

    @property
    def pitches(self) -> tones.Pitches:
        """Of the tones, where there are any."""
        return tones.Pitches(
            lowest_hz=self.tone_lowest_hz,
            per_octave=self.tones_per_octave,
            octaves=self.tone_octaves,
        )

    @property
    def encoder_reach(self) -> int:
        """Frames of sound on each side of its own that a latent frame depends on at most."""
        first = last = 0  # the span at each level, from the latents down to samples
        for stride, blocks in reversed(list(zip(self.strides, self.encoder_blocks, strict=True))):
            first, last = first - blocks * (self.kernel // 2), last + blocks * (self.kernel // 2)
            first, last = first * stride - stride // 2, (last + 2) * stride - stride // 2 - 1
        by_tones = 0
        if self.tones_per_octave:
            beside = tones.strides_beside(self.hop_samples, self.tone_window)
            by_tones = beside + self.encoder_blocks[-1] * (self.kernel // 2)
        return max(-(first // self.hop_samples), last // self.hop_samples, by_tones)

    @property
    def decoder_reach(self) -> int:
        """Latent frames on each side of its own that a frame of sound depends on at most."""
        first, last = 0, self.hop_samples - 1  # the span at each level, from samples up to latents
        for stride, blocks in zip(self.strides, self.decoder_blocks, strict=True):
            # Position p is covered by the frames i with  i s - s//2 <= p < (i + 2) s - s//2.
            first, last = (first + stride // 2) // stride - 1, (last + stride // 2) // stride
            first, last = first - blocks * (self.kernel // 2), last + blocks * (self.kernel // 2)
        return max(-first, last)


def band_weights(config: AutoencoderConfig) -> np.ndarray:
    """Triangles that interpolate bands over coefficients: `[band, coefficient]`, columns sum to 1.

    The centres are evenly spaced on log(1 + f / corner): linear in the bass, octaves above it.
    """
    stride = config.strides[0]
    frequency_hz = (np.arange(stride) + 0.5) / stride * SAMPLE_RATE / 2
    pitch = np.log1p(frequency_hz / config.band_corner_hz)
    centres = np.linspace(pitch[0], pitch[-1], config.bands)
    spacing = centres[1] - centres[0]
    triangles = np.maximum(0.0, 1 - np.abs(pitch - centres[:, None]) / spacing)
    return (triangles / triangles.sum(0)).astype(np.float32)


class Block(nn.Module):
    """x + Dense(silu(Conv(RMSNorm(x)))) on `[batch, frame, channel]`."""

    kernel: int
    place: Placement = ANYWHERE

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        channels, place = x.shape[-1], self.place
        conv = Conv(channels, ('channel', 'inner'), width=self.kernel, place=place)
        y = place.features(conv(RMSNorm()(x)), ('batch', 'frame', 'inner'))
        dense = Dense(channels, ('inner', 'channel'), kernel_init=small, place=place)
        return place.features(x + dense(nn.silu(y)), ('batch', 'frame', None))


class Autoencoder(nn.Module):
    """Stereo sound `[batch, sample, 2]` <-> latents `[batch, frame, channel]`."""

    config: AutoencoderConfig
    place: Placement = ANYWHERE

    def setup(self) -> None:
        config = self.config
        dense = functools.partial(Dense, place=self.place)
        block = functools.partial(Block, config.kernel, self.place)
        self.down = [dense(channels) for channels in config.channels]
        self.up = [
            dense(2 * stride * channels)
            for stride, channels in zip(config.strides[1:], config.channels[:-1], strict=True)
        ]
        self.encoder_blocks = [[block() for _ in range(number)] for number in config.encoder_blocks]
        self.decoder_blocks = [[block() for _ in range(number)] for number in config.decoder_blocks]
        self.encoder_norm, self.decoder_norm = RMSNorm(), RMSNorm()
        self.to_latent = dense(config.latent_channels)
        self.from_latent = dense(config.channels[-1], (None, 'channel'))
        self.gain = dense(config.bands * STEREO)
        self.shape = dense(config.strides[0] * STEREO)
        if config.tones_per_octave:
            self.tone = dense(len(config.pitches.hz) * STEREO)
            self.tone_to_latent = dense(config.latent_channels)
            self.tone_from_latent = dense(len(config.pitches.hz) * STEREO, (None, 'channel'))

    def __call__(self, waveform: jax.Array) -> jax.Array:
        return self.decode(self.encode(waveform))

    def encode(self, waveform: jax.Array) -> jax.Array:
        """`[batch, frame x hop_samples, 2]` -> `[batch, frame, channel]`, float32."""
        if waveform.shape[1] % self.config.hop_samples:
            raise ValueError(
                f'Autoencoder.encode: {waveform.shape[1]} samples; '
                f'allowed are multiples of {self.config.hop_samples}'
            )
        # [batch, frame, frequency, mid and side]
        coefficients = framing.mdct(rotate_stereo(waveform), self.config.strides[0])
        heard = self._tone_features(waveform) if self.config.tones_per_octave else None
        h = self._features(coefficients)
        for level, blocks in enumerate(self.encoder_blocks):
            if level > 0:
                h = _flat(framing.frames(h, self.config.strides[level]))
            if heard is not None and level == len(self.config.strides) - 1:
                h = jnp.concatenate([h, heard], axis=-1)
            h = self.down[level](h)
            for block in blocks:
                h = block(h)
        latents = self.to_latent(self.encoder_norm(h))
        return latents if heard is None else latents + self.tone_to_latent(heard)

    def decode(self, latents: jax.Array, start: jax.Array | None = None) -> jax.Array:
        """`[batch, frame, channel]` -> `[batch, frame x hop_samples, 2]`, float32.

        `start` is the frame of the whole at which each example begins, [batch] int32, by default
        its first: tones go by the clock.
        """
        return self.decode_with_levels(latents, start)[0]

    def decode_with_levels(
        self, latents: jax.Array, start: jax.Array | None = None
    ) -> tuple[jax.Array, jax.Array | None]:
        """What `decode` returns, and the level of each tone in it, left and right.

        The levels are `[batch, frame of the first level, pitch, 2]`, 0 or more; None without tones.
        """
        config = self.config
        h = self.from_latent(latents)
        for level in reversed(range(len(config.strides))):
            for block in self.decoder_blocks[level]:
                h = block(h)
            if level > 0:
                wide = self.up[level - 1](h)
                h = framing.overlap_add(wide.reshape(*h.shape[:2], 2 * config.strides[level], -1))
        h = self.decoder_norm(h)
        # [batch, frame, band or frequency, mid and side]
        gain = self.gain(h).reshape(*h.shape[:2], -1, STEREO) + QUIET
        shape = self.shape(h).reshape(*h.shape[:2], -1, STEREO)
        log_gain = jnp.einsum('BFNC,NK->BFKC', gain, band_weights(config))
        sound = rotate_stereo(framing.inverse_mdct(shape * jnp.exp(log_gain)))
        if not config.tones_per_octave:
            return sound, None
        repeats = config.hop_samples // config.strides[0]
        log_levels = self.tone(h) + jnp.repeat(self.tone_from_latent(latents), repeats, axis=1)
        levels = jnp.exp(log_levels.reshape(*h.shape[:2], -1, STEREO) + QUIET_TONE)
        begun = jnp.zeros(h.shape[0], jnp.int32) if start is None else start
        begun = begun * repeats
        return sound + tones.sound(levels, config.pitches, config.strides[0], begun), levels

    def _tone_features(self, waveform: jax.Array) -> jax.Array:
        """The levels of all pitches left and right, `[batch, frame, channel]`, of order one."""
        return _flat((jnp.log(tone_levels(self.config, waveform) + LEVEL_FLOOR) + 5) / 1.5)

    def _features(self, coefficients: jax.Array) -> jax.Array:
        """What the first layer sees of `[batch, frame, frequency, 2]`: all of order one."""
        weights = band_weights(self.config)
        weights = weights / weights.sum(axis=1, keepdims=True)
        power = jnp.einsum('BFKC,NK->BFNC', jnp.square(coefficients), weights)
        loudness = jnp.log(power + POWER_FLOOR) / 3 + 2
        compressed = jnp.arcsinh(coefficients / self.config.knee)
        return jnp.concatenate([_flat(compressed), _flat(loudness)], axis=-1)


def encode(model: Autoencoder, params: Any, waveform: jax.Array) -> jax.Array:
    """`Autoencoder.encode` with the parameters `params`, a tree without sharding boxes."""
    return jnp.asarray(model.apply({'params': params}, waveform, method=Autoencoder.encode))


def decode(
    model: Autoencoder, params: Any, latents: jax.Array, start: jax.Array | None = None
) -> jax.Array:
    """`Autoencoder.decode` with the parameters `params`."""
    return jnp.asarray(model.apply({'params': params}, latents, start, method=Autoencoder.decode))


def decode_with_levels(
    model: Autoencoder, params: Any, latents: jax.Array
) -> tuple[jax.Array, jax.Array | None]:
    """`Autoencoder.decode_with_levels` with the parameters `params`."""
    found: Any = model.apply({'params': params}, latents, method=Autoencoder.decode_with_levels)
    decoded, levels = found
    return decoded, levels


def tone_levels(config: AutoencoderConfig, waveform: jax.Array) -> jax.Array:
    """What sounds at each pitch: `[batch, sample, 2]` -> `[batch, frame, pitch, 2]`."""
    return tones.levels(waveform, config.pitches, config.hop_samples, config.tone_window)


def rotate_stereo(x: jax.Array) -> jax.Array:
    """Left and right to mid and side, `(l + r, l - r) / sqrt 2`; its own inverse."""
    left, right = x[..., 0], x[..., 1]
    return jnp.stack([left + right, left - right], axis=-1) * np.float32(np.sqrt(0.5))


def _flat(x: jax.Array) -> jax.Array:
    """`[batch, frame, a, b]` -> `[batch, frame, a x b]`."""
    return x.reshape(*x.shape[:2], -1)
