"""Rows: a window of a piece as all that its sampling needs to know, and nothing of others.

A composition asks for its windows one after the other, each a row without a batch axis:

(1) row = (clean, task, text, seed, window, guidance, times, sampler)
(2) the latents of a row are a function of the row and the weights alone

so whoever makes rows may put those of several requests into one batch (`serving.engine`), and
without such a one each is a batch of its own. All rows of a composer have one shape: windows have
one length, and texts are padded to one number of tokens, which their masks leave out.
"""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jen1composer.diffusion.batch import Control, Task, Text
from jen1composer.diffusion.guidance import Branches, Guidance
from jen1composer.diffusion.samplers import Stepper, time_grid
from jen1composer.diffusion.solvers import make_sampler
from jen1composer.errors import BadInput
from jen1composer.generation import long_form
from jen1composer.generation.progression import chord_changes, parse_progression
from jen1composer.generation.request import Request
from jen1composer.generation.sampling import generate
from jen1composer.generation.scales import make_guidance
from jen1composer.harmony import ChordChange, chords_at, known_key
from jen1composer.models.unet import UNet
from jen1composer.tracks import SAMPLE_RATE, Role
from jen1composer.training.workdir import ComposerSpec

PyTree = Any


@dataclasses.dataclass(frozen=True, kw_only=True)
class Row:
    """Equation (1); all arrays are numpy's, and of one row, without a batch axis."""

    clean: np.ndarray  # [track, frame, channel] float32; see `sampling.generate`
    task: Task  # roles [track], visible [track, frame], causal []
    text: Text  # prompt [token, width], prefix [token, width], their masks, use_prompt [], control
    seed: int
    window: int  # its number in the piece; with the seed, the key of its noise
    guidance: Guidance  # text [], control [], given [track], low [], high [], rescale []
    times: np.ndarray  # [step + 1, track] float32
    sampler: str

    @property
    def num_steps(self) -> int:
        return len(self.times) - 1

    @property
    def branches(self) -> Branches:
        """The conditions that its guidance leaves out once each."""
        guidance: Guidance = stacked([self.guidance])
        return guidance.branches


MakeRow = Callable[[Row], np.ndarray]  # -> latents [track, frame, channel]


def make_windows(
    request: Request, spec: ComposerSpec, text: Text
) -> Callable[[int, int, np.ndarray, np.ndarray], Row]:
    """The rows of a request: a function of what `long_form.Make` is told of a window.

    Args:
        request: what is asked for.
        spec: of the composer.
        text: token states of the prompt and the task's prefix, a batch of one.

    Raises:
        BadInput: for a request that no row can be made of.
    """
    diffusion = spec.diffusion
    make_stepper(request.sampler, spec)  # refuses an unknown one before anything is made
    guidance = without_batch(make_guidance(request, spec.tracks))
    roles = np.array(request.roles(spec.tracks), np.int32)  # [track]
    start = min(request.strength, diffusion.prediction.t_max(diffusion.schedule))
    times = np.asarray(time_grid(jnp.asarray(roles[None]), request.num_steps, start))[:, 0]
    is_target = roles == Role.TARGET
    may_be_causal = spec.model.spans and spec.causal  # else it would be a task never seen
    text, control = without_batch(text), make_control(request, spec)

    def window(number: int, start: int, latents: np.ndarray, known: np.ndarray) -> Row:
        causal = may_be_causal and long_form.is_continuation(known[is_target])
        return Row(
            clean=latents,
            task=Task(
                roles=roles, visible=known & is_target[:, None], causal=np.array(causal, bool)
            ),
            text=dataclasses.replace(text, control=control(start)),
            seed=request.seed,
            window=number,
            guidance=guidance,
            times=times,
            sampler=request.sampler,
        )

    return window


def make_control(request: Request, spec: ComposerSpec) -> Callable[[int], Control | None]:
    """What a window that begins at a frame is told of tempo, key and chords.

    None of a composer that was trained without; raises BadInput where it is asked for them.
    """
    check_control(request, spec)
    if not spec.model.control:
        return lambda start: None
    frame_rate, frames = SAMPLE_RATE / spec.hop_samples, np.arange(spec.window_frames)
    changes: tuple[ChordChange, ...] = ()
    if request.bpm is not None:
        progression = parse_progression('chords', request.chords)
        seconds = max(request.seconds, spec.window_frames / frame_rate)
        changes = chord_changes(progression, request.bpm, seconds + 1 / frame_rate)

    def control(start: int) -> Control:
        return Control(
            bpm=np.array(request.bpm or 0.0, np.float32),
            key=np.array(known_key(request.key), np.int32),
            chords=chords_at(changes, (start + frames + 0.5) / frame_rate),
        )

    return control


def check_control(request: Request, spec: ComposerSpec) -> None:
    """Raises BadInput where a composer that was trained without control is asked for it."""
    asked = {'bpm': request.bpm, 'key': request.key, 'chords': request.chords.strip()}
    for name, value in asked.items():
        if value and not spec.model.control:
            raise BadInput(f'{name}: {value!r}; this composer was trained without control')


def sample_row(params: PyTree, row: Row, spec: ComposerSpec) -> np.ndarray:
    """Latents [track, frame, channel] of a row as a batch of its own."""
    made = generate(
        params,
        row.clean[None],
        stacked([row.task]),
        stacked([row.text]),
        np.array([row.seed], np.uint32),
        np.array([row.window], np.uint32),
        stacked([row.guidance]),
        row.times[:, None],
        model=UNet(spec.model),
        diffusion=spec.diffusion,
        branches=row.branches,
        stepper=make_stepper(row.sampler, spec),
    )
    return np.asarray(made)[0]


def make_stepper(sampler: str, spec: ComposerSpec) -> Stepper:
    """The solver of that name for a composer; raises BadInput for a name that is not there."""
    return make_sampler(sampler, spec.diffusion.schedule, {})


def stacked(parts: Sequence[PyTree]) -> PyTree:
    """Trees of one shape as one tree with a batch axis."""
    return jax.tree.map(lambda *leaves: np.stack(leaves), *parts)


def without_batch(part: PyTree) -> PyTree:
    """The only row of a batch."""
    return jax.tree.map(lambda leaf: np.asarray(leaf)[0], part)
