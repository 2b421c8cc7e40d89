"""An evaluation on a corpus of beats and chords whose songs differ in tempo and key."""

import contextlib
import dataclasses
import io
import json
import pathlib
import shutil

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from data_pipeline.records import RATE
from jen1composer.errors import BadInput
from jen1composer.evaluation import scores, systems
from jen1composer.evaluation.distances import distance
from jen1composer.evaluation.making import Sampling
from jen1composer.evaluation.measuring import EMBEDDINGS, heard_together, measure_mix
from jen1composer.tracks import TRACKS
from launch import evaluation_run
from launch.evaluation_excerpts import choose_excerpts, shares, spread
from launch.evaluation_results import write_results
from launch.evaluation_run import distances, make_evaluation, make_sounds, measure
from launch.export_evaluation import as_section, read_evaluation
from tests.data_pipeline import prepared_folder
from tests.jen1composer import tiny_composer
from tests.jen1composer.evaluation import band, fake_ears

SECONDS, WINDOW_FRAMES = 5, 1000  # 1000 frames of 72 samples are 1.5 s
SPLITS = ('train', 'test', 'train', 'test', 'test', 'train')


def stems_of(number: int) -> np.ndarray:
    """A song of its own tempo and key, `[track, sample, 2]`."""
    times_s = np.arange(0.03 * number, SECONDS - 0.1, 0.31 + 0.04 * number)
    chord = 48 + 2 * number + np.array([0, 4, 7])
    notes = np.resize(chord, SECONDS * 4)
    pitched = band.notes(notes, note_s=0.25)
    tracks = (
        band.clicks(times_s, SECONDS, 80.0) + 0.1 * pitched,
        band.clicks(times_s, SECONDS, 3000.0),
        pitched,
        band.notes(notes + 12, note_s=0.25),
    )
    return np.stack([track[: SECONDS * RATE] for track in tracks])


@pytest.fixture(scope='module', autouse=True)
def _one_thread_of_blas():
    """As the command has it: of matrices this small more of them wait for each other."""
    with threadpool_limits(limits=1, user_api='blas'):
        yield


@pytest.fixture(scope='module')
def prepared(tmp_path_factory):
    songs = [
        prepared_folder.song(f'song{k}', split, prompts=(f'music number {k}',))
        for k, split in enumerate(SPLITS)
    ]
    stems = {song.id: stems_of(k) for k, song in enumerate(songs)}
    return prepared_folder.make_prepared(tmp_path_factory.mktemp('data'), songs, stems)


@pytest.fixture(scope='module')
def composer():
    plain = tiny_composer.composer()
    return dataclasses.replace(
        plain, spec=dataclasses.replace(plain.spec, window_frames=WINDOW_FRAMES)
    )


@pytest.fixture(scope='module')
def evaluation(composer, prepared):
    return make_evaluation(
        composer, prepared, Sampling(num_steps=1), splits=('test',), count=5, subsets=False
    )


@pytest.fixture(scope='module')
def sounds(evaluation, tmp_path_factory):
    return make_sounds(evaluation, tmp_path_factory.mktemp('evaluated'))


@pytest.fixture(scope='module')
def measured(evaluation, sounds):
    return measure(evaluation, sounds, fake_ears.ears())


@pytest.fixture(scope='module')
def written(evaluation, sounds, measured):
    """The page, and what was printed."""
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        page = write_results(evaluation, sounds, fake_ears.ears(), measured)
    return page, printed.getvalue()


def files(folder):
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(pathlib.Path(folder).rglob('*.flac'))
    }


def test_excerpts_are_spread_over_songs_and_in_them(prepared, evaluation):
    assert [e.name for e in evaluation.excerpts] == [
        'song1-0000', 'song1-0002', 'song3-0000', 'song3-0002', 'song4-0002',
    ]  # fmt: skip
    assert evaluation.excerpts[0].prompt == 'music number 1'
    assert shares([1, 5, 3], 6) == [1, 3, 2]
    assert shares([1, 2], 9) == [1, 2]
    assert spread([0, 2, 4, 6, 8], 2) == [2, 6]
    with pytest.raises(BadInput, match='needed are two'):
        choose_excerpts(prepared, ('validation',), RATE, 4)


@pytest.mark.parametrize('splits', [('train',), ('test', 'train')])
def test_songs_that_were_trained_on_are_not_held_out(composer, prepared, splits):
    with pytest.raises(BadInput, match="--split: 'train'; allowed are splits that are held out"):
        make_evaluation(composer, prepared, Sampling(), splits=splits, count=5, subsets=False)


def test_every_stem_is_there_and_retrieved_ones_are_of_training_songs(evaluation, sounds):
    there = {tuple(name.split('/')[1:]) for name in files(sounds.folder)}
    made = (*systems.BASELINES, systems.JOINT, systems.EACH, systems.ALONE)
    names = [e.name for e in evaluation.excerpts]
    wanted = {(s, name, f'{track}.flac') for s in made for name in names for track in TRACKS}
    training = {('training', e.name, f'{t}.flac') for e in evaluation.training for t in TRACKS}
    assert there == wanted | training
    places = evaluation_run.retrieved(evaluation)
    assert {SPLITS[int(place.song[4:])] for place in places} == {'train'}
    assert len({(p.song, p.start_s) for p in places[:2]}) == 2  # two of one song are not the same


def test_an_interrupted_run_ends_with_the_same_files(evaluation, sounds, tmp_path):
    half = tmp_path / 'half'
    shutil.copytree(sounds.folder, half)
    for number, path in enumerate(sorted(half.rglob('*.flac'))):
        if number % 3 == 1:
            path.unlink()
    make_sounds(evaluation, half)
    assert files(half) == files(sounds.folder)


def test_another_question_is_refused(evaluation, sounds):
    other = dataclasses.replace(evaluation, question=dict(evaluation.question) | {'step': 7})
    with pytest.raises(BadInput, match='another question, of step 0; now it is 7'):
        make_sounds(other, sounds.folder)


def test_songs_go_together_better_than_strangers_and_are_at_no_distance_from_themselves(
    evaluation, sounds, measured
):
    together = {mix.name: heard_together(mix, measured.stems) for mix in systems.mixes(TRACKS)}
    found = scores.coherence_scores(evaluation.excerpts, together, TRACKS, seed=0)
    for measure_name in ('rhythm', 'harmony', 'together'):
        means = found[measure_name]['mean']
        assert means['original'][1] > means['shuffled'][2], measure_name
    original = measured.mixes['original'].arrays[EMBEDDINGS]
    same = distance(evaluation.excerpts, original, original)
    assert same['interval'][0] == pytest.approx(0, abs=1e-9)
    of = distances(evaluation, sounds, fake_ears.ears(), measured)
    for track in TRACKS:
        assert of[track]['noise']['interval'][0] > 3 * of[track]['training']['interval'][0]


def test_true_stems_are_heard_as_what_they_are_and_noise_is_not(evaluation, measured):
    tags = scores.tag_scores(evaluation.excerpts, measured.stems, measured.training, seed=0)
    assert tags['chance'] == 0.25
    assert tags['all']['original'][0] > 0.9
    assert tags['all']['noise'][0] < 0.5


def test_what_is_measured_is_kept_and_a_mix_is_the_sum_of_its_stems(
    evaluation, sounds, measured, monkeypatch
):
    monkeypatch.setattr(evaluation_run, 'measure_stem', None)
    monkeypatch.setattr(evaluation_run, 'measure_mix', None)
    monkeypatch.setattr(evaluation_run, 'measure_training', None)
    again = measure(evaluation, sounds, fake_ears.ears())
    assert again.mixes['joint'].found == measured.mixes['joint'].found
    mix = next(mix for mix in systems.mixes(TRACKS) if mix.name == 'each/drums')
    cell = measure_mix(sounds, evaluation.excerpts, mix, fake_ears.FakeEmbedder())
    stems = sounds.stems(mix, evaluation.excerpts[0].name)
    original = sounds.read('original', evaluation.excerpts[0].name, 'bass')
    np.testing.assert_array_equal(stems['bass'], original)
    embedded = fake_ears.FakeEmbedder().embed(sum(stems.values()))
    np.testing.assert_allclose(cell.arrays[EMBEDDINGS][0], embedded, rtol=1e-5)


def test_the_report_says_what_was_found(sounds, written):
    page, printed = written
    report = json.loads((sounds.folder / 'report.json').read_text())
    assert len(report['verdicts']) == 4
    assert {verdict['passed'] for verdict in report['verdicts']} <= {True, False}
    assert set(report['frechet']) == {*TRACKS, 'mix'}
    assert 'What can be said' in printed
    html = page.read_text()
    for verdict in report['verdicts']:
        assert verdict['claim'] in html
    for link in html.split('src="')[1:]:
        assert (sounds.folder / link.split('"')[0]).is_file()


def test_an_ear_for_words_scores_every_mix_under_its_prompt(
    evaluation, sounds, measured, capsys, tmp_path
):
    sounds = dataclasses.replace(sounds, folder=shutil.copytree(sounds.folder, tmp_path / 'words'))
    words = dataclasses.replace(fake_ears.ears(), embedder=fake_ears.FakeWordEmbedder())
    write_results(evaluation, sounds, words, measured)
    assert 'CLAP score of mixes' in capsys.readouterr().out
    found = json.loads((sounds.folder / 'report.json').read_text())['prompts']
    assert set(found) == set(measured.mixes)
    prompts = [len(excerpt.prompt) % fake_ears.BANDS for excerpt in evaluation.excerpts]
    heard = measured.mixes['joint'].arrays[EMBEDDINGS].mean(axis=1)  # [excerpt, band]
    scores = heard[np.arange(len(prompts)), prompts]
    assert np.min(scores) - 1e-6 <= found['joint']['score'][0] <= np.max(scores) + 1e-6


def test_a_seed_decides_what_is_asked_for():
    excerpt = systems.Excerpt(name='a', song='a', start_s=0, prompt='')
    roles = {'targets': ('bass',), 'given': {}, 'marginal': ()}
    sampling = Sampling(seed=1, text_guidance=3.0, given_guidance=2.0)
    asked = [sampling.request(excerpt, number, 1.0, **roles) for number in (0, 0, 1)]
    assert asked[0].seed == asked[1].seed != asked[2].seed
    assert asked[0].text_guidance is asked[0].given_guidance is None  # nothing to guide by


@pytest.mark.usefixtures('written')
def test_a_card_tells_what_was_found_of_this_composer_alone(evaluation, sounds, composer, tmp_path):
    report = read_evaluation(sounds.folder, composer, ())
    section = as_section(report)
    for table in ('What can be said', 'Whether tracks go together', 'Fréchet distance of mixes'):
        assert f'### {table}' in section
    assert f'{len(evaluation.excerpts)} excerpts of held-out songs (test)' in section
    assert '1 steps with a scale of 3 on the prompt and heard by' in section
    before = report | {
        'question': report['question'] | {'sampling': {'num_steps': 1, 'text_guidance': None}}
    }
    assert '1 steps and heard by' in as_section(before)  # what was measured earlier is read
    params = {**composer.params, 'more': np.zeros(1, np.float32)}
    with pytest.raises(BadInput, match='of another composer'):
        read_evaluation(sounds.folder, dataclasses.replace(composer, params=params), ())
    with pytest.raises(BadInput, match='holds no report'):
        read_evaluation(tmp_path, composer, ())
