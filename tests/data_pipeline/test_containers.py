"""Containers: streams come out aligned and of their length; what is broken is one line."""

import pathlib
import sys

import numpy as np
import pytest

from data_pipeline import containers
from data_pipeline.containers import read_stream
from jen1composer.errors import BadInput
from tests.data_pipeline.conftest import RATE, sine
from tests.data_pipeline.stem_containers import write_container, write_real_container


@pytest.fixture(scope='module')
def real(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    return write_real_container(tmp_path_factory.mktemp('real'))


def level_db(audio: np.ndarray) -> float:
    return float(10 * np.log10(np.mean(audio**2)))


def test_the_stems_of_a_real_song_sum_to_its_mixture(real: pathlib.Path):
    """To -22.2 dB: each of the five was squeezed by AAC for itself. At both ends, where it was cut
    out of the song, its coder had nothing to go on, and 50 ms are not looked at."""
    mixture, *stems = (read_stream(real, k) for k in range(5))
    assert {len(audio) for audio in (mixture, *stems)} == {round(268_288 / 44_100 * RATE)}
    inner = slice(RATE // 20, -RATE // 20)
    total = sum(stems)[inner]
    assert level_db(mixture[inner]) > -20
    residual_db = level_db(mixture[inner] - total) - level_db(mixture[inner])
    assert residual_db == pytest.approx(-22.2, abs=0.5)
    for shift in (-1, 1):  # The streams are aligned to the sample.
        shifted = np.roll(total, shift, axis=0)
        assert level_db(mixture[inner] - shifted) - level_db(mixture[inner]) > residual_db + 6
    with pytest.raises(BadInput, match=r'69\.stem\.mp4: has 5 sound streams; needed are 6'):
        read_stream(real, 5)


@pytest.mark.parametrize('rate', [44_100, 48_000, 22_050])
def test_what_primes_and_pads_the_coder_is_cut(tmp_path: pathlib.Path, rate: int):
    """A knock stays where it was, in every stream, whatever comes before it in the coder."""
    waves = [sine(330 * (k + 1), 1.31, rate, gain=0.1) for k in range(3)]
    knock = np.hanning(rate // 100).astype(np.float32)
    for wave in waves:
        wave[rate // 2 : rate // 2 + len(knock)] += 0.5 * knock * sine(3000, 0.01, rate, gain=1)
    path = write_container(tmp_path / 'x.stem.mp4', waves, rate)
    read = [read_stream(path, k) for k in range(3)]
    for k, audio in enumerate(read):
        assert abs(len(audio) - 1.31 * RATE) <= 0.002 * RATE  # The container counts milliseconds.
        wanted = 0.1 / 0.2 * sine(330 * (k + 1), 1.31)
        begin = RATE // 2
        wanted[begin : begin + RATE // 100] += (
            0.5 * np.hanning(RATE // 100) * sine(3000, 0.01, gain=1)
        ).astype(np.float32)
        inner = slice(RATE // 20, int(1.2 * RATE))
        differs = audio[inner] - wanted[inner, None]
        assert level_db(differs) < level_db(wanted[inner]) - 30
        early = np.roll(wanted, -2)[inner, None]
        assert level_db(audio[inner] - early) > level_db(differs) + 6


def test_a_stream_that_begins_later_comes_out_later(tmp_path: pathlib.Path):
    """A quarter of a second, to the millisecond that the container counts, and it is all there."""
    wave = sine(440, 0.7, 48_000)
    path = write_container(tmp_path / 'x.stem.mp4', [wave, wave], 48_000, starts=[0, 12_000])
    first, second = (read_stream(path, k)[:, 0] for k in range(2))
    lag = int(np.argmax(np.abs(second) > 0.1)) - int(np.argmax(np.abs(first) > 0.1))
    assert abs(lag - 12_000) <= 48
    assert abs(len(second) - len(first) - 12_000) <= 48
    assert np.abs(second[:11_900]).max() < 1e-2
    inner = slice(2000, 32_000)
    np.testing.assert_allclose(second[lag:][inner], first[inner], atol=1e-2)


def test_containers_that_are_cut_off_or_none_are_refused(
    tmp_path: pathlib.Path, real: pathlib.Path
):
    def refused(path: pathlib.Path, why: str):
        with pytest.raises(BadInput, match=why) as error:
            read_stream(path, 1)
        assert str(error.value).startswith(f'{path}: ')
        assert '\n' not in str(error.value)

    refused(tmp_path / 'none.mp4', 'No such file')
    refused(tmp_path, 'Is a directory')
    path = tmp_path / 'x.stem.mp4'
    path.write_bytes(b'')
    refused(path, 'not a container')
    path.write_text('this is no sound, only text' * 100)
    refused(path, 'not a container')
    for data in (real.read_bytes(), faststart(tmp_path)):
        for kept in (0.95, 0.5, 0.1, 0.001):
            path.write_bytes(data[: int(kept * len(data))])
            refused(path, 'cut off|has 0 sound streams')


def faststart(folder: pathlib.Path) -> bytes:
    """A container whose index lies before the sound, so that a part of it can be read."""
    noise = 0.1 * np.random.default_rng(0).standard_normal((2, 4 * 44_100)).astype(np.float32)
    path = write_container(folder / 'fast.mp4', list(noise), options={'movflags': 'faststart'})
    data = path.read_bytes()
    assert data.index(b'moov') < data.index(b'mdat')
    return data


def test_long_sound_is_refused_before_it_is_decoded(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
):
    path = write_container(tmp_path / 'x.stem.mp4', [sine(100, 2.0, 44_100)])
    monkeypatch.setattr(containers, 'MAX_DURATION_S', 1.0)
    with pytest.raises(BadInput, match=r'x\.stem\.mp4: 2 s long; allowed are up to 1 s'):
        read_stream(path, 0)


def test_without_pyav_the_extra_is_named(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, 'av', None)
    with pytest.raises(BadInput) as error:
        read_stream(tmp_path / 'x.stem.mp4', 0)
    assert str(error.value) == (
        f'{tmp_path}/x.stem.mp4: containers are read by PyAV, which is not installed; needed is '
        "pip install 'jen1composer[video]'"
    )
