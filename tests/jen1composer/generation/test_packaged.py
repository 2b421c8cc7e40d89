"""The composer that comes with the package: small, whole, and one that makes sound."""

import json
import pathlib

import numpy as np
import pytest

from jen1composer.generation import packaged
from jen1composer.generation.composer import Composer
from jen1composer.generation.packaged import packaged_composer
from jen1composer.generation.request import Request
from jen1composer.generation.scales import TEXT
from jen1composer.tracks import SAMPLE_RATE, TRACKS

MOST_BYTES = 40 * 2**20


@pytest.fixture(scope='module')
def composer():
    return Composer.load()


def test_its_folder_is_small_and_tells_what_it_scores():
    folder = packaged_composer()
    files = [path for path in pathlib.Path(folder).rglob('*') if path.is_file()]
    assert sum(path.stat().st_size for path in files) <= MOST_BYTES
    card = (folder / 'README.md').read_text()
    for part in ('Licence of the weights', 'hours of music', '## Evaluation', 'curves.svg'):
        assert part in card


def test_it_is_asked_with_the_scale_that_it_was_measured_with():
    folder = packaged_composer()
    guidance = json.loads((folder / 'config.json').read_text())['guidance']
    measured = json.loads((folder / 'evaluation.json').read_text())['question']['sampling']
    assert guidance == {'free': TEXT, 'beside_tracks': TEXT}
    assert measured['text_guidance'] == TEXT


def test_it_makes_all_tracks_and_listens_to_what_is_given(composer):
    assert composer.spec.tracks == TRACKS
    seconds = composer.spec.window_frames * composer.spec.hop_samples / SAMPLE_RATE
    clicks = np.zeros((round(seconds * SAMPLE_RATE), 2), np.float32)
    clicks[:: SAMPLE_RATE // 2] = 0.5
    piece = composer.compose(
        Request(prompt='rock', seconds=seconds, given={'drums': clicks}, num_steps=10)
    )
    np.testing.assert_array_equal(piece.takes['drums'].audio, clicks)
    made = [piece.takes[name] for name in ('bass', 'instrument', 'melody')]
    assert all(np.isfinite(take.audio).all() for take in made)
    assert max(take.rms_db for take in made) > -40  # one may well be silent


def test_a_package_without_weights_says_so(monkeypatch, tmp_path):
    monkeypatch.setattr(packaged.importlib.resources, 'files', lambda package: tmp_path)
    with pytest.raises(packaged.BadInput, match='no weights are there; name a composer of yours'):
        packaged_composer()
