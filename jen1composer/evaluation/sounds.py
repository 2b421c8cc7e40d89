"""The stems of every system as files, each written once and whole.

    DIR/question.json                          what they are an answer to
    DIR/sounds/<system>/<excerpt>/<track>.flac 16 bits, as the original is

A folder answers one question: who comes with another is refused, so nothing is taken for what it is
not. What is beyond full scale is cut off in a file, and counted as clipped where it is measured.
"""

import dataclasses
import io
import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import soundfile
from etils import epath

from jen1composer.errors import BadInput
from jen1composer.evaluation.systems import Mix
from jen1composer.tracks import SAMPLE_RATE
from jen1composer.training.files import write_whole


@dataclasses.dataclass(frozen=True)
class Sounds:
    """A folder of stems; made by `open_sounds`."""

    folder: epath.Path

    def path(self, system: str, excerpt: str, track: str) -> epath.Path:
        return self.folder / 'sounds' / system / excerpt / f'{track}.flac'

    def has(self, system: str, excerpt: str, track: str) -> bool:
        return self.path(system, excerpt, track).exists()

    def write(self, system: str, excerpt: str, track: str, audio: np.ndarray) -> None:
        """Writes `[sample, 2]` at 48 kHz."""
        file = io.BytesIO()
        soundfile.write(file, audio, SAMPLE_RATE, format='FLAC', subtype='PCM_16')
        path = self.path(system, excerpt, track)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, file.getvalue())

    def read(self, system: str, excerpt: str, track: str) -> np.ndarray:
        """Float32 `[sample, 2]`; raises BadInput, naming the file, where it cannot be read."""
        path = self.path(system, excerpt, track)
        try:
            audio, _ = soundfile.read(io.BytesIO(path.read_bytes()), dtype='float32')
        except (OSError, soundfile.LibsndfileError) as error:
            raise BadInput(f'{path}: cannot be read ({error}); remove it, and run again') from error
        return audio

    def stems(self, mix: Mix, excerpt: str) -> dict[str, np.ndarray]:
        """The stems of a mix by track."""
        return {track: self.read(system, excerpt, track) for track, system in mix.sources.items()}


def open_sounds(folder: epath.PathLike, question: Mapping[str, Any]) -> Sounds:
    """The folder that answers `question`, begun if it is new.

    Raises BadInput, naming what differs, where it answers another.
    """
    folder = epath.Path(folder)
    path = folder / 'question.json'
    asked = json.loads(json.dumps(question))
    if path.exists():
        try:
            known = json.loads(path.read_text())
            differing = [k for k in sorted({*known, *asked}) if known.get(k) != asked.get(k)]
        except (ValueError, TypeError, AttributeError) as error:
            raise BadInput(f'{path}: is damaged ({error}); name another folder') from error
        if differing:
            key = differing[0]
            raise BadInput(
                f'--out={folder}: answers another question, of {key} {_short(known.get(key))}; now '
                f'it is {_short(asked.get(key))}; name another folder'
            )
    else:
        folder.mkdir(parents=True, exist_ok=True)
        write_whole(path, (json.dumps(asked, indent=1) + '\n').encode())
    return Sounds(folder)


def _short(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 60 else f'{text[:57]}...'
