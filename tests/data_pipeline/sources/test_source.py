"""Settings: whatever shapes the songs of a source is in their recipe."""

import dataclasses
import json
import pickle

import pytest

from data_pipeline.sources import render, roles
from data_pipeline.sources.freedoom import Freedoom
from data_pipeline.sources.midi_folder import MidiFolder
from data_pipeline.sources.moisesdb import Moisesdb
from data_pipeline.sources.musdb import Musdb
from data_pipeline.sources.slakh import Slakh
from data_pipeline.sources.source import Source, constants
from data_pipeline.sources.stems import Stems

RENDERED = (Freedoom(songs={}, font=b'font'), MidiFolder(folder='x', font=b'font'))
READ = tuple(source(folder='x') for source in (Stems, Slakh, Musdb, Moisesdb))


@pytest.mark.parametrize(
    'name',
    [
        'render.TAIL_S',
        'render.VELOCITY_EXPONENT',
        'render.VOLUME_EXPONENT',
        'render.SYNTH_GAIN_DB',
        'render.MAX_VOICES',
        'render.MAX_TRACK_GAIN_DB',
        'render.SEND_DB',
        'roles.LEAD_FAMILIES',
        'roles.BASS_PROGRAMS',
        'harmony.PROFILES',
        'loudness.K_STAGES',
    ],
)
def test_the_constants_that_shape_a_song_are_settings(name: str):
    for source in RENDERED:
        assert name in source.settings


@pytest.mark.parametrize('name', ['files.CEILING', 'audio.RATES', 'containers.SLACK_S'])
def test_the_constants_that_shape_a_song_of_sound_files_are_settings(name: str):
    for source in READ:
        assert name in source.settings


@pytest.mark.parametrize('source', [*RENDERED, *READ], ids=lambda source: source.name)
def test_settings_survive_json_and_sources_a_journey_to_another_process(source: Source):
    settings = json.loads(json.dumps(source.settings, allow_nan=False))
    assert 'recipe' in settings
    assert ('files.CEILING' in settings) == (source in READ)
    assert pickle.loads(pickle.dumps(source)) == source


def test_another_font_is_another_setting():
    for source in RENDERED:
        other = dataclasses.replace(source, font=b'other')
        assert other.settings['font_sha256'] != source.settings['font_sha256']


def test_a_changed_constant_changes_the_settings(monkeypatch: pytest.MonkeyPatch):
    before = constants(render, roles)
    monkeypatch.setattr(render, 'TAIL_S', 3.0)
    after = constants(render, roles)
    assert {key for key in before if before[key] != after[key]} == {'render.TAIL_S'}
