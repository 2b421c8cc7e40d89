"""A session: the loop of composing, as data.

A piece has a lane for each track, and a lane has takes, of which one is heard. A session is the
pieces p_0 .. p_n that its steps led through, and which of them is the present one:

(1) an action leads from p_k to a piece that takes the place of p_{k+1} and of all that followed
(2) undo goes back to p_{k-1}, redo on to p_{k+1}: both give exactly the piece that was there
(3) what changes nothing is no step
(4) the revision grows with every action that changes something, undo and redo too
(5) forgetting leaves the present piece alone, with what is heard of it, and no way back

All of it is frozen, and takes are shared between pieces. `session_steps` says what actions do, and
`session_folder` keeps a session on disk.
"""

import dataclasses
import json
import re
from collections.abc import Iterator, Sequence
from typing import Any

from jen1composer.errors import BadInput, require
from jen1composer.generation.actions import Set
from jen1composer.generation.lane_takes import LaneTake
from jen1composer.generation.words import words
from jen1composer.tracks import SAMPLE_RATE

MAX_TRACKS = 8
GOES_ON = ('continue', 'regenerate')  # what leaves some of the sound that it begins with
_TRACK = re.compile(r'(?!mix$)[\w-]+', re.ASCII)  # stems are files of these names


@dataclasses.dataclass(frozen=True, kw_only=True)
class Lane:
    """A track with its takes, in the order in which they came, and how it is mixed."""

    track: str
    takes: tuple[LaneTake, ...] = ()
    current: LaneTake | None = None
    kept: bool = False
    gain_db: float = 0.0
    muted: bool = False
    solo: bool = False

    def with_take(self, take: LaneTake) -> 'Lane':
        """The lane with `take` heard; one that it has already is not listed twice."""
        takes = self.takes if take in self.takes else (*self.takes, take)
        return dataclasses.replace(self, takes=takes, current=take)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Piece:
    """What a session is at one moment.

    It lies from sample `start` of the time line (`lane_takes`) on, `num_samples` long.
    """

    lanes: tuple[Lane, ...]
    num_samples: int
    start: int = 0
    prompt: str = ''
    tempo_bpm: float | None = None
    key: str | None = None
    chords: str | None = None  # a progression, which is told in numbers alone

    @property
    def seconds(self) -> float:
        return self.num_samples / SAMPLE_RATE

    @property
    def words(self) -> str:
        """The prompt with tempo and key, as the composer is told it."""
        return words(self.prompt, self.tempo_bpm, self.key)

    def lane(self, track: str) -> Lane:
        """The lane of `track`; raises BadInput where there is none."""
        for lane in self.lanes:
            if lane.track == track:
                return lane
        allowed = ', '.join(lane.track for lane in self.lanes)
        raise BadInput(f'track: unknown track {track!r}; allowed are {allowed}')

    def with_lane(self, lane: Lane) -> 'Piece':
        lanes = tuple(lane if old.track == lane.track else old for old in self.lanes)
        return dataclasses.replace(self, lanes=lanes)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Session:
    """Pieces, oldest first, with the action's JSON that led to each, and where one is."""

    pieces: tuple[Piece, ...]
    asked: tuple[str, ...]  # of each piece; '{}' of the first
    at: int = 0
    revision: int = 0

    @staticmethod
    def new(
        tracks: Sequence[str],
        seconds: float = 5.12,
        prompt: str = '',
        tempo_bpm: float | None = None,
        key: str | None = None,
        chords: str | None = None,
    ) -> 'Session':
        """An empty session; raises BadInput for what no piece can be."""
        fits = 1 <= len(tracks) <= MAX_TRACKS and len(set(tracks)) == len(tracks)
        fits = fits and all(_TRACK.fullmatch(track) for track in tracks)
        allowed = (
            f'are 1 to {MAX_TRACKS} different names of letters, digits, _ and -, none of them mix'
        )
        require(fits, 'tracks', list(tracks), allowed)
        Set(  # refuses the others
            prompt=prompt, seconds=seconds, tempo_bpm=tempo_bpm, key=key, chords=chords
        )
        piece = Piece(
            lanes=tuple(Lane(track=track) for track in tracks),
            num_samples=round(seconds * SAMPLE_RATE),
            prompt=prompt,
            tempo_bpm=tempo_bpm or None,
            key=key or None,
            chords=chords or None,
        )
        return Session(pieces=(piece,), asked=('{}',))

    @property
    def piece(self) -> Piece:
        """The present one."""
        return self.pieces[self.at]

    @property
    def tracks(self) -> tuple[str, ...]:
        return tuple(lane.track for lane in self.piece.lanes)

    @property
    def can_undo(self) -> bool:
        return self.at > 0

    @property
    def can_redo(self) -> bool:
        return self.at + 1 < len(self.pieces)

    def undo(self) -> 'Session':
        """Raises BadInput where there is nothing to undo."""
        if not self.can_undo:
            raise BadInput('undo: nothing was done yet; allowed is undo after a step')
        return dataclasses.replace(self, at=self.at - 1, revision=self.revision + 1)

    def redo(self) -> 'Session':
        """Raises BadInput where nothing was undone."""
        if not self.can_redo:
            raise BadInput('redo: nothing was undone; allowed is redo after undo')
        return dataclasses.replace(self, at=self.at + 1, revision=self.revision + 1)

    def forget(self) -> 'Session':
        """The present piece alone, with what is heard, and the uploads that are part of it.

        Equation (5). It is the session itself where there is nothing else in it.
        """
        lanes = tuple(
            dataclasses.replace(lane, takes=tuple(self._needed(lane))) for lane in self.piece.lanes
        )
        piece = dataclasses.replace(self.piece, lanes=lanes)
        if (piece,) == self.pieces:
            return self
        return Session(pieces=(piece,), asked=('{}',), revision=self.revision + 1)

    def _needed(self, lane: Lane) -> Iterator[LaneTake]:
        """What is heard of a lane and, where an upload is part of that, how it came from it."""
        if lane.current is None:
            return
        way = self._way_back(lane.current)
        yield from reversed(way if way[-1].about.how == 'upload' else way[:1])

    def upload_of(self, take: LaneTake) -> LaneTake | None:
        """The upload that `take` is or has in it; None where there is none in the session."""
        last = self._way_back(take)[-1]
        return last if last.about.how == 'upload' and not last.lost else None

    def _way_back(self, take: LaneTake) -> list[LaneTake]:
        """`take`, what it goes on from or is partly made anew of, and so on."""
        held = {t.id: t for piece in self.pieces for lane in piece.lanes for t in lane.takes}
        way = [take]
        while way[-1].about.how in GOES_ON:
            source = held.get(way[-1].about.source or '')
            if source is None or source in way:
                break
            way.append(source)
        return way

    def step(self, piece: Piece, asked: str) -> 'Session':
        """The session with `piece` as the next and last one."""
        if piece == self.piece:
            return self
        done = self.at + 1
        return Session(
            pieces=(*self.pieces[:done], piece),
            asked=(*self.asked[:done], asked),
            at=done,
            revision=self.revision + 1,
        )

    def take(self, take_id: str) -> LaneTake:
        """A take of any piece; raises BadInput where there is none of this id."""
        for piece in (self.piece, *self.pieces):
            for lane in piece.lanes:
                for take in lane.takes:
                    if take.id == take_id:
                        return take
        raise BadInput(f'take: unknown take {take_id!r}; allowed are ids of takes of this session')


def session_to_json(session: Session) -> dict[str, Any]:
    """What a page shows of a session: JSON values, without sound."""
    piece = session.piece
    return {
        'revision': session.revision,
        'prompt': piece.prompt,
        'words': piece.words,
        'seconds': piece.seconds,
        'tempo_bpm': piece.tempo_bpm,
        'key': piece.key,
        'chords': piece.chords,
        'can_undo': session.can_undo,
        'can_redo': session.can_redo,
        'lanes': [lane_to_json(lane, piece) for lane in piece.lanes],
    }


def lane_to_json(lane: Lane, piece: Piece) -> dict[str, Any]:
    return {
        'track': lane.track,
        'kept': lane.kept,
        'gain_db': lane.gain_db,
        'muted': lane.muted,
        'solo': lane.solo,
        'take': lane.current.id if lane.current else None,
        'takes': [take_to_json(take, piece) for take in lane.takes],
    }


def take_to_json(take: LaneTake, piece: Piece) -> dict[str, Any]:
    """Seconds are of the piece: a take may begin before it, and end after it."""
    about = take.about
    start_s = (about.start - piece.start) / SAMPLE_RATE
    return {
        'id': take.id,
        'how': about.how,
        'prompt': about.prompt,
        'words': about.words,
        'seed': about.seed,
        'asked': json.loads(about.asked),
        'source': about.source,
        'given': dict(about.given),
        'name': about.name,
        'rate': about.rate,
        'start_s': start_s,
        'seconds': take.seconds,
        'made_s': [
            [start_s + start / SAMPLE_RATE, start_s + end / SAMPLE_RATE]
            for start, end in about.holes
        ],
        'rms_db': None if take.rms_db is None else round(take.rms_db, 1),
        'peak': None if take.peak is None else round(take.peak, 3),
        'warnings': list(take.warnings),
    }
