"""Rendering: linear, the same every time, and as loud as MIDI says."""

import mido
import numpy as np
import pytest
from tinysoundfont import _tinysoundfont as tsf

from data_pipeline.loudness import loudness
from data_pipeline.sources import render
from data_pipeline.sources.midi import Note
from data_pipeline.sources.roles import assign_roles
from jen1composer.tracks import TRACKS
from tests.data_pipeline.conftest import band, line, score_of


def play(font: bytes, parts, controls=(), only=None) -> np.ndarray:
    score = score_of(parts, controls=controls)
    out = np.zeros((round((score.duration_s + 1) * render.RATE), 2), np.float32)
    only = set(score.notes) if only is None else only
    render.synthesise(tsf.SoundFont(font), score, only, {}, out)
    return out


def level_db(audio: np.ndarray) -> float:
    return float(10 * np.log10(np.mean(audio**2)))


def test_the_parts_add_up_to_the_whole(font: bytes):
    parts = band()
    whole = play(font, parts)
    total = sum(play(font, parts, only={part}) for part in parts)
    assert np.abs(whole).max() > 0.05
    np.testing.assert_allclose(total, whole, atol=1e-5)


def test_rendering_twice_gives_the_same_bits(font: bytes):
    score = score_of(band())
    roles = assign_roles(score.notes, score.duration_s)
    first, second = (render.render(font, score, roles) for _ in range(2))
    assert first.tobytes() == second.tobytes()
    assert first.shape == (len(TRACKS), round(6.0 * render.RATE), 2)
    assert np.abs(first.sum(axis=0)).max() <= render.CEILING + 1e-5
    for stem in first:
        assert loudness(stem) > -40
        assert np.abs(stem[:, 0] - stem[:, 1]).max() > 1e-3  # Stereo.


@pytest.mark.parametrize('velocity', [40, 80])
def test_velocity_is_squared(font: bytes, velocity: int):
    loud, soft = (play(font, {(0, 80): [Note(0, 1, 60, v)]}) for v in (127, velocity))
    wanted_db = 40 * np.log10(velocity / 127)
    assert level_db(soft) - level_db(loud) == pytest.approx(wanted_db, abs=0.5)


@pytest.mark.parametrize('control', [7, 11])
def test_volume_and_expression_are_squared(font: bytes, control: int):
    levels = []
    for value in (127, 64):
        message = mido.Message('control_change', control=control, value=value)
        levels.append(level_db(play(font, {(0, 80): line([60] * 4)}, [message])))
    assert levels[1] - levels[0] == pytest.approx(40 * np.log10(64 / 127), abs=0.5)


@pytest.mark.parametrize(('value', 'loud_side'), [(0, 0), (127, 1)])
def test_pan_is_honoured(font: bytes, value: int, loud_side: int):
    message = mido.Message('control_change', control=10, value=value)
    audio = play(font, {(0, 80): line([60] * 4)}, [message])
    assert level_db(audio[:, loud_side]) > level_db(audio[:, 1 - loud_side] + 1e-6) + 20


def test_only_accompaniment_that_names_no_place_gets_one():
    controls = [
        mido.Message('control_change', channel=4, control=10, value=20),
        mido.Message('control_change', channel=1, control=10, value=64),
    ]
    parts = band() | {(4, 49): band()[1, 48], (5, 50): band()[1, 48]}
    score = score_of(parts, controls=controls)
    roles = assign_roles(score.notes, score.duration_s)
    assert render.channel_places(score, roles) == {1: render.SPREAD[0], 5: render.SPREAD[1]}


def test_the_room_is_linear_and_wide():
    rng = np.random.default_rng(0)
    a, b = rng.standard_normal((2, 4000, 2)).astype(np.float32)
    wet_a, wet_b, wet_sum = a.copy(), b.copy(), a + 2 * b
    for stem in (wet_a, wet_b, wet_sum):
        render.add_room(stem, -6.0)
    np.testing.assert_allclose(wet_sum, wet_a + 2 * wet_b, atol=1e-4)
    assert np.abs(wet_a - a).max() > 0.01
    left, right = render.room_response()
    assert np.sum(left**2) == pytest.approx(1, abs=1e-4)
    assert abs(np.sum(left * right)) < 0.1


def test_track_gain_reaches_the_target_within_its_limit():
    rng = np.random.default_rng(0)
    stem = 0.05 * rng.standard_normal((96_000, 2)).astype(np.float32)
    assert loudness(stem * render.track_gain(stem, -20.0)) == pytest.approx(-20.0, abs=0.01)
    limit = 10 ** (render.MAX_TRACK_GAIN_DB / 20)
    assert render.track_gain(stem * 1e-3, -20.0) == pytest.approx(limit)
    assert render.song_gain(np.zeros((4, 1000, 2), np.float32)) == 1


def test_the_room_answers_an_impulse_with_its_response_wherever_it_falls():
    """Closed form, on both sides of a block of the overlap-add."""
    response = render.room_response()
    for at in (0, render.BLOCK - 100, 2 * render.BLOCK):
        stem = np.zeros((3 * render.BLOCK, 2), np.float32)
        stem[at] = 1
        render.add_room(stem, 0.0)
        stem[at] -= 1
        np.testing.assert_allclose(stem[at:][: response.shape[1]].T, response, atol=1e-6)
        assert np.abs(stem[:at]).max(initial=0) < 1e-6
