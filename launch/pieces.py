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
        'seconds': len(composition.mix) / SAMPLE_RATE,
        'steps': request.num_steps,
        'guidance': request.text_guidance,
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
    gains = {name: _gain(take.peak) for name, take in takes.items()}
    written = {
        name: dataclasses.replace(take, audio=take.audio * gains[name])
        for name, take in takes.items()
    }
    mix = np.sum([take.audio for take in written.values()], axis=0)
    mix_gain = _gain(float(np.abs(mix).max()))
    for name, take in written.items():
        write_flac(folder / f'{name}.flac', take.audio)
    write_flac(folder / 'mix.flac', mix * mix_gain)
    facts = {
        **about,
        'tracks': {
            name: {
                'role': take.role.name.lower(),
                'file': f'{name}.flac',
                'rms_db': round(take.rms_db, 1),
                'peak': round(take.peak, 3),
                'gain': round(gains[name], 4),
            }
            | ({'warning': 'silent'} if take.rms_db < SILENT_DB else {})
            for name, take in written.items()
        },
        'mix': {'file': 'mix.flac', 'gain': round(mix_gain, 4)},
    }
    (folder / 'piece.json').write_text(json.dumps(facts, indent=1) + '\n')
    return facts


def _gain(peak: float) -> float:
    """1, or what brings a peak above full scale just below it."""
    return 1.0 if peak <= 1.0 else 0.99 / peak
