"""HTSAT, the audio encoder of LAION-CLAP: a shifted-window transformer over a folded spectrogram.

Of a log-mel spectrogram X of F bins, with square images of side S and r = S / F:

(1) X <- (X - m_f) / sqrt(v_f + epsilon) g_f + o_f       a batch norm, frozen, for each mel bin f
(2) X <- B X                   cubic interpolation in time, to r S frames, end upon end
(3) I[q F + f, t] = X[q S + t, f],  q = 0 .. r - 1       r stretches of time, one below the other
(4) x = norm(patches of I, p by p, W + b)                on a grid of S / p by S / p

In stage i the grid is cut into windows of w by w. With H heads of width D and a bias b learned per
head and offset of rows and columns, in each block (pre-norm)

(5) a = softmax(q k^T / sqrt(D) + b) v within a window;  x <- x + a W_a
(6) x <- x + gelu(norm(x) W_1) W_2                       gelu by the error function

where every other block first rolls the grid by w / 2 up and left, and back afterwards, so that its
windows lie across the borders of the others'; those that the roll fills from both ends of the
grid are attended to in parts, each of which sees itself alone. A grid of one window is not rolled.
Between stages

(7) x <- norm(the four patches of each 2 by 2 block, column by column) W

halves the grid and doubles the width. What comes out is

(8) the mean over the patches of norm(x)

Letters of einsum: B example, W window, Q and K patch as query and as key, H head, D head width.
Sources: Chen et al. 2022 (HTSAT), Liu et al. 2021 (Swin), Wu et al. 2023 (LAION-CLAP).
"""

import dataclasses
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from jen1composer.errors import require

EPSILON = 1e-5  # of the norms outside the blocks, where no config says it
CUBIC = -0.75  # the slope of the interpolating cubic, PyTorch's


@dataclasses.dataclass(frozen=True, kw_only=True)
class HTSATConfig:
    """Sizes of an HTSAT, by the names of a CLAP's `audio_config`; the defaults are published.

    Raises BadInput, naming the field, for sizes that cannot be.
    """

    num_mel_bins: int = 64
    spec_size: int = 256  # side of the image
    window_size: int = 8
    patch_size: int = 4
    patch_embeds_hidden_size: int = 96  # width of the first stage
    depths: tuple[int, ...] = (2, 2, 6, 2)  # blocks of each stage
    num_attention_heads: tuple[int, ...] = (4, 8, 16, 32)
    mlp_ratio: float = 4.0
    layer_norm_eps: float = 1e-5

    def __post_init__(self) -> None:
        for name in ('num_mel_bins', 'spec_size', 'window_size', 'patch_size'):
            size = getattr(self, name)
            require(isinstance(size, int) and size > 0, name, size, 'are whole numbers from 1')
        for name in ('depths', 'num_attention_heads'):
            each = getattr(self, name)
            ok = isinstance(each, tuple) and len(each) > 0 and all(n > 0 for n in each)
            require(ok, name, each, 'are whole numbers from 1, one for each stage')
        side, bins, stages = self.spec_size, self.num_mel_bins, self.depths
        require(side % bins == 0, 'spec_size', side, f'are multiples of the {bins} mel bins')
        unit = self.patch_size * 2 ** (len(stages) - 1) * self.window_size
        require(
            side % unit == 0,
            'spec_size',
            side,
            f'are multiples of {unit}: whole windows throughout',
        )
        heads = self.num_attention_heads
        ok = len(heads) == len(stages)
        require(ok, 'num_attention_heads', heads, f'are those of the {len(stages)} stages')
        ok = all(self.stage_width(i) % heads[i] == 0 for i in range(len(stages)))
        require(ok, 'num_attention_heads', heads, 'divide the width of their stage')

    def stage_width(self, stage: int) -> int:
        return self.patch_embeds_hidden_size * 2**stage

    @property
    def width(self) -> int:
        """The number of channels that come out."""
        return self.stage_width(len(self.depths) - 1)

    @property
    def frames(self) -> int:
        """How many frames of a spectrogram are seen; shorter ones are stretched to it."""
        return self.spec_size * (self.spec_size // self.num_mel_bins)


def cubic(source: int, target: int) -> np.ndarray:
    """B of equation (2), `[target, source]` float32: first falls on first, last on last.

    Positions are computed in float32, in the order of the reference: a thousand frames on, their
    rounding is seen in the fifth digit of the weights.
    """
    scale = np.float32(source - 1) / np.float32(max(target - 1, 1))
    position = scale * np.arange(target, dtype=np.float32)
    first = np.minimum(np.floor(position).astype(np.int32), source - 1)
    t = np.clip(position - first, 0, 1)[:, None]
    distance = np.abs(t - np.arange(-1, 3))  # of the four neighbours
    near = ((CUBIC + 2) * distance - (CUBIC + 3)) * distance**2 + 1
    far = ((CUBIC * distance - 5 * CUBIC) * distance + 8 * CUBIC) * distance - 4 * CUBIC
    weights = np.where(distance <= 1, near, far)
    neighbours = np.clip(first[:, None] + np.arange(-1, 3), 0, source - 1)
    matrix = np.zeros((target, source), np.float32)
    np.add.at(matrix, (np.arange(target)[:, None], neighbours), weights)
    return matrix


def relative_offsets(window: int) -> np.ndarray:
    """Which entry of the table is b for each pair of a window's patches, `[query, key]` int."""
    row, column = np.divmod(np.arange(window**2), window)
    rows, columns = row[:, None] - row + window - 1, column[:, None] - column + window - 1
    return rows * (2 * window - 1) + columns


def seen(grid: int, window: int, shift: int) -> np.ndarray:
    """Which pairs of a rolled grid were neighbours before, `[window, query, key]` bool."""
    place = np.arange(grid)
    part = (place >= grid - window).astype(int) + (place >= grid - shift)
    parts = windows((part[:, None] * 3 + part)[None, :, :, None], window)[0, :, :, 0]
    return parts[:, :, None] == parts[:, None, :]


def windows(x: Any, window: int) -> Any:  # of numpy or jax
    """`[example, row, column, channel]` -> `[example, window, patch, channel]`."""
    examples, grid, _, width = x.shape
    across = grid // window
    x = x.reshape(examples, across, window, across, window, width).swapaxes(2, 3)
    return x.reshape(examples, across**2, window**2, width)


def unwindows(x: Any, window: int) -> Any:
    """The inverse of `windows`."""
    examples, count, _, width = x.shape
    across = round(count**0.5)
    x = x.reshape(examples, across, across, window, window, width).swapaxes(2, 3)
    return x.reshape(examples, across * window, across * window, width)


class WindowAttention(nn.Module):
    """a W_a of equation (5): `[example, row, column, channel]` to the same."""

    heads: int
    window: int
    shift: int  # by how many patches the grid is rolled

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        grid, width = x.shape[2:]
        cut = windows(jnp.roll(x, (-self.shift, -self.shift), (1, 2)), self.window)

        def project(name: str) -> jax.Array:  # -> [B, W, Q, H, D]
            return nn.Dense(width, name=name)(cut).reshape(*cut.shape[:3], self.heads, -1)

        query, key, value = project('query'), project('key'), project('value')
        shape = ((2 * self.window - 1) ** 2, self.heads)
        table = self.param('offsets', nn.initializers.normal(0.02), shape)
        bias = table[relative_offsets(self.window)].transpose(2, 0, 1)  # [H, Q, K]
        logits = jnp.einsum('BWQHD,BWKHD->BWHQK', query, key) / np.sqrt(width // self.heads) + bias
        if self.shift:
            mask = seen(grid, self.window, self.shift)[:, None]
            logits = jnp.where(mask, logits, jnp.finfo(logits.dtype).min)
        mixed = jnp.einsum('BWHQK,BWKHD->BWQHD', jax.nn.softmax(logits), value)
        out = unwindows(nn.Dense(width, name='out')(mixed.reshape(cut.shape)), self.window)
        return jnp.roll(out, (self.shift, self.shift), (1, 2))


class HTSAT(nn.Module):
    """The encoder.

    Calling it:
      spectrogram: `[example, frame, mel]` float32 dB; at most `config.frames` frames.

    Returns `[example, width]` float32.
    """

    config: HTSATConfig = HTSATConfig()

    @nn.compact
    def __call__(self, spectrogram: jax.Array) -> jax.Array:
        c = self.config

        def norm(x: jax.Array, name: str, epsilon: float = EPSILON) -> jax.Array:
            return nn.LayerNorm(epsilon=epsilon, use_fast_variance=False, name=name)(x)

        zeros, ones, bins = nn.initializers.zeros, nn.initializers.ones, (c.num_mel_bins,)
        mean, offset = (self.param(f'mel_{name}', zeros, bins) for name in ('mean', 'bias'))
        variance, gain = (self.param(f'mel_{name}', ones, bins) for name in ('variance', 'scale'))
        x = (spectrogram - mean) * jax.lax.rsqrt(variance + EPSILON) * gain + offset  # (1)
        x = jnp.einsum('TS,BSF->BTF', cubic(x.shape[1], c.frames), x)  # (2)
        x = x.reshape(-1, c.frames // c.spec_size, c.spec_size, c.num_mel_bins)
        x = x.swapaxes(2, 3).reshape(-1, c.spec_size, c.spec_size)  # (3)
        grid, patch = c.spec_size // c.patch_size, c.patch_size
        x = x.reshape(-1, grid, patch, grid, patch).swapaxes(2, 3).reshape(-1, grid, grid, patch**2)
        x = norm(nn.Dense(c.patch_embeds_hidden_size, name='patch')(x), 'patch_norm')  # (4)
        for i, (blocks, heads) in enumerate(zip(c.depths, c.num_attention_heads, strict=True)):
            if i:
                corners = [x[:, row::2, column::2] for column in (0, 1) for row in (0, 1)]
                x = norm(jnp.concatenate(corners, -1), f'merge_norm_{i}')
                x = nn.Dense(c.stage_width(i), use_bias=False, name=f'merge_{i}')(x)  # (7)
            for j in range(blocks):
                rolled = j % 2 == 1 and x.shape[1] > c.window_size
                shift = c.window_size // 2 if rolled else 0
                name, width = f'{i}_{j}', c.stage_width(i)
                h = norm(x, f'attention_norm_{name}', c.layer_norm_eps)
                attention = WindowAttention(heads, c.window_size, shift, name=f'attention_{name}')
                x = x + attention(h)  # (5)
                h = norm(x, f'hidden_norm_{name}', c.layer_norm_eps)
                h = nn.Dense(int(width * c.mlp_ratio), name=f'hidden_{name}')(h)
                h = jax.nn.gelu(h, approximate=False)
                x = x + nn.Dense(width, name=f'out_{name}')(h)  # (6)
        return norm(x, 'norm').mean((1, 2))  # (8)
