"""Weights, sounds and tokens that a peer and the tests draw alike, so that none need be recorded.

Everything is a function of its name or number; numpy alone is needed.
"""

import zlib

import numpy as np


def weight(name: str, shape: tuple[int, ...], gain: float = 1.0) -> np.ndarray:
    """A weight of PyTorch's names, float32: at the scale that lets signals through.

    Matrices have the variance gain / fan-in, the scales of norms are near 1, other vectors small,
    and the running mean and variance of a batch norm those of decibels.
    """
    draw = np.random.default_rng((0, zlib.crc32(name.encode()))).standard_normal(shape, np.float32)
    if name.endswith('running_mean'):
        return -40 + 5 * draw
    if name.endswith('running_var'):
        return 200 + 100 * np.tanh(draw)
    if len(shape) < 2:
        scale = 'norm' in name.lower() and name.endswith('weight')
        return np.float32(scale) + np.float32(0.1) * draw
    fan_in = int(np.prod(shape[1:]))
    return draw * np.float32(np.sqrt(gain / fan_in))


def sounds(size: int) -> dict[str, np.ndarray]:
    """Mono float32 at 48 kHz: `size` samples, fewer, much fewer, and silence."""
    draw = np.random.default_rng(1)
    time = np.arange(size) / 48000
    chord = sum(np.sin(2 * np.pi * hertz * time) for hertz in (110, 330, 1234.5, 6000))
    noise = draw.standard_normal(size)
    whole = 0.1 * chord + 0.02 * noise * (np.sin(2 * np.pi * 2 * time) > 0)
    return {
        'whole': whole.astype(np.float32),
        'short': whole[: size * 3 // 10].astype(np.float32),  # three of them, and a rest
        'long_short': (0.3 * noise[: size * 7 // 10]).astype(np.float32),  # one, and a rest
        'silence': np.zeros(size, np.float32),
    }


def tokens(vocabulary: int) -> tuple[np.ndarray, np.ndarray]:
    """`[text, token]` int32 of RoBERTa's, whose padding is 1 and nothing else is, and the mask."""
    mask = np.arange(30) < np.array([30, 7, 2])[:, None]
    tokens = np.random.default_rng(2).integers(2, vocabulary, mask.shape)
    return np.where(mask, tokens, 1).astype(np.int32), mask
