"""A prompt's words with tempo and key, said as the prompts of training say them.

`data_pipeline.prompts` composes prompts of segments; its first template is followed here:

    {prompt} in {key} at a {pace} {bpm} bpm        "dark rock in A minor at a brisk 120 bpm"

A segment is left out with what it is about; where there is no prompt but a key or a tempo, the
words begin with "music". Of two spellings of a key, the one that training knows is said.
"""

import re

from jen1composer.errors import BadInput, require

MIN_BPM, MAX_BPM = 20.0, 400.0
PACES = ((70, 'slow'), (95, 'relaxed'), (120, 'mid-tempo'), (150, 'brisk'), (MAX_BPM + 1, 'fast'))
SPELT = {
    'Db': 'C#', 'D#': 'Eb', 'Gb': 'F#', 'G#': 'Ab', 'A#': 'Bb',
    'Cb': 'B', 'Fb': 'E', 'E#': 'F', 'B#': 'C',
}  # fmt: skip
_KEY = re.compile(r'([A-G][#b]?) (major|minor)')


def words(prompt: str, tempo_bpm: float | None, key: str | None) -> str:
    """What the text encoder is told; empty where nothing is said."""
    told = prompt.strip()
    if tempo_bpm is None and key is None:
        return told
    told = told or 'music'
    if key is not None:
        tonic, _, mode = key.partition(' ')
        told += f' in {SPELT.get(tonic, tonic)} {mode}'
    if tempo_bpm is not None:
        pace = next(word for limit, word in PACES if tempo_bpm < limit)
        told += f' at a {pace} {tempo_bpm:.0f} bpm'
    return told


def check_tempo(tempo_bpm: float) -> None:
    """Raises BadInput for a tempo that no music has."""
    fits = MIN_BPM <= tempo_bpm <= MAX_BPM
    require(fits, 'tempo_bpm', tempo_bpm, f'are {MIN_BPM:g} to {MAX_BPM:g}, or 0 for none')


def check_key(key: str) -> None:
    """Raises BadInput for what is no key, such as 'F# minor'."""
    if not _KEY.fullmatch(key):
        raise BadInput(f"key: {key!r}; allowed is a tonic and a mode, such as 'F# minor'")
