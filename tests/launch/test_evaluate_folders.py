"""Folders of a few pieces with stems, made of beats and chords, and of single sounds."""

import dataclasses
import json

import numpy as np
import pytest
import soundfile
from etils import epath

from jen1composer.errors import BadInput
from jen1composer.evaluation.measuring import EMBEDDINGS
from jen1composer.tracks import SAMPLE_RATE
from launch import evaluation_folders
from launch.evaluation_folders import (
    GENERATED,
    NOISE,
    REFERENCES,
    find_pieces,
    measure_folders,
    open_folders,
    white,
)
from launch.evaluation_folders_page import evaluate_folders
from launch.evaluation_folders_scores import HALF, STRANGERS, folder_scores
from tests.jen1composer.evaluation import band, fake_ears

SECONDS = 2
TRACKS = ('bass', 'drums', 'instrument')


def stems_of(number):
    """A piece of its own tempo and key, by track."""
    times_s = np.arange(0.02 * number, SECONDS - 0.1, 0.23 + 0.05 * number)
    chord = 48 + 2 * number + np.array([0, 4, 7])
    pitched = band.notes(np.resize(chord, SECONDS * 4), note_s=0.25)
    found = (
        band.clicks(times_s, SECONDS, 80.0) + 0.1 * pitched,
        band.clicks(times_s, SECONDS, 3000.0),
        pitched,
    )
    stems = (0.2 * stem[: SECONDS * SAMPLE_RATE] for stem in found)
    return dict(zip(TRACKS, stems, strict=True))


def write(path, audio):
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, audio, SAMPLE_RATE, subtype='FLOAT')


@pytest.fixture(scope='module')
def references(tmp_path_factory):
    folder = tmp_path_factory.mktemp('references')
    for number in range(4):
        for track, stem in stems_of(number).items():
            write(folder / f'piece{number}' / f'{track}.wav', stem)
        (folder / f'piece{number}' / 'prompt.txt').write_text('music ' + 'x' * number)
    return folder


@pytest.fixture(scope='module')
def itself(references, tmp_path_factory):
    """References against themselves, measured."""
    folders = open_folders(references, references, seed=0)
    out = epath.Path(tmp_path_factory.mktemp('out'))
    return folders, measure_folders(folders, fake_ears.ears(), out), out


def test_a_folder_with_tracks_or_a_mix_is_one_piece_and_every_other_sound_is_one(tmp_path):
    sound = np.zeros((SAMPLE_RATE, 2), np.float32)
    for name in ('a/drums', 'a/voice', 'b/c/mix', 'b/c/left', 'd/one', 'd/two'):
        write(tmp_path / f'{name}.wav', sound)
    (tmp_path / 'd' / 'one.txt').write_text('slow\nrock')
    (tmp_path / 'a' / 'piece.json').write_text('{"prompt": "jazz"}')
    write(tmp_path / '.trash' / 'old.wav', sound)
    found = {piece.name: piece for piece in find_pieces(epath.Path(tmp_path), '--generated')}
    assert {name: sorted(piece.files) for name, piece in found.items()} == {
        'a': ['drums', 'voice'],
        'b/c': ['left', 'mix'],
        'd/one': ['mix'],
        'd/two': ['mix'],
    }
    assert [found[name].prompt for name in ('a', 'd/one', 'd/two')] == ['jazz', 'slow rock', '']


def test_a_mix_is_the_sum_of_stems_where_there_is_none(references):
    piece = find_pieces(epath.Path(references), '--references')[1]
    np.testing.assert_allclose(piece.read('mix'), sum(stems_of(1).values()), atol=1e-6)


def test_a_folder_is_at_no_distance_from_itself_and_noise_is_farther_than_its_half(itself):
    folders, measured, _ = itself
    scores = folder_scores(folders, measured, fake_ears.ears())
    for sound in ('mix', *TRACKS):
        of = scores['frechet'][sound]
        assert of[GENERATED]['interval'][0] == pytest.approx(0, abs=1e-6)
        assert of[NOISE]['interval'][0] > of[HALF]['interval'][0] > 0
        levels = scores['levels'][sound]
        assert levels[GENERATED]['log_mel_db'] == (0, 0, 0)
        assert levels[NOISE]['log_mel_db'][0] > 3
        assert levels[REFERENCES]['log_mel_db'] is None
    coherence = scores['coherence']['together']
    assert coherence[GENERATED] == coherence[REFERENCES]
    assert coherence[STRANGERS][2] < coherence[REFERENCES][1]


def test_noise_has_the_level_of_its_reference(references):
    audio = find_pieces(epath.Path(references), '--references')[0].read('bass')
    noise = white(audio, np.random.default_rng(0))
    assert noise.shape == audio.shape
    assert np.sqrt(np.mean(noise**2)) == pytest.approx(np.sqrt(np.mean(audio**2)), rel=0.02)


def test_what_was_measured_is_not_measured_again(itself, monkeypatch):
    folders, measured, out = itself
    monkeypatch.setattr(evaluation_folders, 'hear_mix', None)
    monkeypatch.setattr(evaluation_folders, 'hear_stem', None)
    again = measure_folders(folders, fake_ears.ears(), out)
    for side in (REFERENCES, GENERATED, NOISE):
        for first, second in zip(measured[side]['mix'], again[side]['mix'], strict=True):
            np.testing.assert_array_equal(first.arrays[EMBEDDINGS], second.arrays[EMBEDDINGS])


def test_the_page_has_its_sounds_beside_it_and_prompts_are_scored(references, tmp_path, capsys):
    generated = tmp_path / 'generated'
    for number in range(3):  # shorter than their references, and one is not a pair
        for track, stem in stems_of(number + 5).items():
            write(generated / f'piece{number + 2}' / f'{track}.wav', stem[: SAMPLE_RATE + number])
        about = json.dumps({'prompt': 'noise' + 'y' * number})
        (generated / f'piece{number + 2}' / 'piece.json').write_text(about)
    ears = dataclasses.replace(fake_ears.ears(), embedder=fake_ears.FakeWordEmbedder())
    out = tmp_path / 'out'
    page = evaluate_folders(str(references), str(generated), out, ears, seed=0)
    report = json.loads((out / 'report.json').read_text())
    assert set(report['prompts']) == {GENERATED, REFERENCES}
    assert report['pieces'] == {'references': 4, 'generated': 3}
    assert set(report['tags']) == {'all', 'chance', *TRACKS}
    html = page.read_text()
    assert '2 of the same name' in html
    for link in html.split('src="')[1:]:
        assert (out / link.split('"')[0]).is_file()
    assert 'CLAP score' in capsys.readouterr().out
    with pytest.raises(BadInput, match='answers another question'):
        evaluate_folders(str(generated), str(generated), out, ears, seed=0)


def test_single_sounds_have_no_tables_of_stems(tmp_path):
    for side in ('a', 'b'):
        for number in range(2):
            write(tmp_path / side / f'{side}{number}.wav', stems_of(number)['bass'])
    folders = open_folders(tmp_path / 'a', tmp_path / 'b', seed=0)
    measured = measure_folders(folders, fake_ears.ears(), epath.Path(tmp_path / 'out'))
    scores = folder_scores(folders, measured, fake_ears.ears())
    assert set(scores) == {'frechet', 'levels'}
    assert scores['frechet']['mix'][HALF] is None  # two references have no halves
    assert scores['levels']['mix'][GENERATED]['log_mel_db'] is None  # nothing pairs


def test_what_cannot_be_compared_is_refused_in_one_line(tmp_path):
    sound = np.zeros((SAMPLE_RATE, 2), np.float32)
    write(tmp_path / 'one' / 'only.wav', sound)
    for folder, match in ((tmp_path / 'none', 'is no folder'), (tmp_path / 'one', '1 pieces')):
        with pytest.raises(BadInput, match=match):
            find_pieces(epath.Path(folder), '--references')
    write(tmp_path / 'one' / 'short.wav', sound[:100])
    short = find_pieces(epath.Path(tmp_path / 'one'), '--references')[1]
    with pytest.raises(BadInput, match=r'short\.wav: 0\.00 s long'):
        short.read('mix')
    soundfile.write(tmp_path / 'one' / 'only.flac', sound, SAMPLE_RATE)
    with pytest.raises(BadInput, match='several only'):
        find_pieces(epath.Path(tmp_path / 'one'), '--references')
