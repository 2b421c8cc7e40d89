"""Every system's stems, made from the original ones and written where they are missing.

(1) What a composer makes is made in batches of excerpts that are the same whatever is there
    already, so a run that was interrupted ends with the files of one that was not.
(2) The seed of an excerpt is a draw for (seed, excerpt), the same for all tasks; the noise of a
    baseline is one for (seed, excerpt, track).
"""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from jen1composer.evaluation import systems
from jen1composer.evaluation.sounds import Sounds
from jen1composer.evaluation.systems import Excerpt, Task
from jen1composer.generation.composer import Composer
from jen1composer.generation.many import BATCH, compose_many
from jen1composer.generation.request import Request
from jen1composer.generation.scales import TEXT
from jen1composer.tracks import SAMPLE_RATE

Report = Callable[[int, int], None]  # stems that are there, and all
_COMPOSING, _NOISE, _LATENTS = range(3)  # what a draw is for


@dataclasses.dataclass(frozen=True, kw_only=True)
class Sampling:
    """How a composer is asked; see `Request`."""

    seed: int = 0
    num_steps: int = 50
    sampler: str = 'dpmpp_2m'
    text_guidance: float = TEXT
    given_guidance: float | Mapping[str, float] | None = None

    def request(self, excerpt: Excerpt, number: int, seconds: float, **roles: Any) -> Request:
        """What is asked for in the stead of excerpt `number`."""
        text_guidance = self.text_guidance if excerpt.prompt else None
        given_guidance = self.given_guidance
        if isinstance(given_guidance, Mapping):
            given_guidance = {k: v for k, v in given_guidance.items() if k in roles['given']}
        return Request(
            prompt=excerpt.prompt,
            seconds=seconds,
            seed=int(np.random.default_rng((self.seed, _COMPOSING, number)).integers(2**31)),
            num_steps=self.num_steps,
            sampler=self.sampler,
            text_guidance=text_guidance,
            given_guidance=given_guidance if roles['given'] else None,
            **roles,
        )


def compose_task(
    composer: Composer,
    sounds: Sounds,
    excerpts: Sequence[Excerpt],
    task: Task,
    sampling: Sampling,
    done: Callable[[int], None],
) -> None:
    """Writes the targets of `task` for every excerpt; `done` hears how many excerpts are."""
    tracks = composer.spec.tracks
    named = {*task.targets, *task.given}
    marginal = tuple(track for track in tracks if track not in named)
    for start in range(0, len(excerpts), BATCH):  # (1)
        batch = excerpts[start : start + BATCH]
        if not all(sounds.has(task.system, e.name, track) for e in batch for track in task.targets):
            requests = []
            for number, excerpt in enumerate(batch, start):
                given = {
                    track: sounds.read(systems.ORIGINAL, excerpt.name, track)
                    for track in task.given
                }
                seconds = composer.spec.window_frames * composer.spec.hop_samples / SAMPLE_RATE
                roles = {'targets': task.targets, 'given': given, 'marginal': marginal}
                requests.append(sampling.request(excerpt, number, seconds, **roles))
            for excerpt, piece in zip(batch, compose_many(composer, requests), strict=True):
                for track in task.targets:
                    sounds.write(task.system, excerpt.name, track, piece.takes[track].audio)
        done(len(batch))


def write_baselines(
    composer: Composer,
    sounds: Sounds,
    excerpts: Sequence[Excerpt],
    seed: int,
    done: Callable[[int], None],
) -> None:
    """Writes `decoded`, `shuffled`, `noise` and `decoded_noise` from `original`."""
    tracks, codec = composer.spec.tracks, composer.codec
    others = systems.strangers([excerpt.song for excerpt in excerpts], len(tracks))
    for number, excerpt in enumerate(excerpts):
        for k, track in enumerate(tracks):
            made = (systems.DECODED, systems.SHUFFLED, systems.NOISE, systems.DECODED_NOISE)
            if all(sounds.has(system, excerpt.name, track) for system in made):
                continue
            original = sounds.read(systems.ORIGINAL, excerpt.name, track)
            stranger = sounds.read(systems.ORIGINAL, excerpts[others[number][k]].name, track)
            latents = codec.encode(original[None, None])
            level = np.sqrt(np.mean(np.square(original)))

            def draw(use: int, shape: tuple[int, ...], at: tuple[int, int]) -> np.ndarray:
                rng = np.random.default_rng((seed, use, *at))
                return rng.standard_normal(shape).astype(np.float32)

            at = (number, k)
            white = codec.decode(draw(_LATENTS, latents.shape, at))
            found = (
                codec.decode(latents)[0, 0, : len(original)],
                stranger,
                level * draw(_NOISE, original.shape, at),
                white[0, 0, : len(original)],
            )
            for system, audio in zip(made, found, strict=True):
                sounds.write(system, excerpt.name, track, audio)
        done(1)
