"""The batch: what one training step is told, from the first day and for every kind of task.

Letters: B batch, K track, T frame, C channel, S prompt token, P prefix token, E text width. The
prefix depends on the task and the prompt on the song, so they are encoded apart and arrive apart.
"""

import dataclasses

import jax
import numpy as np

Array = jax.Array | np.ndarray


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True, kw_only=True)
class Batch:
    """Clean latents and the task that each example poses."""

    latents: Array  # [batch, track, frame, channel] float32, white on average
    roles: Array  # [batch, track] int32, values of tracks.Role
    visible: Array  # [batch, track, frame] bool; True where a target's latent is given (inpainting)
    causal: Array  # [batch] bool; True where no frame may depend on a later one
    prompt: Array  # [batch, prompt token, width] float32, token states of the frozen text encoder
    prompt_mask: Array  # [batch, prompt token] bool, False on padding
    prefix: Array  # [batch, prefix token, width] float32, token states of the task prefix
    prefix_mask: Array  # [batch, prefix token] bool
    index: Array  # [batch] uint32, example index = step x global batch + position; keys all noise
