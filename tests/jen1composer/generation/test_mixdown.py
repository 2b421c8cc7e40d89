"""The mix by its closed form, and its loudness by another implementation of the standard."""

import numpy as np
import pytest

from data_pipeline import loudness as by_spectrum
from jen1composer.errors import BadInput
from jen1composer.generation.actions import Compose, Mix, Upload
from jen1composer.generation.mixdown import (
    TRUE_PEAK_DB,
    loudness,
    mixdown,
    to_loudness,
    true_peak_db,
)
from jen1composer.generation.session import Session
from jen1composer.generation.stems import write_stems
from jen1composer.tracks import TRACKS
from tests.jen1composer.fake_composer import compose, do
from tests.jen1composer.tiny_codec import sound

RATE = 48_000


def session(*actions, seconds=0.02):
    return do(Session.new(TRACKS, seconds=seconds), Compose(seed=1), *actions)


def heard(session):
    return {lane.track: lane.current.audio.astype(np.float64) for lane in session.piece.lanes}


def test_the_mix_is_the_sum_by_its_gains():
    gains = {'bass': -6.0, 'drums': 3.5, 'instrument': 0.0, 'melody': -20.0}
    mixed = session(*(Mix(track=name, gain_db=gain) for name, gain in gains.items()))
    expected = sum(10 ** (gains[name] / 20) * audio for name, audio in heard(mixed).items())
    np.testing.assert_allclose(mixdown(mixed), expected, atol=1e-6)
    assert mixdown(mixed).dtype == np.float32


@pytest.mark.parametrize(
    ('muted', 'solo', 'audible'),
    [
        ((), (), TRACKS),
        (('bass', 'drums'), (), ('instrument', 'melody')),
        ((), ('bass', 'melody'), ('bass', 'melody')),
        (('bass',), ('bass', 'drums'), ('drums',)),
        (TRACKS, (), ()),
    ],
)
def test_a_muted_lane_is_silent_and_beside_solo_lanes_the_others_are(muted, solo, audible):
    mixed = session(*(Mix(track=name, muted=name in muted, solo=name in solo) for name in TRACKS))
    sounds = heard(mixed)
    expected = sum((sounds[name] for name in audible), np.zeros((960, 2)))
    np.testing.assert_allclose(mixdown(mixed), expected, atol=1e-6)


def test_one_lane_at_0_db_comes_through_sample_for_sample():
    mine = sound(960, 2)
    mixed = session(Upload(track='bass', audio=mine), Mix(track='bass', solo=True))
    assert mixdown(mixed).tobytes() == mine.tobytes()
    empty = Session.new(TRACKS, seconds=0.02)
    assert not mixdown(empty).any()
    assert mixdown(empty, -14).shape == (960, 2)


def test_an_upload_of_another_rate_or_length_is_resampled_cut_or_padded():
    tone = np.sin(2 * np.pi * 1000 * np.arange(22050) / 44100)[:, None].astype(np.float32)
    longer = do(Session.new(TRACKS, seconds=0.4), Upload(track='bass', audio=tone, rate=44100))
    here = np.sin(2 * np.pi * 1000 * np.arange(19200) / RATE)
    found = mixdown(longer)
    np.testing.assert_allclose(found[1000:], np.stack([here, here], axis=1)[1000:], atol=1e-3)
    shorter = do(Session.new(TRACKS, seconds=0.6), Upload(track='bass', audio=tone, rate=44100))
    found = mixdown(shorter)
    assert found.shape == (28800, 2)
    assert found[23000:24000].any()
    assert not found[24000:].any()


def music(seconds=6.0, seed=0):
    """Noise that swells and rests, so that gates and channels matter."""
    time = np.arange(round(seconds * RATE)) / RATE
    swell = (0.05 + np.sin(np.pi * time / 1.3) ** 4)[:, None] * (time < 4.5)[:, None]
    noise = np.random.default_rng(seed).standard_normal((len(time), 2))
    return (0.02 * swell * noise * [1, 0.4]).astype(np.float32)


def test_a_full_scale_tone_is_as_loud_as_the_standard_says():
    tone = np.sin(2 * np.pi * 997 * np.arange(4 * RATE) / RATE)
    one_channel = np.stack([tone, 0 * tone], axis=1).astype(np.float32)
    assert loudness(one_channel) == pytest.approx(-3.01, abs=0.05)


@pytest.mark.parametrize('target', [-30.0, -23.0, -20.0])
def test_it_is_brought_to_the_target_within_a_tenth_of_a_unit(target):
    found = to_loudness(music(), target)
    assert not found.held_back
    assert found.loudness_lufs == pytest.approx(target, abs=0.02)
    # Its blocks only touch, which alone is worth a few hundredths on what swells.
    assert by_spectrum.loudness(found.audio) == pytest.approx(target, abs=0.1)
    again = to_loudness(found.audio, target)
    np.testing.assert_allclose(again.audio, found.audio, rtol=1e-3)


def test_it_does_not_depend_on_the_level_that_it_had():
    loud, soft = to_loudness(music() * 3, -20), to_loudness(music() * np.float32(0.3), -20)
    np.testing.assert_allclose(loud.audio, soft.audio, atol=2e-4)


def test_peaks_hold_it_back_and_that_is_said():
    clicks = music() * 0.1
    clicks[::4800] = 0.9
    found = to_loudness(clicks, -3)
    assert found.held_back
    assert found.loudness_lufs < -3.5
    assert true_peak_db(found.audio) == pytest.approx(TRUE_PEAK_DB, abs=0.01)
    assert np.abs(found.audio).max() < 1


def test_a_true_peak_lies_between_the_samples():
    tone = 0.5 * np.sin(2 * np.pi * 12_000 * np.arange(RATE) / RATE + np.pi / 4)  # never at its top
    audio = np.stack([tone, tone], axis=1).astype(np.float32)
    assert np.abs(audio).max() == pytest.approx(0.3536, abs=1e-3)
    assert true_peak_db(audio) == pytest.approx(-6.02, abs=0.1)


def test_silence_stays_and_what_is_short_has_a_loudness():
    silence = np.zeros((RATE, 2), np.float32)
    assert loudness(silence) is None
    assert not to_loudness(silence, -14).audio.any()
    assert to_loudness(music()[: RATE // 10], -25).loudness_lufs == pytest.approx(-25, abs=0.05)


def test_what_is_no_number_is_refused():
    def broken(request):
        piece = compose(request)
        piece.takes['drums'].audio[3] = np.nan
        return piece

    mixed = do(Session.new(TRACKS, seconds=0.02), Compose(), compose=broken)
    with pytest.raises(BadInput, match="mix: the take of 'drums' is not finite"):
        mixdown(mixed)
    assert np.isfinite(mixdown(do(mixed, Mix(track='drums', muted=True)))).all()
    with pytest.raises(BadInput, match=r'loudness_lufs: 3; allowed are -60 to 0'):
        mixdown(session(), 3)


@pytest.mark.parametrize('gain_db', [0, 24])
def test_what_overflows_is_refused_rather_than_mixed(gain_db, tmp_path):
    session = Session.new(TRACKS, seconds=0.1)
    for track in TRACKS[:2]:
        loud = np.full((4800, 2), 3e38 if gain_db == 0 else 2e37, np.float32)
        session = do(session, Upload(track=track, audio=loud), Mix(track=track, gain_db=gain_db))
    for made in (
        lambda: mixdown(session),
        lambda: mixdown(session, -14),
        lambda: write_stems(tmp_path, session),
    ):
        with pytest.raises(BadInput, match='mix: holds samples beyond'):
            made()
