"""What training steps are timed of: three configs, each with a batch of noise; our side of a case.

A step is forward, loss, gradient, clipping, optimiser and moving average, on one batch of noise, in
the config's arithmetic.

Tried, on a busy machine of two cores (AMD EPYC of Zen 5) whose one core multiplies 238 GFLOP/s.
Milliseconds of processor time, least / median; figures above that peak were errors of the clock and
are left out. Single runs, so differences below a tenth say nothing. Kept:

    Muon, stacks of one -> plain products on Gram matrices
      an update of the composer      88 / 93 -> 45 / 46, of its step 169 / 197 -> 147 / 152
      an update of the autoencoder 137 / 143 -> 50 / 51, of its step 219 / 229 -> 172 / 175
    spectral losses and their gradient, by real parts and view by view
      two runs: 61.8 / 66.1 -> 50.3 / 58.2 and 61.6 / 66.0 -> 54.1 / 59.5; of the whole step, timed
      at another load (114 / 120 before, 120 to 130 / 121 to 134 after), no gain has been shown
    MDCT of frames as they lie 5.4 / 5.6 -> 4.8 / 5.1, its inverse 5.1 / 5.4 -> 4.8 / 5.0

and left:

    real parts with all views in one array: 57.9 / 66.7, 64.0 / 66.6 (as above)
    one logarithm of a quotient for two: 59.0 / 63.1, 60.7 / 64.7
    transforms of 128 as products with the Fourier basis: 52.3 / 56.8; of 512 as well: 57.1 / 61.6
    both gradients of a convolution, by its weights as a product of shifted copies: 117 to 195
      GFLOP/s over five shapes and four ways, where the compiler's runs at 176 to 214
    the forward pass of a convolution so: 169 to 229, the compiler's 183 to 246
    alpha and sigma, or the corrupted latents, behind a barrier: 109 / 117 -> 107 / 118, 111 / 117
    flags that choose the library of products (YNNPACK, oneDNN): 217 to 255, without 223 to 251
    Muon's products of bfloat16 summed in float32: 261 to 499; the Gram form needs float32
    not tried in a step: a float32 product with its left side transposed, as in the gradient of a
      matrix by its weights, runs at 84 to 209, and transposed in memory first at 197 to 242

On one H200 (float32 in TF32, jax 0.11.2), training as launch.train_composer does it:

    configs/tonal.py:begin, 11.8 M, Muon, 32 windows of 128 frames, without autotuning: 134 ms a
      step, 17 s to compile; with autotuning it had not been compiled after a minute
    20.9 M, AdamW, 8 windows of 512 frames, bfloat16: 9.4 ms, and less than 84 s to compile,
      PyTorch's compiler included

Whether that is Muon has not been told apart. Its step has 1447 products in StableHLO, that of AdamW
216; on stacks (`muon.together`) 568 are left of them, which was not timed. The case of the paper's
size had not come to its first step after 110 s.
"""

import dataclasses
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict

from configs import demo, demo_autoencoder, paper_composer
from jen1composer.training.state import TrainState, initial_state
from jen1composer.training.step import make_train_step
from launch.description import GivenByData, Subject, subject_of

GIVEN = GivenByData(
    num_tracks=4, latent_channels=24, text_width=384, prompt_tokens=32, prefix_tokens=16
)


def large() -> ConfigDict:
    """The demo's composer with 20.9 M parameters, 8 windows of 512 frames."""
    config = demo.get_config()
    config.batch, config.data.window_frames = 8, 512
    config.model.channels, config.model.blocks = (256, 384, 512), (1, 2, 3)
    config.model.attentions = (0, 0, 1)
    return config


def paper() -> ConfigDict:
    """The paper's composer, 8 windows: one group of channels, which the peer has, and no remat.

    Weights, average, moments and gradient are 15 GB on each side.
    """
    config = paper_composer.get_config()
    config.batch = 8
    config.model.norm_groups, config.model.remat = 1, 'none'
    del config.model.context_width  # the text's own
    return config


@dataclasses.dataclass(frozen=True, kw_only=True)
class Case:
    """What is timed, and in which modes PyTorch's side of it is (`train_peer`)."""

    config: Callable[[], ConfigDict]
    modes: Sequence[str] = ('eager', 'compile')
    accelerator: bool = False  # whether it needs one


CASES: Mapping[str, Case] = {
    'composer': Case(config=demo.get_config),
    'autoencoder': Case(config=demo_autoencoder.get_config),
    'large composer': Case(config=large),
    'paper composer': Case(config=paper, modes=('eager',), accelerator=True),
}
USUAL = ('composer', 'autoencoder', 'large composer')


class Trainer:
    """Our side of a comparison: a state, a batch, and a compiled step for each optimiser."""

    def __init__(self, config: ConfigDict, optimizers: Sequence[str]):
        self.config = config
        self.subjects = {name: _subject(config, name) for name in optimizers}
        self.subject = next(iter(self.subjects.values()))
        self.batch = jax.tree.map(jnp.asarray, noise_batch(self.subject.batch))
        self.states = {name: _state(subject) for name, subject in self.subjects.items()}
        self._steps = {
            name: jax.jit(
                make_train_step(each.loss_fn, each.optimizer, each.ema_decay), donate_argnums=0
            )
            for name, each in self.subjects.items()
        }

    @property
    def params(self) -> Any:
        return next(iter(self.states.values())).params

    def times(self, optimizer: str, count: int) -> list[float]:
        """Seconds of each of so many steps."""
        seconds = []
        for _ in range(count):
            began = time.perf_counter()
            state, metrics = self._steps[optimizer](self.states[optimizer], self.batch)
            jax.block_until_ready((state, metrics))
            self.states[optimizer] = state
            seconds.append(time.perf_counter() - began)
        return seconds


def noise_batch(shapes: Any) -> Any:
    """A batch of that form, a function of its shapes alone."""
    rng = np.random.default_rng(0)

    def make(leaf: jax.ShapeDtypeStruct) -> np.ndarray:
        if leaf.dtype == bool:
            return rng.random(leaf.shape) < 0.7
        if jnp.issubdtype(leaf.dtype, jnp.integer):
            return rng.integers(0, 3, leaf.shape).astype(leaf.dtype)
        return (0.1 * rng.standard_normal(leaf.shape)).astype(leaf.dtype)

    return jax.tree.map(make, shapes)


def _subject(config: ConfigDict, optimizer: str) -> Subject:
    config = config.copy_and_resolve_references()
    config.optimizer.name = optimizer
    return subject_of(config, GIVEN, None)


def _state(subject: Subject) -> TrainState:
    return jax.jit(lambda: nn.unbox(initial_state(subject.init_params, subject.optimizer)))()
