"""The parts of the demo's page: which stretch is given, the pieces, and what is counted."""

import dataclasses
import html.parser
import json

import numpy as np
import pytest

from configs import demo
from data_pipeline import records
from data_pipeline.audio import read_audio
from data_pipeline.curriculum import Curriculum, Stage
from data_pipeline.kinds import Kinds
from data_pipeline.latents import LatentManifest
from data_pipeline.order import Order, begun, resumed
from data_pipeline.records import RATE
from jen1composer.errors import BadInput
from jen1composer.evaluation.page import render
from jen1composer.tracks import TRACKS
from jen1composer.training.checkpoints import Checkpoints, flat_identity
from jen1composer.training.state import TrainState
from launch.composer_run import NOT_IDENTITY
from launch.composer_sections import make_curriculum
from launch.demo_measurements import (
    Validation,
    check_origins,
    curve,
    measure_data,
    read_heldout,
    run_curriculum,
    training_curve,
    training_seconds,
)
from launch.demo_pieces import GIVEN, Stretch, choose_stretch, make_pieces
from launch.demo_report import Report, make_page
from launch.task_draws import draw_tasks
from launch.task_shares import task_shares
from tests.data_pipeline import prepared_folder
from tests.jen1composer import tiny_composer

SECONDS = 6
NUM_SAMPLES = RATE // 10


def make_prepared(folder, sounding, split='test'):
    """One song of noise, in which track k sounds in the seconds `sounding[k]`."""
    stems = np.zeros((4, SECONDS * RATE, 2), np.float32)
    noise = np.random.default_rng(0).uniform(-0.2, 0.2, size=stems.shape)
    for track, seconds in enumerate(sounding):
        for second in seconds:
            part = slice(second * RATE, (second + 1) * RATE)
            stems[track, part] = noise[track, part]
    about = prepared_folder.song('song', split, title='a song', prompts=('calm rock',))
    return prepared_folder.make_prepared(folder, [about], {'song': stems}, source='noise')


def test_the_given_tracks_sound_in_every_second_of_the_stretch_then_the_others(tmp_path):
    everywhere = range(SECONDS)
    prepared = make_prepared(tmp_path, [everywhere, (1, 2, 3, 4, 5), (0, 1, 3, 4), (3, 4)])
    # Bass and drums from second 1 on, all four only in seconds 3 and 4.
    assert choose_stretch(prepared, GIVEN, 2 * RATE).start_s == 3
    assert choose_stretch(prepared, GIVEN, 5 * RATE).start_s == 1
    stretch = choose_stretch(prepared, GIVEN, RATE + 1)  # begins a second second
    assert stretch.start_s == 3
    song = prepared.songs('test')[0]
    np.testing.assert_array_equal(stretch.stems, prepared.read(song, 3 * RATE, RATE + 1))


def test_without_a_test_song_it_says_so(tmp_path):
    prepared = make_prepared(tmp_path, [(0,)] * 4, split='train')
    with pytest.raises(BadInput, match='no test song'):
        choose_stretch(prepared, GIVEN, RATE)


@pytest.fixture(scope='module')
def pieces(tmp_path_factory):
    """The seven pieces of such a composer: folder, what they say, the stretch."""
    out = tmp_path_factory.mktemp('page')
    prepared = make_prepared(out / 'data', [range(SECONDS)] * 4)
    composer = tiny_composer.composer()
    stretch = choose_stretch(prepared, GIVEN, NUM_SAMPLES)
    facts = make_pieces(out, composer, stretch, prompt='<b>loud</b>', seed=1, num_steps=2)
    return out, facts, stretch


def heard(pieces, piece, name):
    return read_audio(pieces[0] / piece / f'{name}.flac')


def test_each_piece_has_the_tracks_it_should_and_its_mix_is_their_sum(pieces):
    _, facts, _ = pieces
    made = {name: tuple(piece['tracks']) for name, piece in facts.items()}
    all_but = dict.fromkeys(facts, TRACKS)
    assert len(made) == 7
    assert made == all_but | {'alone': ('drums',)}
    for name, piece in facts.items():
        stems = sum(heard(pieces, name, track) for track in piece['tracks'])
        mix = heard(pieces, name, 'mix')
        assert mix.shape == (NUM_SAMPLES, 2)
        np.testing.assert_allclose(mix, piece['mix']['gain'] * stems, atol=1e-4)


def test_the_original_and_what_is_given_are_the_song_sample_for_sample(pieces):
    _, facts, stretch = pieces
    for k, track in enumerate(TRACKS):
        np.testing.assert_array_equal(heard(pieces, 'original', track), stretch.stems[k])
    for track in GIVEN:
        assert facts['accompaniment']['tracks'][track]['role'] == 'condition'
        given = heard(pieces, 'accompaniment', track)
        np.testing.assert_array_equal(given, heard(pieces, 'original', track))
    assert not np.array_equal(
        heard(pieces, 'accompaniment', 'melody'), heard(pieces, 'original', 'melody')
    )


def test_what_was_kept_of_an_edited_song_is_its_own_and_the_rest_is_framed(pieces):
    _, facts, stretch = pieces
    page = make_page(make_report(pieces, gap=(0.2, 0.1, 0.3)))
    for piece in ('inpainted', 'continued'):
        for k, track in enumerate(TRACKS):
            ((begin_s, end_s),) = facts[piece]['tracks'][track]['made_s']
            made = slice(round(begin_s * RATE), round(end_s * RATE))
            sound = heard(pieces, piece, track)
            kept = np.delete(np.arange(NUM_SAMPLES), made)
            np.testing.assert_array_equal(sound[kept], stretch.stems[k][kept])
            assert not np.array_equal(sound[made], stretch.stems[k][made])
        framed = [sound.framed for sound in page.sounds if sound.file.startswith(f'{piece}/')]
        assert len(framed) == 5
        for ((begin, end),) in framed:
            assert begin == pytest.approx(made.start / NUM_SAMPLES)
            assert end == pytest.approx(made.stop / NUM_SAMPLES)
    assert render(page).count('<span style="left:') == 10


def test_the_page_tells_kinds_of_tasks_apart_where_there_are_several(pieces):
    report = make_report(pieces, gap=(0.2, 0.1, 0.3))
    assert 'Inpainting' not in Words(render(make_page(report))).words
    last = {'step': 20, 'validation_loss': 0.8, 'validation_loss_inpainting': 0.7123}
    several = dataclasses.replace(report, composer_rows=[*report.composer_rows, last])
    assert '0.7123' in Words(render(make_page(several))).words


def test_each_piece_has_its_prompt(pieces):
    _, facts, stretch = pieces
    assert isinstance(stretch, Stretch)
    assert facts['joint']['prompt'] == facts['alone']['prompt'] == '<b>loud</b>'
    assert facts['accompaniment']['prompt'] == stretch.song.prompts[0] == 'calm rock'


CURRICULUM = Curriculum(
    num_tracks=4,
    stages=(Stage(steps=30, shares=(1, 0, 0, 0)), Stage(steps=70, shares=(1, 1, 1, 3))),
    p_given=0.3,
    kinds=Kinds(shares=(0.5, 0.3, 0.2)),
)


def shares_of(num_steps=100, num_bins=10):
    order = Order(seed=5, segments=begun(32), total_steps=num_steps)
    return task_shares(draw_tasks(CURRICULUM, order), num_bins=num_bins)


def test_task_shares_are_those_that_were_set_within_their_error():
    shares = shares_of()
    drawn, wanted = np.array(shares.drawn), np.array(shares.set)
    assert drawn.shape == (10, 4)
    np.testing.assert_allclose(drawn.sum(axis=1), 1, atol=1e-3)
    np.testing.assert_allclose(wanted[:3], [[1, 0, 0, 0]] * 3)
    np.testing.assert_allclose(wanted[3:], [[1 / 6, 1 / 6, 1 / 6, 1 / 2]] * 7, atol=1e-3)
    np.testing.assert_array_equal(drawn[:3], wanted[:3])
    assert np.abs(drawn - wanted).max() < 4 * np.sqrt(0.25 / 320)
    assert 0 < shares.largest_sigma < 3.5
    assert np.mean(shares.given) == pytest.approx(0.3, abs=0.03)
    np.testing.assert_allclose(shares.steps, np.arange(5, 100, 10))
    assert shares.kinds_set == {'text': 0.5, 'inpainting': 0.3, 'continuation': 0.2}
    assert shares.kinds.keys() == shares.kinds_set.keys()
    for kind, share in shares.kinds_set.items():
        assert np.abs(np.array(shares.kinds[kind]) - share).max() < 4 * np.sqrt(0.25 / 320)
        assert np.mean(shares.kinds[kind]) == pytest.approx(share, abs=0.03)


def test_task_shares_of_a_shorter_run_are_its_beginning():
    assert shares_of(50, 5).drawn == shares_of(100, 10).drawn[:5]
    assert len(shares_of(3, 10).drawn) == 3  # no more bins than steps


def test_task_shares_know_that_the_batch_has_changed():
    """The same examples, and the same shares over all of them, where every bin is a stage."""
    changed = Order(seed=5, segments=resumed(begun(32), 30, 16), total_steps=170)
    shares = task_shares(draw_tasks(CURRICULUM, changed), num_bins=17)
    np.testing.assert_allclose(shares.steps, np.arange(5, 170, 10))
    np.testing.assert_allclose(shares.drawn[:3], shares_of().drawn[:3])
    halves = np.array(shares.drawn[3:]).reshape(7, 2, 4).mean(axis=1)
    np.testing.assert_allclose(halves, shares_of().drawn[3:], atol=2e-4)


def test_training_seconds_are_the_sum_over_the_steps():
    times = np.random.default_rng(0).uniform(1, 2, size=25)
    rows = [{'step': 0, 'validation_loss': 1.0}]
    for begin, end in ((0, 1), (1, 10), (10, 20), (20, 25)):
        rows.append({'step': end, 'loss': 0.5, 'step_s': times[begin:end].mean()})
        rows.append({'step': end, 'validation_loss': 0.7})
    assert training_seconds(rows) == pytest.approx(times.sum())
    assert training_seconds([]) == 0
    assert curve(rows, 'loss') == ([1, 10, 20, 25], [0.5] * 4)


def test_the_curriculum_is_that_of_the_run_that_wrote_the_checkpoint(tmp_path):
    config = demo.get_config()
    config.curriculum.p_given, config.curriculum.kinds, config.seed = 0.3, (1, 2, 3), 7
    one = np.ones(1)
    checkpoints = Checkpoints(
        tmp_path / 'checkpoints',
        identity=flat_identity(config, ignore=NOT_IDENTITY),
        data={'segments': [[0, 16, 0], [1, 8, 16]]},
    )
    checkpoints.save(1, TrainState(step=np.int32(1), params=one, opt_state=one, ema=one))
    checkpoints.close()
    curriculum, order = run_curriculum(tmp_path, 4)
    assert curriculum == make_curriculum(config.curriculum, 4)
    assert order == Order(seed=7, segments=resumed(begun(16), 1, 8), total_steps=1)


def test_the_autoencoders_report_must_be_there(tmp_path):
    with pytest.raises(BadInput, match=r'heldout\.json.*train_autoencoder'):
        read_heldout(tmp_path)


def test_folders_of_different_runs_are_refused_by_name(pieces):
    data = records.Prepared(pieces[0] / 'data').manifest
    composer = tiny_composer.composer()
    codec = composer.codec.fingerprint
    latents = LatentManifest(
        tracks=TRACKS,
        clip_frames=8,
        clips_per_shard=64,
        channels=composer.codec.latent_channels,
        hop_samples=composer.codec.hop_samples,
        data_fingerprint=data.fingerprint,
        autoencoder_fingerprint=codec,
        text_encoder=composer.spec.text_encoder,
        text_fingerprint=composer.spec.text_fingerprint,
        max_tokens=8,
        num_songs=1,
        num_clips=1,
        songs_sha256='',
        prompts_sha256='',
        text_sha256='',
        shard_bytes=(0,),
    )

    def check(reported=codec, **of_latents):
        manifest = dataclasses.replace(latents, **of_latents)
        check_origins(composer.spec, manifest, data, {'fingerprint': reported})

    check()
    with pytest.raises(BadInput, match='--latents: encoded by another'):
        check(autoencoder_fingerprint='other')
    with pytest.raises(BadInput, match='--data'):
        check(data_fingerprint='other')
    with pytest.raises(BadInput, match='--autoencoder'):
        check(reported='other')


def make_report(pieces, gap):
    heldout = {
        'log_mel_db_decoded': 3.21,
        'log_mel_db_disturbed': 3.4,
        'log_mel_db_noise': 8.0,
        'log_mel_db_mean': 7.0,
        'snr_db_decoded': 1.0,
    }
    rows = [{'step': s, 'loss': 1 / s, 'validation_loss': 1.0, 'step_s': 0.5} for s in (10, 20)]
    return Report(
        data=measure_data(records.Prepared(pieces[0] / 'data')),
        autoencoder={'steps': 20, 'parameters': 2_300_000}
        | dict.fromkeys(('validation', 'test', 'stretch'), heldout),
        autoencoder_rows=[{'step': 20, 'loss': 1, 'validation_log_mel_db': 3.2, 'step_s': 12.0}],
        composer_parameters=1_900_000,
        composer_steps=20,
        composer_rows=rows,
        shares=shares_of(),
        validation=Validation(
            times=[0.25, 0.75], loss=[0.5, 0.7], zero=[1, 1.0], gap=gap, gap_examples=8, gap_songs=2
        ),
        pieces=pieces[1],
    )


class Words(html.parser.HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.words = ''
        self.feed(text)

    def handle_data(self, data):
        self.words += data


def test_the_page_says_what_was_measured_and_plays_what_was_written(pieces):
    report = make_report(pieces, gap=(0.2, 0.1, 0.3))
    page = make_page(report)
    assert all((pieces[0] / sound.file).is_file() for sound in page.sounds)
    assert len(page.sounds) == 6 * 5 + 1  # a mix of one stem is not shown twice
    words = Words(render(page)).words
    for fact in (
        '2.3 million',
        '4.0 minutes',
        '1.9 million',
        '10 s',
        '3.21',
        '<b>loud</b>',
        '0.6000',
    ):
        assert fact in words, fact
    assert '+0.1000 to +0.3000' in words
    assert json.loads(json.dumps(report.summary()))['composer']['train_s'] == 10.0


def test_the_page_claims_that_the_composer_listens_only_where_that_was_measured(pieces):
    for gap, claimed in (((0.2, 0.1, 0.3), True), ((0.1, -0.1, 0.3), False)):
        words = Words(render(make_page(make_report(pieces, gap)))).words
        assert ('above 0 in all of its interval' in words) == claimed
        assert ('cannot be said' in words) != claimed


def test_a_training_curve_joins_rows_that_were_cut_short():
    rows = [
        {'step': step, 'loss': loss} for step, loss in ((4, 1.0), (5, 9.0), (8, 1.0), (12, 2.0))
    ]
    steps, losses = training_curve(rows, 'loss')
    assert steps == [4, 8, 12]
    np.testing.assert_allclose(losses, [1.0, (9.0 + 3 * 1.0) / 4, 2.0])
