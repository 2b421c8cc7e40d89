"""T5's encoder, the text encoder of FLAN-T5 at any size, as a pure Flax module.

With tokens w, H heads of width D (whose product need not be the model's width), and norms that
divide by the root mean square and subtract no mean, layer for layer (pre-norm):

(1) x <- E[w], and 0 on padding
(2) h = norm(x);  a = softmax(q k^T + b) v per head, over the tokens that are not padding
    x <- x + a W_a; the logits are not divided by sqrt(D): T5 has that in the scale of its weights
(3) h = norm(x);  x <- x + relu(h W_1) W_o                    plain feed-forward (T5 1.0)
                  x <- x + (gelu(h W_0) * (h W_1)) W_o        gated (T5 1.1, FLAN), gelu by tanh
(4) what comes out is norm(x), and 0 on padding

No product has a bias. Where a token stands is told by b alone, learned per head and bucket of the
distance d = key - query, in the first layer, for all layers. Of n buckets one half is for d <= 0,
the other for d > 0; of the m = n / 2 in each, half hold one distance each, and the rest grow
geometrically up to the longest distance L, beyond which all are one:

(5) bucket = |d|                                              below e = m / 2
             min(m - 1, e + floor(log(|d| / e) / log(L / e) (m - e)))       from there on

Padding cannot be seen: as a key its logit is replaced in (2), not added to, and (1) makes its value
finite, so not even a NaN in an embedding of the padding would reach another token.

Letters of einsum: B text, Q and S token as query and as key, H head, D head width.
Sources: Raffel et al. 2019 (T5), Shazeer 2020 (gated feed-forward), Chung et al. 2022 (FLAN-T5).
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from jen1composer.errors import require
from jen1composer.models.layers import Dense, RMSNorm, lecun, parameter

FEED_FORWARDS = ('relu', 'gated-gelu')


@dataclasses.dataclass(frozen=True, kw_only=True)
class T5Config:
    """Sizes of a T5 encoder, by the names that they have in Hugging Face's `config.json`.

    The fields with a default are those that older files leave out, where it is what they mean.
    Raises BadInput, naming the field, for sizes that cannot be.
    """

    vocab_size: int
    d_model: int  # width of the states
    d_kv: int  # width of a head
    d_ff: int
    num_heads: int
    num_layers: int
    relative_attention_num_buckets: int = 32
    relative_attention_max_distance: int = 128
    feed_forward_proj: str = 'relu'
    layer_norm_epsilon: float = 1e-6

    def __post_init__(self) -> None:
        for name in ('vocab_size', 'd_model', 'd_kv', 'd_ff', 'num_heads', 'num_layers'):
            size = getattr(self, name)
            require(isinstance(size, int) and size > 0, name, size, 'are whole numbers from 1')
        n, longest = self.relative_attention_num_buckets, self.relative_attention_max_distance
        ok = isinstance(n, int) and n >= 4
        require(ok, 'relative_attention_num_buckets', n, 'are whole numbers from 4')
        ok = isinstance(longest, int) and longest > n // 4
        require(ok, 'relative_attention_max_distance', longest, f'is more than {n // 4}')
        proj, epsilon = self.feed_forward_proj, self.layer_norm_epsilon
        require(proj in FEED_FORWARDS, 'feed_forward_proj', proj, f'are {FEED_FORWARDS}')
        ok = isinstance(epsilon, float) and epsilon > 0
        require(ok, 'layer_norm_epsilon', epsilon, 'is above 0')

    @property
    def gated(self) -> bool:
        return self.feed_forward_proj == 'gated-gelu'


def config_from_hugging_face(value: Mapping[str, Any]) -> T5Config:
    """The config from what a `config.json` holds; raises BadInput where it is not of a T5."""
    require(value.get('model_type') == 't5', 'model_type', value.get('model_type'), "is 't5'")
    fields = dataclasses.fields(T5Config)
    for field in fields:
        ok = field.name in value or field.default is not dataclasses.MISSING
        require(ok, field.name, None, 'is the size of the model')
    return T5Config(**{field.name: value[field.name] for field in fields if field.name in value})


def relative_buckets(num_tokens: int, config: T5Config) -> np.ndarray:
    """Equation (5): the bucket of each pair, `[query, key]` int32.

    Computed in float32, in the order of the reference: where the logarithms' ratio is a whole
    number, the rounding decides.
    """
    half = config.relative_attention_num_buckets // 2
    exact = half // 2
    tokens = np.arange(num_tokens)
    distance = tokens[None, :] - tokens[:, None]
    far = np.maximum(np.abs(distance), exact).astype(np.float32)
    octaves = np.float32(np.log(config.relative_attention_max_distance / exact))
    steps = np.log(far / np.float32(exact)) / octaves * np.float32(half - exact)
    bucket = np.minimum(exact + steps.astype(np.int32), half - 1)
    bucket = np.where(np.abs(distance) < exact, np.abs(distance), bucket)
    return (bucket + np.where(distance > 0, half, 0)).astype(np.int32)


class T5Block(nn.Module):
    """Equations (2) and (3): `[text, token, width]` to the same.

    Calling it:
      bias: b, `[head, query, key]`.
      mask: `[text, token]` bool, False on padding.
    """

    config: T5Config

    @nn.compact
    def __call__(self, x: jax.Array, bias: jax.Array, mask: jax.Array) -> jax.Array:
        c = self.config

        def dense(name: str, z: jax.Array, width: int, *axes: str) -> jax.Array:
            return Dense(width, (axes[0], axes[1]), use_bias=False, name=name)(z)

        def project(name: str, z: jax.Array) -> jax.Array:  # -> [B, S, H, D]
            y = dense(name, z, c.num_heads * c.d_kv, 'conv_in', 'heads')
            return y.reshape(*z.shape[:2], c.num_heads, c.d_kv)

        h = RMSNorm(c.layer_norm_epsilon, name='attention_norm')(x)
        query, key, value = project('query', h), project('key', h), project('value', h)
        logits = jnp.einsum('BQHD,BSHD->BHQS', query, key) + bias
        logits = jnp.where(mask[:, None, None, :], logits, jnp.finfo(logits.dtype).min)
        mixed = jnp.einsum('BHQS,BSHD->BQHD', jax.nn.softmax(logits), value)
        mixed = mixed.reshape(*x.shape[:2], c.num_heads * c.d_kv)
        x = x + dense('attention_out', mixed, c.d_model, 'heads', 'conv_in')  # (2)

        h = RMSNorm(c.layer_norm_epsilon, name='hidden_norm')(x)
        hidden = dense('hidden', h, c.d_ff, 'conv_in', 'conv_out')
        if c.gated:
            gate = dense('gate', h, c.d_ff, 'conv_in', 'conv_out')
            hidden = jax.nn.gelu(gate, approximate=True) * hidden
        else:
            hidden = jax.nn.relu(hidden)
        return x + dense('hidden_out', hidden, c.d_model, 'conv_in', 'conv_out')  # (3)


class T5Encoder(nn.Module):
    """The encoder of a T5.

    Calling it:
      tokens: `[text, token]` int32, padded at the end.
      mask: `[text, token]` bool, False on padding.

    Returns the states `[text, token, width]` float32, exactly 0 on padding.
    """

    config: T5Config

    @property
    def width(self) -> int:
        """The number of channels of a token's state."""
        return self.config.d_model

    @nn.compact
    def __call__(self, tokens: jax.Array, mask: jax.Array) -> jax.Array:
        c = self.config
        normal = nn.initializers.normal(1.0)
        words = parameter(self, 'words', normal, (None, 'conv_in'), (c.vocab_size, c.d_model))
        buckets = parameter(
            self, 'buckets', lecun, (None, 'heads'), (c.relative_attention_num_buckets, c.num_heads)
        )
        bias = buckets[relative_buckets(tokens.shape[1], c)].transpose(2, 0, 1)  # [H, Q, S]
        x = jnp.where(mask[..., None], words[tokens], 0.0)  # (1)
        for i in range(c.num_layers):
            x = T5Block(c, name=f'block_{i}')(x, bias, mask)
        x = RMSNorm(c.layer_norm_epsilon, name='norm')(x)
        return jnp.where(mask[..., None], x, 0.0)  # (4)


def weight_names(config: T5Config) -> dict[str, str]:
    """Where Hugging Face keeps the weights: path of our parameter, joined by '/' -> its name.

    What is named `kernel` here is `[out, in]` there; everything else lies the same way.
    """
    names = {
        'words': 'shared.weight',
        'buckets': 'encoder.block.0.layer.0.SelfAttention.relative_attention_bias.weight',
        'norm/scale': 'encoder.final_layer_norm.weight',
    }
    feed_forward = {'gate': 'wi_0', 'hidden': 'wi_1'} if config.gated else {'hidden': 'wi'}
    for i in range(config.num_layers):
        attention, hidden = f'encoder.block.{i}.layer.0', f'encoder.block.{i}.layer.1'
        names[f'block_{i}/attention_norm/scale'] = f'{attention}.layer_norm.weight'
        names[f'block_{i}/hidden_norm/scale'] = f'{hidden}.layer_norm.weight'
        for ours, theirs in {'query': 'q', 'key': 'k', 'value': 'v', 'attention_out': 'o'}.items():
            name = f'{attention}.SelfAttention.{theirs}.weight'
            names[f'block_{i}/{ours}/kernel'] = name
        for ours, theirs in (feed_forward | {'hidden_out': 'wo'}).items():
            name = f'{hidden}.DenseReluDense.{theirs}.weight'
            names[f'block_{i}/{ours}/kernel'] = name
    return names
