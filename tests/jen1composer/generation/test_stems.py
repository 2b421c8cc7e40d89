"""Stems as files: they line up, add up, and say what they are."""

import json

import numpy as np
import pytest
import soundfile

from jen1composer.errors import BadInput
from jen1composer.generation.actions import Compose, Continue, Mix, Set, Upload
from jen1composer.generation.mixdown import loudness, mixdown
from jen1composer.generation.session import Session
from jen1composer.generation.stems import encode_sound, fit_full_scale, write_stems
from jen1composer.tracks import TRACKS
from tests.jen1composer.fake_composer import do
from tests.jen1composer.tiny_codec import sound

N = 960


def session(*actions):
    return do(Session.new(TRACKS, seconds=0.02), Compose(seed=1), *actions)


def read(path):
    audio, rate = soundfile.read(path, dtype='float32', always_2d=True)
    assert rate == 48_000
    return audio


@pytest.mark.parametrize('kind', ['wav', 'flac'])
@pytest.mark.parametrize('loud', [1.0, 30.0])
def test_the_audible_stems_line_up_and_add_up_to_the_mix(tmp_path, kind, loud):
    mixed = session(
        Upload(track='bass', audio=loud * sound(N, 2)),
        Mix(track='drums', gain_db=-5),
        Mix(track='melody', muted=True),
    )
    said = write_stems(tmp_path, mixed, kind=kind)
    assert said == json.loads((tmp_path / 'stems.json').read_text())
    stems = {name: read(tmp_path / stem['file']) for name, stem in said['stems'].items()}
    assert {len(stem) for stem in stems.values()} == {N}
    assert [name for name in TRACKS if not said['stems'][name]['audible']] == ['melody']
    mix = read(tmp_path / said['mix']['file'])
    total = sum(stem for name, stem in stems.items() if name != 'melody')
    gain = said['common_gain']
    assert (gain < 1) == (kind == 'flac' and loud > 1)
    if kind == 'wav':
        assert mix.tobytes() == mixdown(mixed).tobytes()
        np.testing.assert_allclose(mix, total, atol=loud * 1e-6)
    else:
        np.testing.assert_allclose(mix, total, atol=4 * 2.0**-24)
        np.testing.assert_allclose(mix, gain * mixdown(mixed), atol=loud * 1e-6)
        assert np.abs(mix).max() < 1


def test_names_carry_tempo_and_key_for_a_daw(tmp_path):
    named = session(Set(tempo_bpm=92.5, key='F# minor'))
    write_stems(tmp_path / 'daw', named, kind='wav')
    names = {f'{name}_92.5bpm_F#m.wav' for name in (*TRACKS, 'mix')}
    assert {path.name for path in (tmp_path / 'daw').iterdir()} == names | {'stems.json'}
    write_stems(tmp_path / 'plain', named, kind='flac', daw=False)
    names = {f'{name}.flac' for name in (*TRACKS, 'mix')}
    assert {path.name for path in (tmp_path / 'plain').iterdir()} == names | {'stems.json'}


@pytest.mark.parametrize('kind', ['wav', 'flac'])
def test_an_upload_is_there_sample_for_sample(tmp_path, kind):
    whole = np.round(sound(N, 2) * 2**15) / np.float32(2**15)  # as from a file of 16 bits
    fine = sound(N, 2, seed=3)
    other = sound(500, 1, seed=2)
    done = session(
        Upload(track='bass', audio=whole),
        Upload(track='drums', audio=other, rate=44100),
        Upload(track='melody', audio=fine),
    )
    said = write_stems(tmp_path, done, kind=kind)['stems']
    assert read(tmp_path / said['bass']['file']).tobytes() == whole.tobytes()
    assert 'as_uploaded' not in said['bass']
    back, rate = soundfile.read(tmp_path / said['drums']['as_uploaded'], dtype='float32')
    assert (back.tobytes(), rate) == (other.tobytes(), 44100)
    assert ('as_uploaded' in said['melody']) == (kind == 'flac')  # 24 bits are not enough
    quieter = do(done, Mix(track='bass', gain_db=-1))
    said = write_stems(tmp_path / 'quieter', quieter, kind=kind)['stems']
    back = read(tmp_path / 'quieter' / said['bass']['as_uploaded'])
    assert back.tobytes() == whole.tobytes()


def test_a_take_shorter_than_the_piece_is_as_long_as_the_others(tmp_path):
    longer = session(Continue(seconds=0.01, side='start', tracks=('bass',)))
    said = write_stems(tmp_path, longer, kind='wav')['stems']
    drums = read(tmp_path / said['drums']['file'])
    assert len(drums) == N + 480
    assert not drums[:480].any()


def test_the_mix_has_the_loudness_that_is_asked_for(tmp_path):
    noise = sound(2 * 48_000, 2)
    loud = do(Session.new(TRACKS, seconds=2), Upload(track='bass', audio=noise))
    mix = write_stems(tmp_path, loud, loudness_lufs=-23)['mix']
    assert not mix['held_back']
    assert loudness(read(tmp_path / mix['file'])) == pytest.approx(-23, abs=0.1)


def test_sound_above_full_scale_is_made_to_fit():
    loud = 3 * sound(N, 2) / np.abs(sound(N, 2)).max()
    fitting, gain = fit_full_scale(loud)
    np.testing.assert_allclose(fitting, gain * loud, rtol=1e-6)
    assert 0.9 < np.abs(fitting).max() < 1
    assert fit_full_scale(fitting) == (pytest.approx(fitting), 1.0)
    assert encode_sound(fitting, 48_000, 'flac')[:4] == b'fLaC'


def test_an_empty_session_gives_a_silent_mix_and_another_kind_is_refused(tmp_path):
    empty = Session.new(TRACKS, seconds=0.02)
    said = write_stems(tmp_path, empty)
    assert said['stems'] == {}
    assert not read(tmp_path / 'mix.flac').any()
    with pytest.raises(BadInput, match="kind: 'mp3'; allowed are wav, flac"):
        write_stems(tmp_path, empty, kind='mp3')
