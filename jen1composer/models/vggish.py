"""VGGish: the network whose embeddings the first Fréchet audio distances were taken of.

Of a log-mel patch X of 96 frames by 64 bands, with 3 by 3 convolutions that keep the size,

(1) X <- relu(conv X), once each for 64 and 128 channels, twice each for 256 and 512;
    after each of the four, the maximum of every 2 by 2
(2) x = X, [6, 4, 512], row by row;  x <- relu(x W + b) to 4096, and again
(3) out = x W + b, 128 channels

and no activation behind (3): the published network ends in a relu (`relu(out)` is it), and the
distance is usually taken before it, where the embeddings are nearer to a Gaussian.

Sources: Hershey et al. 2017 (VGGish), Kilgour et al. 2019 (Fréchet audio distance); the names of
the weights are those of harritaylor/torchvggish.
"""

import flax.linen as nn
import jax
import jax.numpy as jnp

FRAMES, BANDS, WIDTH = 96, 64, 128
BLOCKS = ((64,), (128,), (256, 256), (512, 512))  # channels of the convolutions of (1)
HIDDEN = 4096


class VGGish(nn.Module):
    """`[patch, 96, 64]` float32 -> `[patch, 128]`."""

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        x = x[..., None]
        for i, block in enumerate(BLOCKS):
            for j, channels in enumerate(block):
                x = jax.nn.relu(nn.Conv(channels, (3, 3), name=f'conv_{i}_{j}')(x))
            x = nn.max_pool(x, (2, 2), (2, 2))  # (1)
        x = x.reshape(len(x), -1)
        for i in range(2):
            x = jax.nn.relu(nn.Dense(HIDDEN, name=f'hidden_{i}')(x))  # (2)
        return nn.Dense(WIDTH, name='out')(x)  # (3)


def weight_names() -> dict[str, str]:
    """Where torchvggish keeps the weights: path of our parameter, joined by '/' -> its name.

    What is named `kernel` here lies there as [out, in], and as [out, in, row, column].
    """
    names, place = {}, 0  # of the layer among convolutions, activations and maxima
    for i, block in enumerate(BLOCKS):
        for j in range(len(block)):
            names[f'conv_{i}_{j}'] = f'features.{place}'
            place += 2
        place += 1
    names |= {'hidden_0': 'embeddings.0', 'hidden_1': 'embeddings.2', 'out': 'embeddings.4'}
    return {
        f'{ours}/{leaf}': f'{theirs}.{name}'
        for ours, theirs in names.items()
        for leaf, name in (('kernel', 'weight'), ('bias', 'bias'))
    }


def parameter_shapes() -> dict[str, tuple[int, ...]]:
    """The shapes of the parameters, by path."""
    patch = jnp.zeros((1, FRAMES, BANDS))
    params = jax.eval_shape(VGGish().init, jax.random.key(0), patch)['params']
    return {f'{layer}/{leaf}': x.shape for layer in params for leaf, x in params[layer].items()}
