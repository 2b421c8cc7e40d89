"""What is said of prepared data: the numbers are those of its songs, the page has its sounds."""

import html.parser
import json
import pathlib

import numpy as np
import pytest
import soundfile

from data_pipeline.records import RATE, Prepared
from jen1composer.errors import BadInput
from jen1composer.tracks import TRACKS
from launch.data_description import (
    NUM_WINDOWS,
    WINDOW_S,
    describe,
    length,
    random_windows,
    tables,
    terminal,
    write_page,
)
from tests.data_pipeline.prepared_folder import make_prepared, song


@pytest.fixture(scope='module')
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    """Two songs of 20 and 5 s; in the second only the bass sounds, and the drums, but hardly."""
    noise = np.random.default_rng(0).uniform(-0.3, 0.3, (4, 20 * RATE, 2))
    stems = {'a': noise, 'b': noise[:, : 5 * RATE] * np.array([1, 1e-4, 0, 0])[:, None, None]}
    tags = {'bpm': 120.0, 'key': 'C major', 'genre': ['rock', 'pop']}
    instruments = {'bass': ['picked bass'], 'melody': ['flute', 'picked bass']}
    songs = [
        song('a', 'train', tags=tags | {'instruments': instruments}, title='<b>A</b>'),
        song('b', 'test', tags={'genre': 'rock'}, measured=('bpm',)),
    ]
    return make_prepared(tmp_path_factory.mktemp('described') / 'data', songs, stems)


def test_numbers_are_those_of_the_songs(prepared: Prepared):
    about = describe(prepared)
    assert about.summary == prepared.manifest.summary
    assert about.tags['genre'] == {'rock': 2, 'pop': 1}
    assert about.tags['instruments'] == {'picked bass': 2, 'flute': 1}
    assert set(about.tags) == {'genre', 'instruments'}  # bpm and key are numbers of their own
    assert about.measured == {'bpm': 1}
    assert about.near_silent == {'b': ('drums',)}  # The others are not there.


def test_the_table_for_the_terminal(prepared: Prepared):
    text = terminal(tables(describe(prepared)))
    rows = [line.split() for line in text.splitlines()]
    assert ['train', '1', '0.3', 'min'] in rows
    assert ['all', '2', '0.4', 'min'] in rows
    assert ['drums', '1', '0.3', 'min', '1'] in rows
    assert ['melody', '1', '0.3', 'min', '0'] in rows
    assert '\n  Heard rather than known: bpm of 1 songs.\n' in text
    assert all(len(line) <= 100 for line in text.splitlines())
    assert length(120.46) == '120.5 h'


def test_windows_lie_within_their_songs_and_follow_from_the_seed(prepared: Prepared):
    songs = prepared.songs()
    found = random_windows(songs, seed=0, count=200)
    assert found == random_windows(songs, seed=0, count=200)
    assert found != random_windows(songs, seed=1, count=200)
    for chosen, start in found:
        assert 0 <= start <= max(0, chosen.num_samples - WINDOW_S * RATE)
    long = sum(chosen.id == 'a' for chosen, _ in found)
    assert long == pytest.approx(160, abs=20)  # by length, 20 to 5


class Links(html.parser.HTMLParser):
    def __init__(self):
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag, attrs):
        self.found += [value for name, value in attrs if name == 'src']


def test_the_page_has_its_sounds_beside_it(prepared: Prepared, tmp_path: pathlib.Path):
    page = pathlib.Path(write_page(prepared, tmp_path / 'page'))
    text = page.read_text()
    links = Links()
    links.feed(text)
    assert len(links.found) == 2 * NUM_WINDOWS * (1 + len(TRACKS))
    assert all((page.parent / link).is_file() for link in links.found)
    assert '<b>A</b>' not in text
    assert 'near silent in this song' in text
    facts = json.loads((page.parent / 'description.json').read_text())
    assert facts['fingerprint'] == prepared.fingerprint

    write_page(prepared, tmp_path / 'page')  # Its own page may be written again.
    (page.parent / 'description.json').unlink()
    before = page.read_bytes()
    with pytest.raises(BadInput, match=r'^--out=.*/page: holds an index.html without a descr'):
        write_page(prepared, page.parent)
    assert page.read_bytes() == before

    (chosen, start), *_ = random_windows(prepared.songs(), seed=0)
    heard, rate = soundfile.read(page.parent / 'window0-bass.flac')
    expected = prepared.read(chosen, start, len(heard))[0]
    assert rate == RATE
    np.testing.assert_allclose(heard, expected, atol=1 / 32768)
