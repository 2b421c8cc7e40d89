"""Obedience measured: pieces that are told something, beside the same seeds that are told nothing.

    OUT/pieces/<condition>/<seed>/mix.flac, <track>.flac, piece.json
    OUT/obedience.json      every piece's figures, and the table

Every condition is made with the same seeds, and 'free' without any. A figure of a condition is the
mean over its seeds; that of 'free' judges the free pieces as if they had been told the same. The
gain is the mean of the differences, seed by seed; its interval is a bootstrap over seeds, which are
the clusters: pieces of one seed share their noise. A piece that is there is kept, so a run that
was stopped goes on.
"""

import dataclasses
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from absl import logging
from etils import epath

from data_pipeline.audio import read_audio
from data_pipeline.sources.wheels import Wheel, fetch, member
from jen1composer.errors import BadInput
from jen1composer.evaluation import obedience
from jen1composer.evaluation.basic_pitch import FRAME_S, BasicPitch
from jen1composer.evaluation.intervals import bootstrap
from jen1composer.generation.composer import Composer
from jen1composer.generation.progression import chord_changes, parse_progression
from jen1composer.generation.request import Request
from jen1composer.training.files import write_whole
from launch.evaluation_run import fingerprint
from launch.pieces import write_piece

BASIC_PITCH = Wheel(name='basic-pitch', version='0.4.0')
BASIC_PITCH_MODEL = (
    'basic_pitch/saved_models/icassp_2022/nmp.onnx',
    '2c3c1d144bfa61ad236e92e169c13535c880469a12a047d4e73451f2c059a0ec',
)
FREE = 'free'
SEED_OF_DRAWS = 0
MEASURES = ('tempo', 'key', 'key_near', 'chords', 'notes')


@dataclasses.dataclass(frozen=True, kw_only=True)
class Condition:
    """What pieces are told; all of it is judged."""

    bpm: float | None = None
    key: str = ''
    chords: str = ''

    @property
    def name(self) -> str:
        """A folder's name, such as '90_bpm' or '90_bpm_Am_F_C_G'."""
        said = [] if self.bpm is None else [f'{self.bpm:g}_bpm']
        said += [self.key, self.chords.replace(':', '.')]
        return '_'.join('_'.join(said).split()).strip('_').replace('__', '_') or FREE


def conditions_of(
    tempi: Sequence[float], keys: Sequence[str], progressions: Sequence[str], chord_bpm: float
) -> list[Condition]:
    """One condition for each tempo, key and progression; progressions at `chord_bpm`."""
    return [
        *(Condition(bpm=bpm) for bpm in tempi),
        *(Condition(key=key) for key in keys),
        *(Condition(bpm=chord_bpm, chords=chords) for chords in progressions),
    ]


def measure_obedience(
    composer: Composer,
    conditions: Sequence[Condition],
    asked: Request,
    *,
    scale: float | None,
    num_seeds: int,
    out: epath.Path,
    basic_pitch: BasicPitch | None,
    progress: Callable[[int, int], None],
) -> dict[str, Any]:
    """Makes the pieces that are missing, listens to all, and writes `obedience.json`.

    Args:
        composer: it was trained with control.
        conditions: what pieces are told.
        asked: all else that they are asked for; its seed is the first one.
        scale: of guidance on what they are told; None is the default.
        num_seeds: of each condition.
        out: the folder.
        basic_pitch: hears notes; None leaves that figure out.
        progress: called with the number of pieces done and of all.
    """
    told = {c.name: _told(asked, c, scale) for c in conditions}  # refuses before anything is made
    settings = {
        'asked': repr(asked),
        'scale': scale,
        'trained_steps': composer.step,
        'composer': fingerprint(composer),
    }
    _claim(out, settings)
    seeds = range(asked.seed, asked.seed + num_seeds)
    total = (1 + len(conditions)) * num_seeds
    heard: dict[str, dict[int, Heard]] = {}
    for name, request in {FREE: asked, **told}.items():
        heard[name] = {}
        for seed in seeds:
            folder = out / 'pieces' / name / str(seed)
            _make(composer, dataclasses.replace(request, seed=seed), folder)
            heard[name][seed] = listen(folder, composer.spec.tracks, basic_pitch)
            progress(sum(map(len, heard.values())), total)
    pieces = [
        {'condition': condition.name, 'seed': seed, 'told': judged, 'free': untold}
        for condition in conditions
        for seed in seeds
        for judged, untold in [
            [judge(heard[name][seed], condition, asked.seconds) for name in (condition.name, FREE)]
        ]
    ]
    table = {
        'seconds': asked.seconds,
        'seeds': num_seeds,
        'control_guidance': scale,
        'trained_steps': composer.step,
        'measures': summarise(pieces),
        'by_condition': {
            c.name: summarise([piece for piece in pieces if piece['condition'] == c.name])
            for c in conditions
        },
        'pieces': pieces,
    }
    (out / 'obedience.json').write_text(json.dumps(table, indent=1) + '\n')
    return table


@dataclasses.dataclass(frozen=True, kw_only=True)
class Heard:
    """What the analysers hear in a piece."""

    tempo: float | None
    chroma: np.ndarray  # of all but drums
    notes: np.ndarray | None  # likewise


def listen(folder: epath.Path, tracks: Sequence[str], basic_pitch: BasicPitch | None) -> Heard:
    """Listens to the files of a piece."""
    stems = {t: read_audio(folder / f'{t}.flac') for t in tracks if (folder / f'{t}.flac').exists()}
    mix = obedience.at_rate(read_audio(folder / 'mix.flac'))
    pitched = [audio for track, audio in stems.items() if track != 'drums']
    sound = obedience.at_rate(np.sum(pitched, axis=0)) if pitched else np.zeros_like(mix)
    return Heard(
        tempo=obedience.heard_tempo(mix),
        chroma=obedience.chroma(sound),
        notes=None if basic_pitch is None else basic_pitch.notes(sound),
    )


def judge(heard: Heard, condition: Condition, seconds: float) -> dict[str, float]:
    """The figures of a piece for what a condition asks; those that it does not ask are left out."""
    found: dict[str, float] = {}
    if condition.bpm is not None and not condition.chords:
        found['tempo'] = float(obedience.follows_tempo(heard.tempo, condition.bpm))
    if condition.key:
        relation = obedience.key_relation(obedience.heard_key(heard.chroma), condition.key)
        found['key'] = float(relation == 'same')
        found['key_near'] = float(relation != 'other')
    if condition.chords and condition.bpm is not None:
        progression = parse_progression('chords', condition.chords)
        changes = chord_changes(progression, condition.bpm, seconds)
        found['chords'] = obedience.chord_share(heard.chroma, changes)
        if heard.notes is not None:
            share = obedience.note_share(heard.notes, FRAME_S, changes)
            found |= {} if share is None else {'notes': share}
    return found


def summarise(pieces: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Of each measure the figure told and free, and the gain, with intervals over seeds."""
    found = {}
    for measure in MEASURES:
        both = [p for p in pieces if measure in p['told'] and measure in p['free']]
        if not both:
            continue
        by_seed: dict[str, dict[str, list[float]]] = {'told': {}, 'free': {}, 'gain': {}}
        for piece in both:
            told, free = piece['told'][measure], piece['free'][measure]
            for kind, value in (('told', told), ('free', free), ('gain', told - free)):
                by_seed[kind].setdefault(str(piece['seed']), []).append(value)
        found[measure] = {
            kind: bootstrap(values, seed=SEED_OF_DRAWS)._asdict()
            for kind, values in by_seed.items()
        }
    return found


def lines(table: Mapping[str, Any]) -> Iterator[str]:
    """The table, to be printed."""
    yield f'{"":28}{"told":>8}{"free":>8}{"gain":>8}   95 % of the gain'
    for title, measures in (('all', table['measures']), *table['by_condition'].items()):
        for measure, of in measures.items():
            gain = of['gain']
            yield (
                f'{title[:18]:19}{measure:9}{of["told"]["mean"]:8.3f}{of["free"]["mean"]:8.3f}'
                f'{gain["mean"]:8.3f}   {gain["low"]:.3f} to {gain["high"]:.3f}'
            )


def load_basic_pitch() -> BasicPitch | None:
    """The network, from its wheel; None, said in a line, where it or onnxruntime is not there."""
    try:
        return BasicPitch.load(member(fetch(BASIC_PITCH), *BASIC_PITCH_MODEL))
    except BadInput as error:
        logging.warning('notes are not judged: %s', error)
        return None


def _told(asked: Request, condition: Condition, scale: float | None) -> Request:
    return dataclasses.replace(asked, **dataclasses.asdict(condition), control_guidance=scale)


def _claim(out: epath.Path, settings: Mapping[str, Any]) -> None:
    """Notes what pieces are made with; refuses a folder of pieces that were made otherwise."""
    out.mkdir(parents=True, exist_ok=True)
    path = out / 'settings.json'
    if path.exists():
        try:
            known = dict(json.loads(path.read_text()))
        except (ValueError, TypeError) as error:
            raise BadInput(f'{path}: is damaged ({error}); give another folder') from error
        if {
            **settings,
            **known,
        } != settings:  # what older folders do not say is not held against them
            raise BadInput(f'--out={out}: holds pieces of other settings; give another folder')
        if known == settings:
            return
    write_whole(path, (json.dumps(settings, indent=1) + '\n').encode())


def _make(composer: Composer, request: Request, folder: epath.Path) -> None:
    """Makes a piece, unless it is there: piece.json is written last."""
    if not (folder / 'piece.json').exists():
        write_piece(folder, composer.compose(request), request)
