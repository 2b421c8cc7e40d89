"""Small folders laid out as data sets are, and what is asked of every source that reads one."""

import pathlib

import numpy as np
import pytest
import soundfile

from data_pipeline.sources.source import Entry, Material, Source
from jen1composer.errors import BadInput
from jen1composer.tracks import TRACKS
from tests.data_pipeline.conftest import RATE


def write_sound(path: pathlib.Path, wave: np.ndarray, rate: int = RATE) -> pathlib.Path:
    """A sound file without rounding where its kind allows, in a folder that is made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, wave, rate, subtype='FLOAT' if path.suffix == '.wav' else 'PCM_24')
    return path


def by_title(source: Source) -> dict[str, Entry]:
    """The entries by title, after a look at what holds for all of them."""
    entries = source.entries(None)
    assert len({entry.id for entry in entries}) == len(entries)
    for entry in entries:
        assert entry.id.isascii()
        assert pathlib.PurePath(entry.id).name == entry.id
        assert set(entry.tracks) <= set(TRACKS)
    return {entry.title: entry for entry in entries}


def stem(material: Material, track: str) -> np.ndarray:
    """One stem, float32 `[sample, 2]`."""
    return material.stems[TRACKS.index(track)]


def assert_sounds(material: Material, track: str, *waves: np.ndarray, atol: float = 1e-3) -> None:
    """The stem is the sum of mono waves on both sides, each followed by silence; but for 20 ms
    where one begins or ends, at which a change of rate rings."""
    whole = np.zeros((material.stems.shape[1], 2))
    looked_at = np.ones(len(whole), bool)
    edge = RATE // 50
    for wave in waves:
        whole[: len(wave)] += wave[:, None]
        looked_at[max(0, len(wave) - edge) : len(wave) + edge] = False
    looked_at[:edge] = False
    assert looked_at.mean() > 0.5
    assert np.abs(stem(material, track) - whole)[looked_at].max() < atol


def refusal(source: Source, entry: Entry) -> str:
    """The line with which a broken song is refused, the same by its hash if that sees it."""
    with pytest.raises(BadInput) as error:
        source.load(entry)
    line = str(error.value)
    assert '\n' not in line
    if entry.broken:
        with pytest.raises(BadInput) as hashing:
            source.sha256(entry)
        assert str(hashing.value) == line == entry.broken
    return line


def assert_hash_follows_content(source_of, root: pathlib.Path, title: str) -> None:
    """The hash of a song is the same wherever its folder lies, and another after any changed byte
    of any file that it is made of."""

    def hashed(folder: pathlib.Path) -> str:
        source = source_of(str(folder))
        return source.sha256(by_title(source)[title])

    before = hashed(root)
    moved = root.rename(root.with_name('moved'))
    assert hashed(moved) == before
    source = source_of(str(moved))
    entry = by_title(source)[title]
    paths = {file.path for files in entry.files.values() for file in files}
    assert paths
    for name in sorted({*paths, entry.score} - {''}):
        path = pathlib.Path(name)
        data = bytearray(path.read_bytes())
        for at in (0, len(data) // 2, len(data) - 1):
            data[at] ^= 1
            path.write_bytes(data)
            assert hashed(moved) != before
            data[at] ^= 1
        path.write_bytes(data)
    assert hashed(moved) == before
    moved.rename(root)
