"""A composition as a folder: one FLAC per track, the mix, and `piece.json` that says what it is."""

import dataclasses
import json
from collections.abc import Mapping
from typing import Any

import numpy as np
from etils import epath

from data_pipeline.audio import write_flac
from jen1composer.generation.composer import Composition, Take
from jen1composer.generation.parts import Holes
from jen1composer.generation.request import Request
from jen1composer.generation.seams import fades
from jen1composer.generation.soundness import SILENT_DB
from jen1composer.tracks import SAMPLE_RATE


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
        'bpm': request.bpm,
        'key': request.key or None,
        'chords': request.chords or None,
        'control_guidance': composition.control_guidance,
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

    What is given or kept is written as it came, and what is made is made quieter where it would
    clip, by a gain that is stated. A file cannot hold more than full scale: where what is given or
    kept is louder than that itself, its track is made quieter as a whole, with a warning. The mix
    is the sum of the tracks as written, made quieter where it would clip.
    """
    folder = epath.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    mix = np.zeros_like(next(iter(takes.values())).audio)
    tracks = {}
    for name, take in takes.items():  # one after the other: a long piece is large
        gain, made_gain = _gains(take)
        audio = with_gain(take.audio * np.float32(gain), take.holes, made_gain)
        written = dataclasses.replace(take, audio=audio)
        mix += written.audio
        write_flac(folder / f'{name}.flac', written.audio)
        tracks[name] = _describe(name, written, gain, made_gain)
    gain = _gain(float(np.abs(mix).max()))
    mix *= np.float32(gain)
    write_flac(folder / 'mix.flac', mix)
    facts = {**about, 'tracks': tracks, 'mix': {'file': 'mix.flac', 'gain': round(gain, 4)}}
    (folder / 'piece.json').write_text(json.dumps(facts, indent=1) + '\n')
    return facts


def with_gain(audio: np.ndarray, holes: Holes, gain: float) -> np.ndarray:
    """`audio` [sample, 2] with what was made in its holes times `gain`, which sets in over a fade.

    All but the fades is exact; what still clips within one, 20 ms, is cut off at full scale.
    """
    if gain == 1.0:
        return audio
    result = audio.copy()
    for start, end in holes:
        result[start:end] *= np.float32(gain)
    for fade, share in fades(holes, len(audio)):
        result[fade] = np.clip((1 + (gain - 1) * share) * audio[fade], -1, 1)
    return result


def _gains(take: Take) -> tuple[float, float]:
    """The gain of a whole track, and the one of what was made in part of it on top of that."""
    if not _made_in_part(take):
        return _gain(take.peak), 1.0
    is_made = np.zeros(len(take.audio), bool)
    for start, end in take.holes:
        is_made[start:end] = True
    loudest = np.abs(take.audio).max(axis=1)
    gain = _gain(float(loudest[~is_made].max()))
    return gain, _gain(gain * float(loudest[is_made].max()))


def _made_in_part(take: Take) -> bool:
    return take.holes not in ((), ((0, len(take.audio)),))


def _describe(name: str, take: Take, gain: float, made_gain: float) -> dict[str, Any]:
    """What `piece.json` says of a track as written."""
    facts = {
        'role': take.role.name.lower(),
        'file': f'{name}.flac',
        'rms_db': round(take.rms_db, 1),
        'peak': round(take.peak, 3),
        'gain': round(gain, 4),
    }
    if _made_in_part(take):
        facts['made_gain'] = round(made_gain, 4)
        facts['made_s'] = [[start / SAMPLE_RATE, end / SAMPLE_RATE] for start, end in take.holes]
    if gain < 1 and take.holes != ((0, len(take.audio)),):
        facts['warning'] = (
            'was above full scale: all of it is quieter by the gain, nothing as it came'
        )
    elif take.rms_db < SILENT_DB:
        facts['warning'] = 'silent'
    return facts


def _gain(peak: float) -> float:
    """1, or what brings a peak above full scale just below it."""
    return 1.0 if peak <= 1.0 else 0.99 / peak
