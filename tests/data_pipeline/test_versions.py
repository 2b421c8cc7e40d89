"""Versions: pitch and speed move by what is asked, stems stay in step, and the mix is their sum."""

import numpy as np
import pytest

from data_pipeline.phase_vocoder import stretch
from data_pipeline.versions import (
    Version,
    make_version,
    version_beats,
    version_chords,
    version_tags,
    versions_of,
)
from jen1composer.errors import BadInput
from jen1composer.tracks import SAMPLE_RATE as RATE

SECONDS = 4
TIME_S = np.arange(SECONDS * RATE) / RATE
CLICKS = np.arange(RATE // 2, SECONDS * RATE - RATE // 4, RATE // 2)
TRACKS = ('bass', 'drums')


def stereo(wave: np.ndarray, right: float = 0.5) -> np.ndarray:
    return np.stack([wave, right * wave], axis=1).astype(np.float32)


def tone(hertz: float = 440.0, gain: float = 0.2) -> np.ndarray:
    return stereo(gain * np.sin(2 * np.pi * hertz * TIME_S))


def clicks(gain: float = 0.4) -> np.ndarray:
    wave = np.zeros(len(TIME_S))
    wave[CLICKS] = gain
    return stereo(wave)


def pitch(audio: np.ndarray) -> float:
    """The strongest frequency, by a parabola over the log spectrum, ends left out."""
    wave = audio[RATE // 4 : -RATE // 4, 0]
    spectrum = np.log(np.abs(np.fft.rfft(wave * np.hanning(len(wave)))) + 1e-9)
    k = int(spectrum.argmax())
    a, b, c = spectrum[k - 1 : k + 2]
    return (k + 0.5 * (a - c) / (a - 2 * b + c)) * RATE / len(wave)


def noise(num_tracks: int = 3, cutoff_hz: float = 8000.0) -> np.ndarray:
    """Band-limited, fading in and out, so that nothing is lost to filters at the ends."""
    spectrum = np.fft.rfft(np.random.default_rng(0).normal(size=(num_tracks, 2, len(TIME_S))))
    spectrum[..., int(cutoff_hz * SECONDS) :] = 0
    wave = np.fft.irfft(spectrum) * np.hanning(len(TIME_S))
    return (0.1 * wave / np.abs(wave).max()).swapaxes(1, 2).astype(np.float32)


def test_the_plain_version_is_the_identity():
    stems = 10 * noise()  # whose sum passes full scale: even that is left as it is
    assert make_version(stems, Version(), ('bass', 'drums', 'melody')) is stems
    assert Version().name == ''
    assert version_tags({'key': 'Q', 'bpm': 100.25}, Version())['key'] == 'Q'


@pytest.mark.parametrize('speed', [0.5, 0.9, 1.1, 2.0])
def test_speed_and_back_is_the_original(speed):
    stems = noise()
    there = make_version(stems, Version(speed=speed), (*TRACKS, 'melody'))
    assert there.shape == (3, round(len(TIME_S) / speed), 2)
    back = make_version(there, Version(speed=1 / speed), (*TRACKS, 'melody'))
    length = min(back.shape[1], stems.shape[1])
    error = back[:, :length] - stems[:, :length]
    assert np.abs(error).max() < 1e-4 * np.abs(stems).max() + 1e-6


def test_speed_is_linear_so_the_mix_stays_the_sum():
    stems = noise()
    version = Version(speed=0.93)
    mix = make_version(stems.sum(0, keepdims=True), version, ('mix',))[0]
    np.testing.assert_allclose(
        make_version(stems, version, (*TRACKS, 'melody')).sum(0), mix, atol=1e-6
    )


@pytest.mark.parametrize(('semitones', 'speed'), [(2, 1), (-3, 1), (6, 1), (-1, 1.1), (0, 0.8)])
def test_pitch_moves_by_what_is_asked(semitones, speed):
    version = Version(semitones=semitones, speed=speed)
    made = make_version(np.stack([tone(), tone()]), version, TRACKS)
    assert made.shape == (2, round(len(TIME_S) / speed), 2)
    found = [12 * np.log2(pitch(stem) / 440) for stem in made]
    # Drums are left at their pitch, but for what the speed does.
    wanted = [version.transposition, 12 * np.log2(speed)]
    np.testing.assert_allclose(found, wanted, atol=0.02)
    middle = slice(RATE // 2, -RATE // 2)
    level = made[0, middle, 0].std() / tone()[middle, 0].std()
    assert level == pytest.approx(1, abs=0.05)
    np.testing.assert_allclose(made[0, :, 1], made[0, :, 0] / 2, atol=1e-6)  # the stereo image


def test_sounds_out_of_phase_between_the_channels_stay_so():
    apart = tone() * np.array([1, -2], np.float32)  # their sum is silent
    made = make_version(apart[None], Version(semitones=3), ('melody',))[0]
    np.testing.assert_allclose(made[:, 1], -made[:, 0], atol=1e-6)
    assert made.std() == pytest.approx(apart.std(), rel=0.05)


@pytest.mark.parametrize(
    ('semitones', 'speed', 'most_ms'), [(2, 1, 3), (-3, 1, 6), (-6, 1, 12), (-1, 1.1, 3)]
)
def test_clicks_in_pitched_and_unpitched_stems_stay_together(semitones, speed, most_ms):
    version = Version(semitones=semitones, speed=speed)
    made = make_version(np.stack([clicks(), clicks()]), version, TRACKS)
    for at in CLICKS:
        centre = round(at / speed)
        around = slice(centre - RATE // 10, centre + RATE // 10)
        power = np.square(made[:, around, 0])
        pitched, unpitched = power @ np.arange(power.shape[1]) / power.sum(axis=1)
        assert abs(unpitched - RATE // 10) < 2  # exactly where it belongs
        assert abs(pitched - unpitched) < most_ms * RATE / 1000


@pytest.mark.parametrize('semitones', [2, -3])
def test_the_attack_of_a_tone_stays_with_the_click(semitones):
    since = (TIME_S[None] - CLICKS[:, None] / RATE).clip(-1)
    bursts = np.where(since >= 0, np.sin(2 * np.pi * 330 * since) * np.exp(-10 * since), 0).sum(0)
    made = make_version(stereo(0.2 * bursts)[None], Version(semitones=semitones), ('bass',))[0]
    for at in CLICKS:
        power = np.square(made[at - RATE // 10 : at + RATE // 10, 0])
        power = np.convolve(power, np.ones(RATE // 100), 'same')
        begin_ms = (np.argmax(power > power.max() / 4) - RATE // 10) / RATE * 1000
        assert abs(begin_ms) < 20


@pytest.mark.parametrize('factor', [0.75, 1.0, 1.3])
def test_stretching_keeps_level_and_sets_length(factor):
    made = stretch(noise(1)[0], factor)
    assert len(made) == round(factor * len(TIME_S))
    assert made.std() == pytest.approx(
        noise(1)[0].std(), rel=0.2
    )  # the phases of noise add less well
    if factor == 1:  # every frame continues the one before it already
        np.testing.assert_allclose(made, noise(1)[0], atol=1e-5)


def test_what_would_clip_is_quieter_by_one_gain():
    stems = np.stack([tone(gain=0.9), tone(gain=0.45)])
    loud = make_version(stems, Version(speed=1.1), ('drums', 'drums'))
    assert 0.99 < np.abs(loud.sum(0)).max() <= 1
    np.testing.assert_allclose(loud[0], 2 * loud[1], atol=1e-6)


def test_silent_and_short_stems_are_kept():
    made = make_version(np.zeros((2, 1000, 2), np.float32), Version(semitones=2), TRACKS)
    assert made.shape == (2, 1000, 2)
    assert not made.any()
    assert make_version(
        np.full((2, 1, 2), 0.1, np.float32), Version(semitones=-2), TRACKS
    ).shape == (
        2,
        1,
        2,
    )


@pytest.mark.parametrize(
    ('key', 'version', 'moved'),
    [
        ('B minor', Version(semitones=1), 'C minor'),
        ('C major', Version(semitones=-2), 'Bb major'),
        ('F# minor', Version(semitones=6), 'C minor'),
        ('E major', Version(speed=0.9), 'D major'),  # -1.82 semitones
        ('E major', Version(speed=1.1), None),  # +1.65: between two keys
        ('E major', Version(semitones=0.5), None),
        ('E major', Version(semitones=-0.18, speed=0.9), 'D major'),
    ],
)
def test_keys_move_with_the_pitch(key, version, moved):
    assert version_tags({'key': key}, version).get('key') == moved


def test_tags_and_beats_move_with_the_speed():
    tags = {'key': 'C major', 'bpm': 100.0, 'genre': ['rock']}
    before = dict(tags)
    version = Version(semitones=2, speed=0.9)
    assert version_tags(tags, version) == {'key': 'C major', 'bpm': 90.0, 'genre': ['rock']}
    assert tags == before
    assert version_tags({}, version) == {}
    assert version_tags({'key': None, 'bpm': None}, version) == {'key': None, 'bpm': None}
    np.testing.assert_allclose(version_beats((0.9, 1.8), version), (1, 2))
    assert version_beats((0.5,), Version(semitones=3)) == (0.5,)


def test_chords_move_with_pitch_and_speed():
    chords = ((0.0, 'Am'), (0.9, 'N'), (1.8, 'B'))
    up = version_chords(chords, Version(semitones=1))
    assert up == ((0.0, 'Bbm'), (0.9, 'N'), (1.8, 'C'))
    faster = version_chords(chords, Version(speed=0.9))  # -1.82 semitones
    assert [chord for _, chord in faster] == ['Gm', 'N', 'A']
    np.testing.assert_allclose([begin for begin, _ in faster], (0, 1, 2))
    assert version_chords(chords, Version(speed=1.1)) == ()  # +1.65: between two
    assert version_chords(chords, Version()) == chords


def test_names_and_pairs():
    versions = versions_of(((2, 1.0), [-2, 1.0], (0, 0.9), (-1, 1.1), (0.5, 1)))
    assert [version.name for version in versions] == ['p+2', 'p-2', 's0.9', 'p-1_s1.1', 'p+0.5']
    assert versions_of(()) == ()


@pytest.mark.parametrize(
    ('pairs', 'said'),
    [
        (((7, 1.0),), 'versions: (7, 1.0): semitones: 7.0; allowed is -6 to 6'),
        (((0, 0.4),), 'versions: (0, 0.4): speed: 0.4; allowed is 0.5 to 2'),
        (((float('nan'), 1.0),), 'versions: (nan, 1.0): semitones: nan; allowed is -6 to 6'),
        (((2,),), r'versions: (2,); allowed are pairs (semitones, speed)'),
        ((2,), r'versions: 2; allowed are pairs (semitones, speed)'),
        ((('2', 1),), "versions: ('2', 1); allowed are pairs (semitones, speed)"),
        (((0, 1),), 'versions: (0, 1); allowed are those that differ from the song'),
        (((2, 1), (2.0, 1.0)), 'versions: (2.0, 1.0) is named twice; allowed is once'),
    ],
)
def test_what_is_no_version_is_refused(pairs, said):
    with pytest.raises(BadInput) as refused:
        versions_of(pairs)
    assert str(refused.value) == said
