"""Stems and mix as files that a DAW can lay side by side.

(1) All stems are as long as the piece and begin where it begins, one for every lane with a take,
    muted or not, each with its gain.
(2) WAV holds 32 bit floating point: it takes any level, and the audible stems add up to the mix
    exactly as they are mixed. FLAC holds 24 bits up to full scale: where a stem or the mix is above
    it, all of them are quieter by one gain, which is stated, so they still add up.
(3) For a DAW, tempo and key are in the names: `bass_120bpm_F#m.wav`.
(4) An uploaded sound is in `as_uploaded` too, sample for sample, where its stem is not just that:
    of another rate or length, with a gain, in FLAC with more than 24 bits, or continued.
(5) At a loudness the mix alone has another gain (`mixdown`), and does not add up.

`stems.json` beside them says what they are.
"""

import io
import json
from collections.abc import Iterator
from typing import Any

import numpy as np
import soundfile
from etils import epath

from jen1composer.errors import require
from jen1composer.generation.lane_takes import LaneTake
from jen1composer.generation.mixdown import audible, lane_sound, loudness, mixed, to_loudness
from jen1composer.generation.session import Lane, Piece, Session, take_to_json
from jen1composer.tracks import SAMPLE_RATE
from jen1composer.training.files import write_whole

KINDS = {'wav': 'FLOAT', 'flac': 'PCM_24'}
FULL_SCALE = 1 - 2.0**-23  # of 24 bits
UPLOADS = 'as_uploaded'


def write_stems(
    folder: epath.PathLike,
    session: Session,
    kind: str = 'flac',
    daw: bool = True,
    loudness_lufs: float | None = None,
) -> dict[str, Any]:
    """Writes the folder and returns what `stems.json` says.

    Args:
        folder: files of the same names in it are replaced.
        session: its present piece is written.
        kind: wav or flac.
        daw: whether names carry tempo and key, and uploads lie beside.
        loudness_lufs: of the mix; None leaves it the sum of the stems.

    Raises BadInput for another kind, or where a lane is not finite.
    """
    require(kind in KINDS, 'kind', kind, f'are {", ".join(KINDS)}')
    folder, piece = epath.Path(folder), session.piece
    folder.mkdir(parents=True, exist_ok=True)
    lanes = [lane for lane in piece.lanes if lane.current]
    heard = {lane.track for lane in audible(piece)}
    gain = 1.0 if kind == 'wav' else _common_gain(piece, lanes)
    ending = f'{_tempo_and_key(piece) if daw else ""}.{kind}'
    stems = {}
    for lane in lanes:
        sound = lane_sound(lane, piece) * np.float32(gain)
        name = f'{lane.track}{ending}'
        write_whole(folder / name, encode_sound(sound, SAMPLE_RATE, kind))
        stems[lane.track] = _describe(lane, piece, name) | {'audible': lane.track in heard}
        upload = session.upload_of(lane.current) if lane.current else None
        if daw and upload is not None and not _is_upload(sound, upload, kind):
            stems[lane.track]['as_uploaded'] = _write_upload(folder / UPLOADS, lane.track, upload)
    mix = mixed(piece) * np.float32(gain)
    facts: dict[str, Any] = {'file': f'mix{ending}', 'loudness_lufs': _rounded(loudness(mix))}
    if loudness_lufs is not None:
        leveled = to_loudness(mix, loudness_lufs)
        mix = leveled.audio
        facts |= {
            'loudness_lufs': _rounded(leveled.loudness_lufs),
            'true_peak_db': _rounded(leveled.true_peak_db),
            'gain_db': _rounded(leveled.gain_db),
            'held_back': leveled.held_back,
        }
    write_whole(folder / facts['file'], encode_sound(mix, SAMPLE_RATE, kind))
    said = {
        'prompt': piece.prompt,
        'tempo_bpm': piece.tempo_bpm,
        'key': piece.key,
        'chords': piece.chords,
        'seconds': piece.seconds,
        'samples': piece.num_samples,
        'sample_rate': SAMPLE_RATE,
        'common_gain': round(gain, 6),
        'stems': stems,
        'mix': facts,
    }
    write_whole(folder / 'stems.json', (json.dumps(said, indent=1) + '\n').encode())
    return said


def encode_sound(audio: np.ndarray, rate: int, kind: str) -> bytes:
    """The bytes of a file: WAV in floating point (of 64 bits where samples are), or FLAC, 24 bits.

    FLAC needs samples within full scale, see `fit_full_scale`; what is beyond is cut off.
    """
    subtype = 'DOUBLE' if (kind, audio.dtype) == ('wav', np.float64) else KINDS[kind]
    file = io.BytesIO()
    soundfile.write(file, audio, rate, format=kind.upper(), subtype=subtype)
    return file.getvalue()


def fit_full_scale(audio: np.ndarray) -> tuple[np.ndarray, float]:
    """`audio` as a file of whole numbers can hold it, and the gain that took, 1 if none."""
    gain = _gain_for(float(np.abs(audio).max(initial=0.0)))
    return (audio, 1.0) if gain == 1 else (audio * np.float32(gain), gain)


def _common_gain(piece: Piece, lanes: list[Lane]) -> float:
    """Equation (2) for FLAC."""

    def peaks() -> Iterator[float]:
        for lane in lanes:
            yield float(np.abs(lane_sound(lane, piece)).max())
        yield float(np.abs(mixed(piece)).max())

    return _gain_for(max(peaks()))


def _gain_for(peak: float) -> float:
    return 1.0 if peak <= FULL_SCALE else 0.99 / peak


def _tempo_and_key(piece: Piece) -> str:
    """`_120bpm_F#m`, as far as it is known."""
    said = '' if piece.tempo_bpm is None else f'_{piece.tempo_bpm:g}bpm'
    if piece.key is not None:
        tonic, _, mode = piece.key.partition(' ')
        said += f'_{tonic}{"m" if mode == "minor" else "maj"}'
    return said


def _describe(lane: Lane, piece: Piece, name: str) -> dict[str, Any]:
    assert lane.current is not None
    said = take_to_json(lane.current, piece)
    kept = ('id', 'how', 'prompt', 'seed', 'made_s', 'warnings')
    mixed_as = {'gain_db': lane.gain_db, 'muted': lane.muted, 'solo': lane.solo}
    return {'file': name, **mixed_as, **{key: said[key] for key in kept}}


def _is_upload(stem: np.ndarray, take: LaneTake, kind: str) -> bool:
    """Whether a stem's file gives back all of the upload `take`."""
    assert take.original is not None
    if take.original.shape != stem.shape or take.about.rate != SAMPLE_RATE:
        return False
    if kind == 'flac':
        stem = np.round(stem.astype(np.float64) * 2**23) / 2**23
    return bool(np.array_equal(stem, take.original))


def _write_upload(folder: epath.Path, track: str, take: LaneTake) -> str:
    """Writes the uploaded sound and returns its name, from the folder of the stems."""
    audio, rate = take.sound
    folder.mkdir(parents=True, exist_ok=True)
    write_whole(folder / f'{track}.wav', encode_sound(audio, rate, 'wav'))
    return f'{UPLOADS}/{track}.wav'


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 2)
