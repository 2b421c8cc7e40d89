"""The batch: what one training step is told, from the first day and for every kind of task.

Letters: B batch, K track, T frame, C channel, S prompt token, P prefix token, E text width. The
task and the text are apart from the latents, because the network is shown those two as they are but
the latents only corrupted. The prefix depends on the task and the prompt on the song, so they are
encoded apart and arrive apart.
"""

import dataclasses
from typing import Any, TypeAlias

import jax
import numpy as np

from jen1composer.harmony import UNKNOWN_CHORD, UNKNOWN_KEY

Array: TypeAlias = Any  # numpy.ndarray on the host, jax.Array on the devices


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True, kw_only=True)
class Task:
    """What is asked of each example: who is generated, given or marginalised, and where."""

    roles: Array  # [batch, track] int32, values of tracks.Role
    visible: Array  # [batch, track, frame] bool; True where a target's latent is given (inpainting)
    causal: Array  # [batch] bool; True where no frame may depend on a later one


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True, kw_only=True)
class Control:
    """What is said in numbers rather than words (`harmony`); each may be unknown by itself."""

    bpm: Array  # [batch] float32, beats a minute; 0: unknown
    key: Array  # [batch] int32; UNKNOWN_KEY: unknown
    chords: Array  # [batch, frame] int32, what sounds in each frame; UNKNOWN_CHORD: unknown


def unknown_control(batch: int, num_frames: int) -> Control:
    """Nothing is known of any example."""
    return Control(
        bpm=np.zeros(batch, np.float32),
        key=np.full(batch, UNKNOWN_KEY, np.int32),
        chords=np.full((batch, num_frames), UNKNOWN_CHORD, np.int32),
    )


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True, kw_only=True)
class Text:
    """What each example is told in words, and in numbers.

    The words are token states of the frozen text encoder, padded; masks are False on padding.
    """

    prompt: Array  # [batch, prompt token, width] float32
    prompt_mask: Array  # [batch, prompt token] bool
    use_prompt: Array  # [batch] bool; False where a learned null takes the prompt's place
    prefix: Array  # [batch, prefix token, width] float32, the task's prefix
    prefix_mask: Array  # [batch, prefix token] bool
    control: Control | None = None  # None: tempo, key and chords are unknown, in all examples


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True, kw_only=True)
class Batch:
    """Clean latents with the task and the text of each example."""

    latents: Array  # [batch, track, frame, channel] bfloat16 as stored, white on average
    task: Task
    text: Text
    index: Array  # [batch] uint32, example index = step x global batch + slot; keys all noise
