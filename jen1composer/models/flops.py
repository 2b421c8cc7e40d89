"""How many floating-point operations a network takes, counted from its config alone.

Counted are products of matrices, a multiplication and an addition for each pair of numbers:

(1) a matrix from a to b channels at n positions                        2 n a b
(2) a convolution of width w, the zeros beyond the ends included        2 n w a b
(3) attention of n frames to S keys each, C channels in all its heads   2 n S C for the logits and
                                                                        2 n S C for the mixture

What goes element by element (norms, activations, softmax) is left out; where levels are 64 channels
wide or more it is a few hundredths. With F the sum over one forward pass, the gradient of what the
network gives, by its weights, takes, F included,

(4) 3 F - E + R

because a product has two in its gradient, by its weights and by its input. E are those by an input
that nothing is learned from: latents, sounds, fixed sinusoids. A training step has the losses and
the optimiser on top, which are not counted here. R is what is computed a second time instead of
being kept:

(5) remat 'none':   0
(6) remat 'block':  each block and each end but its last product, whose result the gradient does
                    not need
(7) remat 'full':   (6), and each block that is not the last of its level once more, entirely, to
                    find the inputs that (6) begins with
"""

import dataclasses

from jen1composer.harmony import chord_features, key_features
from jen1composer.models.autoencoder import STEREO, AutoencoderConfig
from jen1composer.models.conditions import PERIODS_AN_OCTAVE
from jen1composer.models.layers import Conv
from jen1composer.models.unet_config import UNetConfig

VERSION = 1  # of the counting above: figures of two versions are not compared
KERNEL = Conv.width  # frames that a convolution of the UNet sees


@dataclasses.dataclass(frozen=True, kw_only=True)
class Shape:
    """The sizes of the batch that a UNet is called with."""

    batch: int
    frames: int
    prompt_tokens: int
    prefix_tokens: int


@dataclasses.dataclass(frozen=True, kw_only=True)
class Block:
    """Operations of one block of a level."""

    part: str
    forward: int
    last: int  # of its last product


def product(positions: int, inputs: int, outputs: int, width: int = 1) -> int:
    """Equations (1) and (2)."""
    return 2 * positions * width * inputs * outputs


# ---- The UNet


def unet_forward(config: UNetConfig, shape: Shape) -> dict[str, int]:
    """Operations of one forward pass, by part of the network."""
    tokens, context_width = _context(config, shape)
    context = shape.batch * tokens * (config.context_width is not None)
    parts = {
        'ends': sum(_enter(config, shape)) + sum(_leave(config, shape)),
        'times': sum(_times(config, shape)),
        'context': product(context, config.text_width, context_width),
        'merging': _merging(config, shape),
        'residual': 0,
        'attention': 0,
    }
    if config.control:
        parts['control'] = sum(_control(config, shape))
    for level in _levels(config, shape):
        for block in level:
            parts[block.part] += block.forward
    return parts


def unet_gradient(config: UNetConfig, shape: Shape) -> int:
    """Operations of a forward pass and its gradient, equation (4)."""
    no_gradient = _enter(config, shape)[0] + sum(_control(config, shape)[:2])
    if config.time_embedding == 'fixed':
        no_gradient += _times(config, shape)[0]
    again = 0
    if config.remat != 'none':  # (6)
        again += sum(_enter(config, shape)[:-1]) + sum(_leave(config, shape)[:-1])
    for level in _levels(config, shape):
        if config.remat != 'none':
            again += sum(block.forward - block.last for block in level)
        if config.remat == 'full':  # (7)
            again += sum(block.forward for block in level[:-1])
    return 3 * sum(unet_forward(config, shape).values()) - no_gradient + again


def unet_model_gradient(config: UNetConfig, shape: Shape) -> int:
    """Equation (4) without R, which is no work of the model's: what MFU counts."""
    return unet_gradient(dataclasses.replace(config, remat='none'), shape)


def _enter(config: UNetConfig, shape: Shape) -> list[int]:
    """The products at the entrance, in order."""
    positions, tracks, width = shape.batch * shape.frames, config.num_tracks, config.channels[0]
    if config.norm_groups == 1:
        return [product(positions, tracks * config.input_channels, width, KERNEL)]
    return [
        product(positions * tracks, config.input_channels, width),
        product(positions, tracks * width, width, KERNEL),
    ]


def _leave(config: UNetConfig, shape: Shape) -> list[int]:
    positions, tracks, width = shape.batch * shape.frames, config.num_tracks, config.channels[0]
    if config.norm_groups == 1:
        return [product(positions, width, tracks * config.latent_channels, KERNEL)]
    return [
        product(positions, width, tracks * width, KERNEL),
        product(positions * tracks, width, config.latent_channels),
    ]


def _times(config: UNetConfig, shape: Shape) -> list[int]:
    sinusoids = config.num_tracks * 2 * config.time_frequencies
    return [
        product(shape.batch, sinusoids, config.condition_width),
        product(shape.batch, config.condition_width, config.condition_width),
    ]


def _control(config: UNetConfig, shape: Shape) -> list[int]:
    """The products of chords, and of tempo and key, the first of each on what is not learned."""
    if not config.control:
        return []
    tempo_and_key = 2 * len(PERIODS_AN_OCTAVE) + 1 + key_features().shape[1]
    return [
        product(shape.batch * shape.frames, chord_features().shape[1], config.channels[0]),
        product(shape.batch, tempo_and_key, config.condition_width),
        product(shape.batch, config.condition_width, config.condition_width),
    ]


def _context(config: UNetConfig, shape: Shape) -> tuple[int, int]:
    """Tokens and width of what cross-attention looks at."""
    tokens = shape.prompt_tokens
    if config.use_prefix:
        tokens += shape.prefix_tokens
    if config.use_role_tokens:
        tokens += config.num_tracks
    return tokens, config.context_width or config.text_width


def _frames(config: UNetConfig, shape: Shape) -> list[int]:
    """Frames of each level."""
    frames, counts = shape.frames, []
    for factor in config.factors:
        frames //= factor
        counts.append(frames)
    return counts


def _merging(config: UNetConfig, shape: Shape) -> int:
    total = 0
    for i, frames in list(enumerate(_frames(config, shape)))[1:]:
        positions, factor = shape.batch * frames, config.factors[i]
        above, here = config.channels[i - 1], config.channels[i]
        total += 2 * product(positions, factor * above, here)  # merged, and split again
        total += product(positions * factor, 2 * above, above)  # joined with the skip
    return total


def _levels(config: UNetConfig, shape: Shape) -> list[list[Block]]:
    """The blocks of every level, those above the bottom twice: on the way down and up."""
    levels = []
    for i, frames in enumerate(_frames(config, shape)):
        one = [_residual(config, shape, i, frames)]
        one += config.attentions[i] * [_transformer(config, shape, i, frames)]
        levels.append(config.blocks[i] * one)
    return levels + levels[:-1]


def _residual(config: UNetConfig, shape: Shape, i: int, frames: int) -> Block:
    width = config.channels[i]
    convolution = product(shape.batch * frames, width, width, KERNEL)
    film = product(shape.batch, config.condition_width, 2 * width)
    return Block(part='residual', forward=2 * convolution + film, last=convolution)


def _transformer(config: UNetConfig, shape: Shape, i: int, frames: int) -> Block:
    width, positions = config.channels[i], shape.batch * frames
    tokens, context_width = _context(config, shape)
    square = product(positions, width, width)
    itself = 4 * square + 2 * product(positions, frames, width)  # (3)
    keys = 2 * product(shape.batch * tokens, context_width, width)
    cross = 2 * square + keys + 2 * product(positions, tokens, width)
    inner = config.feed_forward * square
    return Block(part='attention', forward=itself + cross + 2 * inner, last=inner)


# ---- The autoencoder


def autoencoder_forward(config: AutoencoderConfig, *, batch: int, frames: int) -> dict[str, int]:
    """Operations of encoding and of decoding `frames` latent frames of sound."""
    outermost = sum(_outermost(config, batch, frames))
    innermost = product(batch * frames, config.channels[-1], config.latent_channels)
    encode = decode = outermost + innermost
    positions = batch * frames * config.hop_samples
    for i, (stride, width) in enumerate(zip(config.strides, config.channels, strict=True)):
        positions //= stride
        if i > 0:  # overlapping frames of the level above are mapped to one, and back
            moved = product(positions, 2 * stride * config.channels[i - 1], width)
            encode, decode = encode + moved, decode + moved
        block = product(positions, width, width, config.kernel) + product(positions, width, width)
        encode += config.encoder_blocks[i] * block
        decode += config.decoder_blocks[i] * block
    tones = _tones(config, batch, frames)
    return {
        'encode': encode + tones.measured + tones.shown,
        'decode': decode + tones.said + tones.sounded,
    }


def autoencoder_gradient(config: AutoencoderConfig, *, batch: int, frames: int) -> int:
    """Operations of encoding, decoding and their gradient.

    Equation (4), where the MDCT and what is done with it are matrices that are not learned either.
    """
    fixed, learned = _outermost(config, batch, frames)
    forward = sum(autoencoder_forward(config, batch=batch, frames=frames).values())
    # Of fixed matrices none of the encoder's two are needed, one of the decoder's.
    ends = 3 * forward - learned - (2 + 1) * fixed
    tones = _tones(config, batch, frames)
    return ends - 2 * tones.measured - tones.shown - tones.sounded


@dataclasses.dataclass(frozen=True, kw_only=True)
class Tones:
    """Operations of an autoencoder's pitches; the first and the last by fixed matrices."""

    measured: int = 0
    shown: int = 0  # to the encoder's last level, and straight to the latents
    said: int = 0  # by the decoder's last layer, and straight by the latents
    sounded: int = 0


def _tones(config: AutoencoderConfig, batch: int, frames: int) -> Tones:
    if not config.tones_per_octave:
        return Tones()
    pitches, stride = config.pitches, config.strides[0]
    number, bins = len(pitches.hz), pitches.bins(config.tone_window)
    slow = batch * frames
    fast = slow * config.hop_samples // stride
    width = config.channels[-1] + config.latent_channels
    return Tones(
        measured=product(slow * STEREO, bins, number),
        shown=product(slow, STEREO * number, width),
        said=product(fast, config.channels[0], STEREO * number)
        + product(slow, config.latent_channels, STEREO * number),
        sounded=product(fast * STEREO, 2 * number, 2 * stride),
    )


def _outermost(config: AutoencoderConfig, batch: int, frames: int) -> tuple[int, int]:
    """What stands at the sound, on either side: the fixed matrices and the learned one."""
    stride, width = config.strides[0], config.channels[0]
    positions = batch * frames * config.hop_samples // stride
    fixed = product(positions * STEREO, 2 * stride, stride)  # MDCT
    fixed += product(positions * STEREO, stride, config.bands)  # from or to the bands
    learned = product(positions, STEREO * (stride + config.bands), width)
    return fixed, learned
