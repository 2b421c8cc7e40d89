"""musicnn: a network that tags music, whose last hidden layer is an ear for it.

Of a log-mel patch X [frame, band], with norm(x) = scale x + shift for each channel,

(1) X <- norm(X)
(2) F = for each of five kernels, the maximum over the bands of norm(relu(conv X)), side by side:
    two of 7 frames by 38 and 67 bands hear timbre, three of 128, 64 and 32 frames by one hear time
(3) A = norm(relu(conv F)), over 7 frames and all of F;  B = norm(relu(conv A)) + A;
    C = norm(relu(conv B)) + B
(4) p = for each channel of F, A, B and C: its maximum and its mean over the frames
(5) embedding = norm(relu(norm(p) W + b)), 200 channels
(6) logits = embedding V + c, one a tag; probabilities are sigmoid of them, each for itself

The number of frames is free. Convolutions keep it; none is filled up over the bands. The norms are
batch norms at rest, whose four vectors are put into two (`params_from_tensorflow`).
Source: Pons and Serra 2019, arXiv 1909.06654 (musicnn), in their smaller form of 787 thousand
weights.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

BANDS, WIDTH = 96, 200
_FRONT, _MIDDLE = 5, 3  # convolutions of (2) and of (3)
_EPSILON = 1e-3  # of the batch norms


class Heard(NamedTuple):
    """What `musicnn` makes of patches."""

    embedding: jax.Array  # [patch, 200]
    logits: jax.Array  # [patch, tag]


def musicnn(params: Any, log_mel: jax.Array) -> Heard:
    """Equations (1) to (6).

    Args:
      params: of `params_from_tensorflow`.
      log_mel: `[patch, frame, 96]`, log10(1 + 10^4 power).
    """

    def norm(x: jax.Array, name: str) -> jax.Array:
        return x * params[name]['scale'] + params[name]['shift']

    def layer(x: jax.Array, place: int) -> jax.Array:
        """[patch, frame, band, 1] -> [patch, frame, place of the kernel among the bands, out]."""
        kernel = params[f'conv_{place}']['kernel']
        before, over = (len(kernel) - 1) // 2, len(kernel) // 2
        y = jax.lax.conv_general_dilated(
            x, kernel, (1, 1), ((before, over), (0, 0)), dimension_numbers=('NHWC', 'HWIO', 'NHWC')
        )
        return norm(jax.nn.relu(y + params[f'conv_{place}']['bias']), f'norm_{place + 1}')

    x = norm(log_mel[..., None], 'norm_0')  # (1)
    front = jnp.concatenate([layer(x, i).max(axis=2) for i in range(_FRONT)], axis=-1)  # (2)
    parts = [front]
    for place in range(_FRONT, _FRONT + _MIDDLE):  # (3)
        out = layer(parts[-1][..., None], place)[:, :, 0]
        parts.append(out if len(parts) == 1 else out + parts[-1])
    every = jnp.concatenate(parts, axis=-1)
    pooled = jnp.stack([every.max(axis=1), every.mean(axis=1)], axis=-1)  # (4)
    pooled = norm(pooled.reshape(len(pooled), -1), 'norm_9')
    hidden = jax.nn.relu(pooled @ params['dense_0']['kernel'] + params['dense_0']['bias'])
    embedding = norm(hidden, 'norm_10')  # (5)
    return Heard(embedding, embedding @ params['dense_1']['kernel'] + params['dense_1']['bias'])


def params_from_tensorflow(weights: Mapping[str, np.ndarray]) -> dict[str, dict[str, np.ndarray]]:
    """The parameters from the variables of the published checkpoint, by their names there."""
    params = {}
    for place in range(_FRONT + _MIDDLE + 3):
        there = _name('batch_normalization', place)
        gamma, beta, mean, variance = (
            weights[f'{there}/{leaf}'].astype(np.float64)
            for leaf in ('gamma', 'beta', 'moving_mean', 'moving_variance')
        )
        scale = gamma / np.sqrt(variance + _EPSILON)
        leaves = {'scale': scale, 'shift': beta - mean * scale}
        params[f'norm_{place}'] = {key: x.astype(np.float32) for key, x in leaves.items()}
    for kind, theirs, count in (('conv', 'conv2d', _FRONT + _MIDDLE), ('dense', 'dense', 2)):
        for place in range(count):
            there = _name(theirs, place)
            params[f'{kind}_{place}'] = {
                leaf: weights[f'{there}/{leaf}'] for leaf in ('kernel', 'bias')
            }
    return params


def _name(layer: str, place: int) -> str:
    """TensorFlow's name of the `place`-th layer of a kind."""
    return f'{layer}_{place}' if place else layer
