"""What sources of scores share: the SoundFont, tags from the notes, rendering.

The font is `TimGM6mb.sf2` of the wheel `pretty_midi`; GPL-2.
"""

import dataclasses
import hashlib
import pathlib
from collections.abc import Mapping

from etils import epath

from data_pipeline import loudness
from data_pipeline.chords import score_chords
from data_pipeline.sources import midi, render, roles
from data_pipeline.sources.midi import Part, Score, estimate_key
from data_pipeline.sources.roles import assign_roles, instruments
from data_pipeline.sources.source import RECIPE, Entry, Material, constants
from data_pipeline.sources.wheels import Wheel, fetch, member
from jen1composer import harmony
from jen1composer.errors import BadInput
from jen1composer.tracks import TRACKS

FONT_WHEEL = Wheel(name='pretty_midi', version='0.2.11.post0')
FONT = 'pretty_midi/TimGM6mb.sf2'
FONT_SHA256 = '82475b91a76de15cb28a104707d3247ba932e228bada3f47bba63c6b31aaf7a1'


def fetch_font(cache: pathlib.Path | None = None) -> bytes:
    """The SoundFont of the package, downloaded once. Raises BadInput if that fails."""
    return member(fetch(FONT_WHEEL, cache), FONT, FONT_SHA256)


def read_font(path: str) -> bytes:
    """A SoundFont of the user's. Raises BadInput if there is none that can be played."""
    try:
        font = epath.Path(path).read_bytes()
        render.open_font(font)
    except (OSError, ValueError) as error:
        raise BadInput(
            f'--font={path}: cannot be read ({error}); allowed is a .sf2 file'
        ) from error
    return font


def render_settings(font: bytes) -> dict[str, object]:
    """All that shapes a rendered song beside its MIDI file."""
    return {
        'recipe': RECIPE,
        'font_sha256': hashlib.sha256(font).hexdigest(),
        **constants(midi, roles, render, loudness, harmony),
    }


def describe_score(entry: Entry, score: Score) -> Entry:
    """The entry with the tracks of its score that have a part, and its tags."""
    parts = assign_roles(score.notes, score.duration_s)
    tracks = tuple(track for track in TRACKS if track in parts.values())
    return dataclasses.replace(entry, tracks=tracks, tags=score_tags(score, parts))


def score_tags(score: Score, parts: Mapping[Part, str]) -> dict[str, object]:
    """Tempo, key and instruments of a score."""
    return {
        'bpm': round(score.bpm, 1),
        'key': estimate_key(score.notes),
        'instruments': instruments(score.notes, parts),
    }


def perform(font: bytes, score: Score, entry: Entry) -> Material:
    """Renders a score; tags and captions are the entry's, beats and chords the score's.

    Raises BadInput for one that renders to silence, such as with all volumes at 0.
    """
    parts = assign_roles(score.notes, score.duration_s)
    stems = render.render(font, score, parts)
    if not stems.any():
        raise BadInput(f'{entry.where}: all stems are silent; needed is one that is not')
    return Material(
        stems=stems,
        tags=entry.tags,
        captions=entry.captions,
        beats_s=score.beats_s,
        chords=score_chords(score.notes, parts, score.beats_s, score.duration_s),
    )
