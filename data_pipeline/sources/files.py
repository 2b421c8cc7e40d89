"""The one loader of all sources whose songs are sound files: an entry's files to its stems.

1. Each file is resampled to 48 kHz and made stereo, the files of a track are added, shorter ones
   padded with silence to the longest of the song.
2. Levels are left alone, unless a stem or the sum would pass full scale: then one gain lowers the
   whole song, and is noted in its tags.
3. Where a score is known to be in time with the files, tempo, key, beats and chords are of it.

A song follows from the contents of its files, not from where they lie or in which order they come.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence

import numpy as np
from etils import epath

from data_pipeline.audio import read_audio, read_bytes, require_end
from data_pipeline.chords import score_chords
from data_pipeline.containers import read_stream
from data_pipeline.sources.midi import estimate_key, read_midi
from data_pipeline.sources.roles import assign_roles
from data_pipeline.sources.source import AudioFile, Entry, Material
from jen1composer.errors import BadInput
from jen1composer.tracks import SAMPLE_RATE as RATE
from jen1composer.tracks import TRACKS

CEILING = 0.999
MIN_DURATION_S = 0.1  # Less is a slip: a click, a file of a few samples.
PIECE_BYTES = 2**20


def sha256(entry: Entry) -> str:
    """Of the contents of the files of each track, and of what is known about the song.

    Raises BadInput for a broken entry and for a file that cannot be read.
    """
    require_whole(entry)
    paths = {file.path for files in entry.files.values() for file in files}
    contents = {path: file_sha256(path) for path in {*paths, entry.score} - {''}}
    made_of = {
        'files': {
            track: sorted([contents[file.path], str(file.stream)] for file in files)
            for track, files in entry.files.items()
        },
        'score': contents.get(entry.score),
        'title': entry.title,
        'tags': dict(entry.tags),
        'captions': entry.captions,
    }
    return hashlib.sha256(json.dumps(made_of, sort_keys=True).encode()).hexdigest()


def load(entry: Entry) -> Material:
    """Reads, resamples and adds up the files of one song.

    Raises BadInput, one line that names the file, for what cannot be read whole; one that names the
    song for silence, less than MIN_DURATION_S and sums that are not finite.
    """
    require_whole(entry)
    with np.errstate(over='ignore', invalid='ignore'):  # It is refused below.
        stems = add_up(entry.files)
        peak = float(max(np.abs(stems).max(), np.abs(stems.sum(axis=0)).max()))
    if stems.shape[1] < MIN_DURATION_S * RATE:
        raise BadInput(
            f'{entry.where}: {stems.shape[1] / RATE:.4f} s long; allowed is {MIN_DURATION_S} s or '
            'more'
        )
    if not np.isfinite(peak):
        raise BadInput(
            f'{entry.where}: its stems add up to samples that are not finite numbers; give sound '
            'files near full scale'
        )
    if peak == 0:
        raise BadInput(f'{entry.where}: all stems are silent; needed is one that is not')
    gain = min(1.0, CEILING / peak)
    stems *= np.float32(gain)
    tags = {**entry.tags, 'gain_db': round(20 * float(np.log10(gain)), 2)}
    if not entry.score:
        return Material(stems=stems, tags=tags, captions=entry.captions)
    score = read_midi(read_bytes(entry.score), entry.score)
    roles = assign_roles(score.notes, score.duration_s)
    return Material(
        stems=stems,
        tags={**tags, 'bpm': round(score.bpm, 1), 'key': estimate_key(score.notes)},
        captions=entry.captions,
        beats_s=tuple(beat for beat in score.beats_s if beat * RATE < stems.shape[1]),
        chords=score_chords(score.notes, roles, score.beats_s, score.duration_s),
    )


def require_whole(entry: Entry) -> None:
    """Raises BadInput for an entry that is broken, has no files or names one twice for a track."""
    if entry.broken:
        raise BadInput(entry.broken)
    if not any(entry.files.values()):
        raise BadInput(f'{entry.where}: no stems; needed is at least one')
    for track, files in entry.files.items():
        for file in files:
            if files.count(file) > 1:
                raise BadInput(f'{file.path}: named twice for {track}; allowed is once')


def add_up(files: Mapping[str, Sequence[AudioFile]]) -> np.ndarray:
    """The sums of the files of each track, float32 `[track, sample, 2]` in the order of TRACKS."""
    stems = np.zeros((len(TRACKS), 0, 2), np.float32)
    for k, track in enumerate(TRACKS):
        # Sorted: sums of floats follow the order in their last bit.
        for file in sorted(files.get(track, ()), key=lambda file: (file.path, str(file.stream))):
            audio = read_file(file)
            missing = len(audio) - stems.shape[1]
            if missing > 0:
                stems = np.pad(stems, ((0, 0), (0, missing), (0, 0)))
            stems[k, : len(audio)] += audio
    return stems


def read_file(file: AudioFile) -> np.ndarray:
    """A sound file or one stream of a container, float32 `[sample, 2]` at 48 kHz."""
    if file.stream is None:
        return read_audio(file.path)
    return read_stream(file.path, file.stream)


def file_sha256(path: str) -> str:
    """Of a file's content, read in pieces. Raises BadInput if it cannot be opened."""
    require_end(path)
    whole = hashlib.sha256()
    try:
        with epath.Path(path).open('rb') as file:
            while piece := file.read(PIECE_BYTES):
                whole.update(piece)
    except OSError as error:
        reason = 'missing' if isinstance(error, FileNotFoundError) else 'cannot be opened'
        raise BadInput(f'{path}: {reason}; needed is the whole song') from error
    return whole.hexdigest()
