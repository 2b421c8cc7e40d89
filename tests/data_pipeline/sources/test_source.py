"""Settings: whatever shapes the songs of a source is in their recipe."""

import json

import pytest

from data_pipeline.sources import render, roles
from data_pipeline.sources.freedoom import Freedoom
from data_pipeline.sources.source import constants
from data_pipeline.sources.stems import Stems


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
        'midi.PROFILES',
        'loudness.K_STAGES',
    ],
)
def test_the_constants_that_shape_a_song_are_settings(name: str):
    assert name in Freedoom.settings


@pytest.mark.parametrize('source', [Freedoom, Stems])
def test_settings_survive_json(source: type):
    settings = json.loads(json.dumps(source.settings, allow_nan=False))
    assert 'recipe' in settings


def test_a_changed_constant_changes_the_settings(monkeypatch: pytest.MonkeyPatch):
    before = constants(render, roles)
    monkeypatch.setattr(render, 'TAIL_S', 3.0)
    after = constants(render, roles)
    assert {key for key in before if before[key] != after[key]} == {'render.TAIL_S'}
