"""A composition as a folder: one FLAC per track, the mix, and `piece.json` that says what it is."""

import dataclasses
import json
from collections.abc import Mapping
from typing import Any

import numpy as np
from etils import epath

from data_pipeline.audio import write_flac
from jen1composer.generation.composer import Composition, Take
from jen1composer.generation.request import Request
from jen1composer.tracks import SAMPLE_RATE

SILENT_DB = -60.0


def write_piece(
    folder: epath.PathLike, composition: Composition, request: Request
) -> dict[str, Any]:
    """Writes the folder and returns what `piece.json` says."""
    asked = {
        'prompt': request.prompt,
        'seed': request.seed,
        'seconds': composition.num_samples / SAMPLE_RATE,
        'steps': request.num_steps,
        'sampler': request.sampler,
        'guidance': composition.text_guidance,
        'given_guidance': dict(composition.given_guidance),
        'guidance_interval': list(request.guidance_interval),
        'rescale': request.guidance_rescale,
        'strength': request.strength,
        'trained_steps': composition.step,
    }
    return write_takes(folder, composition.takes, asked)


def write_takes(
    folder: epath.PathLike, takes: Mapping[str, Take], about: Mapping[str, Any]
) -> dict[str, Any]:
    """Writes the folder, with `about` in `piece.json` too, and returns what that says.

    A given track is written as it came. One that would clip is made quieter, and so is the mix,
    each by a gain that is stated; the mix is the sum of the tracks as written.
    """
    folder = epath.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    mix = np.zeros_like(next(iter(takes.values())).audio)
    tracks = {}
    for name, take in takes.items():  # one after the other: a long piece is large
        gain = _gain(take.peak)
        written = dataclasses.replace(take, audio=take.audio * np.float32(gain))
        mix += written.audio
        write_flac(folder / f'{name}.flac', written.audio)
        tracks[name] = _describe(name, written, gain)
    gain = _gain(float(np.abs(mix).max()))
    mix *= np.float32(gain)
    write_flac(folder / 'mix.flac', mix)
    facts = {**about, 'tracks': tracks, 'mix': {'file': 'mix.flac', 'gain': round(gain, 4)}}
    (folder / 'piece.json').write_text(json.dumps(facts, indent=1) + '\n')
    return facts


def _describe(name: str, take: Take, gain: float) -> dict[str, Any]:
    """What `piece.json` says of a track as written."""
    facts = {
        'role': take.role.name.lower(),
        'file': f'{name}.flac',
        'rms_db': round(take.rms_db, 1),
        'peak': round(take.peak, 3),
        'gain': round(gain, 4),
    }
    if take.holes not in ((), ((0, len(take.audio)),)):  # made in part
        facts['made_s'] = [[start / SAMPLE_RATE, end / SAMPLE_RATE] for start, end in take.holes]
    if take.rms_db < SILENT_DB:
        facts['warning'] = 'silent'
    return facts


def _gain(peak: float) -> float:
    """1, or what brings a peak above full scale just below it."""
    return 1.0 if peak <= 1.0 else 0.99 / peak
