"""Obedience: a composer that does as told is found to, one that is deaf gains nothing."""

import dataclasses
import json
import shutil
import types

import numpy as np
import pytest
from etils import epath

from jen1composer.errors import BadInput
from jen1composer.generation.composer import Composition, Take
from jen1composer.generation.progression import chord_changes, parse_progression
from jen1composer.generation.request import Request
from jen1composer.harmony import NO_CHORD, chords_at, key_number, triad
from jen1composer.tracks import Role
from launch.obedience_run import Condition, conditions_of, lines, measure_obedience

RATE = 48_000
SECONDS = 8.0
CONDITIONS = conditions_of([80, 140], ['Eb major'], ['Dm G'], 120)


@dataclasses.dataclass
class Player:
    """In a composer's place: plays what it is told, or, deaf, always the same."""

    deaf: bool = False
    made: int = 0
    step: int = 3
    params: float = 0.0
    spec = types.SimpleNamespace(tracks=('drums', 'instrument'))

    def compose(self, request: Request) -> Composition:
        self.made += 1
        time_s = np.arange(round(request.seconds * RATE)) / RATE
        bpm = 100.0 if self.deaf or request.bpm is None else request.bpm
        chords = 'C' if self.deaf or not request.chords else request.chords
        tonic = 0 if self.deaf or not request.key else key_number('', request.key)
        changes = chord_changes(parse_progression('', chords), bpm, request.seconds)
        sounding = chords_at(changes, time_s) if request.chords else np.full(len(time_s), tonic)
        wave = np.zeros(len(time_s))
        for chord in range(NO_CHORD):
            for tone in triad(chord):
                hertz = 440 * 2 ** ((48 + tone - 69) / 12)
                wave += 0.1 * np.sin(2 * np.pi * hertz * time_s) * (sounding == chord)
        clicks = np.random.default_rng(request.seed).uniform(-0.5, 0.5, len(time_s))
        clicks *= time_s * bpm / 60 % 1 < 0.05
        takes = {
            name: Take(
                role=Role.TARGET,
                audio=np.stack([audio, audio], axis=1).astype(np.float32),
                latents=np.zeros((1, 1), np.float32),
                holes=((0, len(audio)),),
            )
            for name, audio in (('drums', clicks), ('instrument', wave))
        }
        return Composition(takes=takes, step=self.step, text_guidance=1.0, given_guidance={})


def measured(composer, out, **changes):
    asked = {'seconds': SECONDS, **changes.pop('asked', {})}
    settings = {'scale': None, 'num_seeds': 2, 'basic_pitch': None, 'progress': lambda *_: None}
    conditions = changes.pop('conditions', CONDITIONS)
    return measure_obedience(
        composer, conditions, Request(**asked), out=out, **(settings | changes)
    )


@pytest.fixture(scope='module')
def told(tmp_path_factory):
    out = epath.Path(tmp_path_factory.mktemp('obey')) / 'out'
    player = Player()
    return player, out, measured(player, out)


def test_who_obeys_gains_and_every_figure_is_kept(told):
    player, out, table = told
    assert player.made == (1 + len(CONDITIONS)) * 2
    for measure in ('tempo', 'key_near', 'chords'):
        assert table['measures'][measure]['told']['mean'] > 0.95
        assert table['measures'][measure]['gain']['mean'] > 0.5
    assert json.loads((out / 'obedience.json').read_text()) == table
    assert len(table['pieces']) == 2 * len(CONDITIONS)
    assert set(table['by_condition']) == {'80_bpm', '140_bpm', 'Eb_major', '120_bpm_Dm_G'}
    assert any(line.startswith('Eb_major') for line in lines(table))


def test_pieces_that_are_there_are_kept_and_other_settings_refused(told):
    _, out, table = told
    again = Player()
    assert measured(again, out) == table
    assert again.made == 0
    with pytest.raises(BadInput, match='holds pieces of other settings'):
        measured(again, out, scale=2.0)
    with pytest.raises(BadInput, match='holds pieces of other settings'):
        measured(Player(params=1.0), out)


def test_a_folder_that_does_not_say_its_composer_goes_on(told, tmp_path):
    _, out, table = told
    shutil.copytree(out, tmp_path / 'out')
    path = tmp_path / 'out' / 'settings.json'
    settings = json.loads(path.read_text())
    path.write_text(json.dumps({k: v for k, v in settings.items() if k != 'composer'}))
    again = Player()
    assert measured(again, epath.Path(tmp_path / 'out')) == table
    assert again.made == 0
    assert json.loads(path.read_text()) == settings
    path.write_text('{')
    with pytest.raises(BadInput, match='is damaged'):
        measured(again, epath.Path(tmp_path / 'out'))


def test_what_cannot_be_asked_is_refused_before_anything_is_made(tmp_path):
    player = Player()
    with pytest.raises(BadInput, match='key'):
        measured(player, epath.Path(tmp_path), conditions=conditions_of([90], ['H'], [], 120))
    assert player.made == 0
    assert not list(tmp_path.iterdir())


def test_who_is_deaf_gains_nothing(tmp_path):
    table = measured(Player(deaf=True), epath.Path(tmp_path), num_seeds=2)
    for of in table['measures'].values():
        assert of['gain']['mean'] == 0


def test_names_of_conditions_are_folders():
    assert Condition(bpm=92.5, chords='Am:2 F').name == '92.5_bpm_Am.2_F'
    assert Condition(key='F# minor').name == 'F#_minor'
    assert len({c.name for c in CONDITIONS}) == len(CONDITIONS)
