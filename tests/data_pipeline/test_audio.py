"""Audio files: what is whole is read exactly, what is not is refused in one line."""

import io
import pathlib

import numpy as np
import pytest
import soundfile

from data_pipeline.audio import decode, read_audio, write_flac
from jen1composer.errors import BadInput
from tests.data_pipeline.conftest import RATE, sine

KINDS = {
    'flac': ('FLAC', 'PCM_16'),
    'wav': ('WAV', 'PCM_16'),
    'wav float': ('WAV', 'FLOAT'),
    'rf64': ('RF64', 'PCM_24'),
    'aiff': ('AIFF', 'PCM_16'),
    'ogg': ('OGG', 'VORBIS'),
    'mp3': ('MP3', 'MPEG_LAYER_III'),
}


def encoded(kind: str, num_channels: int = 2) -> bytes:
    noise = 0.1 * np.random.default_rng(0).standard_normal((2 * RATE, num_channels))
    buffer = io.BytesIO()
    container, subtype = KINDS[kind]
    soundfile.write(buffer, noise, RATE, format=container, subtype=subtype)
    return buffer.getvalue()


@pytest.mark.parametrize('kind', KINDS)
def test_whole_files_are_read(kind: str):
    audio, rate = decode(encoded(kind), 'x')
    assert audio.shape == (2 * RATE, 2)
    assert rate == RATE


@pytest.mark.parametrize('kind', KINDS)
@pytest.mark.parametrize('kept', [0.999, 0.9, 0.5, 0.1, 0.0002])
def test_cut_files_are_refused(kind: str, kept: float):
    data = encoded(kind)
    with pytest.raises(BadInput, match=r'^take\.x: ') as error:
        decode(data[: int(kept * len(data))], 'take.x')
    assert '\n' not in str(error.value)


@pytest.mark.parametrize('bits', [16, 24])
def test_flac_round_trip(tmp_path: pathlib.Path, bits: int):
    rng = np.random.default_rng(0)
    integers = rng.integers(-(2 ** (bits - 1)), 2 ** (bits - 1), (1000, 2))
    audio = (integers / 2 ** (bits - 1)).astype(np.float32)
    write_flac(tmp_path / 'x.flac', audio, bits=bits)
    np.testing.assert_array_equal(read_audio(tmp_path / 'x.flac'), audio)


@pytest.mark.parametrize('value', [1.5, np.nan])
def test_what_would_clip_is_not_written(tmp_path: pathlib.Path, value: float):
    with pytest.raises(ValueError, match='finite'):
        write_flac(tmp_path / 'x.flac', np.full((10, 2), value, np.float32))


@pytest.mark.parametrize('rate', [22_050, 44_100, 96_000])
def test_rates_and_mono(tmp_path: pathlib.Path, rate: int):
    soundfile.write(tmp_path / 'x.wav', sine(500, 1.0, rate), rate, subtype='FLOAT')
    audio = read_audio(tmp_path / 'x.wav')
    assert audio.shape == (RATE, 2)
    assert audio.dtype == np.float32
    np.testing.assert_array_equal(audio[:, 0], audio[:, 1])
    inner = slice(2000, -2000)
    np.testing.assert_allclose(audio[inner, 0], sine(500, 1.0)[inner], atol=1e-3)


def refused(path: pathlib.Path, why: str):
    with pytest.raises(BadInput, match=why) as error:
        read_audio(path)
    assert str(path) in str(error.value)
    assert '\n' not in str(error.value)


def test_other_input_is_refused(tmp_path: pathlib.Path):
    refused(tmp_path / 'none.wav', 'cannot be opened')
    refused(tmp_path, 'is a folder')
    path = tmp_path / 'x.wav'
    path.write_text('this is no sound, only text')
    refused(path, 'not audio')
    path.write_bytes(b'')
    refused(path, 'not audio')
    soundfile.write(path, np.zeros((0, 2)), RATE)
    refused(path, 'no samples')
    soundfile.write(path, np.zeros((10, 3)), RATE)
    refused(path, '3 channels')
    soundfile.write(path, np.zeros((10, 2)), 100)
    refused(path, '100 samples a second')
    soundfile.write(path, np.full((10, 2), np.nan), RATE, subtype='FLOAT')
    refused(path, 'not finite')


def test_a_streamed_wav_without_length_is_read(tmp_path: pathlib.Path):
    """A WAV written to a pipe states 2^32 - 1 bytes."""
    data = bytearray(encoded('wav'))
    at = data.index(b'data') + 4
    data[at : at + 4] = data[4:8] = b'\xff' * 4
    assert len(decode(bytes(data), 'x')[0]) == 2 * RATE


def test_a_sound_of_no_samples_at_48_khz_is_refused(tmp_path: pathlib.Path):
    soundfile.write(tmp_path / 'x.wav', np.zeros(1), 384_000)
    with pytest.raises(BadInput, match=r'x\.wav: 1 samples at 384000 a second are none'):
        read_audio(tmp_path / 'x.wav')


def test_a_sound_of_more_than_half_an_hour_is_refused():
    buffer = io.BytesIO()
    soundfile.write(buffer, np.zeros(1801 * 4000, np.int16), 4000, format='WAV')
    with pytest.raises(BadInput, match='x: 1801 s long; allowed are up to 1800 s'):
        decode(buffer.getvalue(), 'x')
