"""MiniLM: the small frozen text encoder, a six-layer BERT, as a pure Flax module.

With tokens w, positions p and H heads of width D, layer for layer (post-norm, as in BERT):

(1) x <- norm(E[w] + P[p] + S), and 0 on padding
(2) a = softmax(q k^T / sqrt(D)) v per head, over the tokens that are not padding
(3) x <- norm(x + a W_a + b_a)
(4) x <- norm(x + gelu(x W_1 + b_1) W_2 + b_2)

What comes out are the states of all tokens, for cross-attention; BERT's pooler is left out, and the
sentence vector of all-MiniLM-L6-v2 is the mean of the states over the tokens that are not padding.

Padding cannot be seen: as a key its score is replaced in (2), not added to, and (1) makes its value
finite, so not even a NaN in an embedding of the padding would reach another token.

Sources: Devlin et al. 2018 (BERT), Wang et al. 2020 (MiniLM), Reimers and Gurevych 2019.
"""

from collections.abc import Mapping
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np


class SelfAttention(nn.Module):
    """Equation (2) and the product of (3): `[batch, token, width]` to the same."""

    heads: int

    @nn.compact
    def __call__(self, x: jax.Array, mask: jax.Array) -> jax.Array:
        batch, tokens, width = x.shape
        head_width = width // self.heads

        def project(name: str) -> jax.Array:
            return nn.Dense(width, name=name)(x).reshape(batch, tokens, self.heads, head_width)

        query, key, value = project('query'), project('key'), project('value')
        scores = jnp.einsum('bqhd,bkhd->bhqk', query, key) / np.sqrt(head_width)
        scores = jnp.where(mask[:, None, None, :], scores, jnp.finfo(scores.dtype).min)
        mixed = jnp.einsum('bhqk,bkhd->bqhd', jax.nn.softmax(scores), value)
        return nn.Dense(width, name='out')(mixed.reshape(batch, tokens, width))


class MiniLM(nn.Module):
    """A BERT encoder, in the size of all-MiniLM-L6-v2.

    Calling it:
      tokens: `[batch, token]` int32, padded at the end.
      mask: `[batch, token]` bool, False on padding.

    Returns the states `[batch, token, width]` float32, 0 on padding.
    """

    vocabulary: int = 30522
    positions: int = 512
    width: int = 384
    hidden: int = 1536
    heads: int = 12
    layers: int = 6
    epsilon: float = 1e-12  # of every norm

    @nn.compact
    def __call__(self, tokens: jax.Array, mask: jax.Array) -> jax.Array:
        def norm(x: jax.Array, name: str) -> jax.Array:
            return nn.LayerNorm(epsilon=self.epsilon, use_fast_variance=False, name=name)(x)

        words = nn.Embed(self.vocabulary, self.width, name='words')(tokens)
        positions = self.param(
            'positions', nn.initializers.normal(0.02), (self.positions, self.width)
        )
        segment = self.param('segment', nn.initializers.normal(0.02), (self.width,))
        x = norm(words + positions[: tokens.shape[1]] + segment, 'norm')
        x = jnp.where(mask[..., None], x, 0)  # (1)
        for i in range(self.layers):
            attended = SelfAttention(self.heads, name=f'attention_{i}')(x, mask)  # (2)
            x = norm(x + attended, f'attention_norm_{i}')  # (3)
            y = jax.nn.gelu(nn.Dense(self.hidden, name=f'hidden_{i}')(x), approximate=False)
            x = norm(x + nn.Dense(self.width, name=f'out_{i}')(y), f'out_norm_{i}')  # (4)
        return jnp.where(mask[..., None], x, 0)


def params_from_bert(weights: Mapping[str, np.ndarray], layers: int = 6) -> dict[str, Any]:
    """The parameters of :class:`MiniLM` from those of a Hugging Face ``BertModel``.

    Args:
      weights: as in its ``model.safetensors``; matrices are `[out, in]` there.
      layers: how many there are.

    Raises:
      KeyError: a weight is missing.
    """

    def dense(name: str) -> dict[str, np.ndarray]:
        return {'kernel': weights[f'{name}.weight'].T, 'bias': weights[f'{name}.bias']}

    def norm(name: str) -> dict[str, np.ndarray]:
        return {'scale': weights[f'{name}.weight'], 'bias': weights[f'{name}.bias']}

    params: dict[str, Any] = {
        'words': {'embedding': weights['embeddings.word_embeddings.weight']},
        'positions': weights['embeddings.position_embeddings.weight'],
        'segment': weights['embeddings.token_type_embeddings.weight'][0],
        'norm': norm('embeddings.LayerNorm'),
    }
    for i in range(layers):
        bert = f'encoder.layer.{i}'
        params[f'attention_{i}'] = {
            'query': dense(f'{bert}.attention.self.query'),
            'key': dense(f'{bert}.attention.self.key'),
            'value': dense(f'{bert}.attention.self.value'),
            'out': dense(f'{bert}.attention.output.dense'),
        }
        params[f'attention_norm_{i}'] = norm(f'{bert}.attention.output.LayerNorm')
        params[f'hidden_{i}'] = dense(f'{bert}.intermediate.dense')
        params[f'out_{i}'] = dense(f'{bert}.output.dense')
        params[f'out_norm_{i}'] = norm(f'{bert}.output.LayerNorm')
    return params
