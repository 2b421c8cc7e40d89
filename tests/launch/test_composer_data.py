"""A run and its data: gone on with by another batch, with other data only where that is allowed."""

import dataclasses
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys

import numpy as np
import pytest

from data_pipeline.latents import Latents
from jen1composer.errors import BadInput
from jen1composer.training.checkpoints import read_meta, refuse_other_run
from jen1composer.training.loop import Interrupted
from jen1composer.training.metrics import read_metrics
from jen1composer.training.run import run_training
from launch.composer_data import open_data, songs_left
from launch.composer_run import composer_run, latent_of_silence
from tests.data_pipeline import latent_folder as small
from tests.jen1composer import tiny_codec
from tests.launch import tiny_run

ROOT = pathlib.Path(__file__).parents[2]
STAGES = (2, 4)  # six steps
STOPPED_AT = 3


def write(folder, name, prepared, **changes):
    """Latents beside the others in `folder`, by the codec that is there."""
    codec = tiny_codec.codec()
    settings = {'autoencoder_fingerprint': codec.fingerprint}
    return small.write(folder / name, prepared, **settings | changes)


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    """latents/ of four songs, more/ of the same with other prompts, codec/."""
    folder = tmp_path_factory.mktemp('composer')
    tiny_codec.codec().save(folder / 'codec')
    write(folder, 'latents', small.prepare(folder / 'data', {'a': ['rock', 'dark rock']}))
    write(folder, 'more', small.prepare(folder / 'other', beats_s={'a': [1.0, 2.0]}))
    return folder


def config_of(folder, **changes):
    config = tiny_run.config(folder, curriculum__stage_steps=STAGES, **changes)
    config.loop.save_every_s, config.loop.log_every = 0.0, 1
    config.loop.prefetch = False  # what is asked for is what is used
    return config


def train(config, workdir, *, stop_at=None, may_change=()):
    """Trains in `workdir` from where it is, to the signal that it gets in its step `stop_at`.

    Returns the examples of each step.
    """
    checkpoints = workdir / 'checkpoints'
    assembled = composer_run(config, read_meta(checkpoints) if checkpoints.exists() else None)
    seen = {}

    def recorded(first_step):
        for step, batch in enumerate(assembled.run.batches(first_step), start=first_step):
            if step + 1 == stop_at:
                os.kill(os.getpid(), signal.SIGTERM)
            seen[step] = batch.index.tolist()
            yield batch

    may_change = (*assembled.run.may_change, *may_change)
    run = dataclasses.replace(assembled.run, batches=recorded, may_change=may_change)
    if stop_at is None:
        run_training(run, workdir)
    else:
        with pytest.raises(Interrupted, match=f'at step {stop_at}'):
            run_training(run, workdir)
    return seen


@pytest.fixture(scope='module')
def stopped_once(folder, tmp_path_factory):
    """A workdir of a run that was stopped when three of its six steps were done."""
    workdir = tmp_path_factory.mktemp('stopped') / 'run'
    train(config_of(folder), workdir, stop_at=STOPPED_AT)
    assert read_meta(workdir / 'checkpoints').step == STOPPED_AT
    return workdir


@pytest.fixture
def stopped(stopped_once, tmp_path):
    """A copy of it."""
    return shutil.copytree(stopped_once, tmp_path / 'run')


def test_another_batch_goes_on_at_the_example_after_the_last(folder, stopped):
    seen = train(config_of(folder, batch=16), stopped)
    examples = [list(range(24 + 16 * k, 40 + 16 * k)) for k in range(3)]
    assert seen == dict(zip(range(3, 6), examples, strict=True))
    assert read_meta(stopped / 'checkpoints').data == {'segments': [[0, 8, 0], [3, 16, 24]]}
    losses = [row['loss'] for row in read_metrics(stopped / 'metrics.jsonl') if 'loss' in row]
    assert len(losses) == 6
    assert np.isfinite(losses).all()


@pytest.mark.parametrize(
    ('changes', 'said'),
    [
        ({'data__window_frames': 20}, 'data.window_frames is 16 there, 20 here'),
        ({'data__beat_aligned': True}, 'data.beat_aligned is False there, True here'),
        ({'data__latents': '{}/more'}, "data.latents[0].name is 'latents' there, 'more' here"),
        ({'data__latents': '{0}/latents:3,{0}/more'}, 'data.latents[0].weight is 1.0 there, 3.0'),
        ({'data__latents': '{}/moved/latents'}, 'data.latents[0].songs is 4 there, 3 here'),
        ({'seed': 1}, 'seed is 0 there, 1 here'),
    ],
)
def test_a_resume_says_what_of_the_data_is_another(folder, stopped, changes, said):
    if 'moved' in changes.get('data__latents', ''):
        write(folder / 'moved', 'latents', small.prepare(folder / 'abc', names='abc'))
    changes = {k: v.format(folder) if isinstance(v, str) else v for k, v in changes.items()}
    with pytest.raises(BadInput) as refused:
        train(config_of(folder, **changes), stopped)
    assert said in str(refused.value)
    assert '\n' not in str(refused.value)


def test_a_copy_in_a_renamed_folder_is_the_same_data(folder, stopped, tmp_path):
    shutil.copytree(folder / 'latents', tmp_path / 'renamed')
    seen = train(config_of(folder, data__latents=f'{tmp_path}/renamed'), stopped)
    assert sorted(seen) == [3, 4, 5]


def test_a_negative_number_of_workers_is_refused(folder):
    with pytest.raises(BadInput, match=r'data\.workers: -1; allowed is 0 or more'):
        composer_run(config_of(folder, data__workers=-1))


def test_other_data_are_gone_on_with_where_that_is_allowed_and_stay(folder, stopped):
    mixed = f'{folder}/latents:3,{folder}/more:1'
    seen = train(config_of(folder, data__latents=mixed), stopped, stop_at=5, may_change=['data.'])
    assert sorted(seen) == [3, 4]
    identity = read_meta(stopped / 'checkpoints').identity
    assert [identity[f'data.latents[{n}].weight'] for n in range(2)] == [3, 1]
    with pytest.raises(BadInput, match=r'data\.latents\[0\]\.weight is 3\.0 there, 1\.0 here'):
        train(config_of(folder), stopped)
    assert sorted(train(config_of(folder, data__latents=mixed), stopped)) == [5]


def test_what_is_computed_again_may_change_as_where_memory_is_short(folder, stopped):
    run = composer_run(config_of(folder, model__remat='block')).run
    changed = refuse_other_run(stopped / 'checkpoints', run.identity, run.may_change)
    assert changed == ["model.remat is 'none' there, 'block' here"]


def test_only_the_data_may_change(folder, stopped):
    with pytest.raises(BadInput, match=r'optimizer\.weight_decay is'):
        train(
            config_of(folder, data__window_frames=20, optimizer__weight_decay=0.5),
            stopped,
            may_change=['data.'],
        )


def test_the_command_refuses_other_data_and_takes_them_with_the_flag(folder, stopped):
    def command(*more):
        flags = tiny_run.flags(
            folder, curriculum__stage_steps=STAGES, data__latents=f'{folder}/latents,{folder}/more'
        )
        done = subprocess.run(
            [sys.executable, '-m', 'launch.train_composer', f'--workdir={stopped}', *flags, *more],
            cwd=ROOT,
            capture_output=True,
            text=True,
        )
        return done.returncode, done.stdout, done.stderr

    status, _, said = command()
    assert status == 2
    assert len(said.strip().splitlines()) == 1
    assert "data.latents[1].name is 'absent' there, 'more' here" in said
    assert not (stopped / 'autoencoder').exists()  # nothing was written

    status, printed, said = command('--allow_data_change')
    assert status == 0, said
    assert json.loads(printed)['steps'] == 6
    (line,) = [line for line in said.splitlines() if line.startswith('changed from here on: ')]
    assert "data.latents[1].name is 'absent' there, 'more' here" in line
    assert read_meta(stopped / 'checkpoints').identity['data.latents[1].name'] == 'more'


def test_latents_of_another_autoencoder_are_not_data_that_may_change(folder, stopped, tmp_path):
    codec = dataclasses.replace(
        tiny_codec.codec(), config=dataclasses.replace(tiny_codec.TINY, knee=0.1)
    )
    codec.save(tmp_path / 'codec')
    small.write(
        tmp_path / 'latents',
        small.prepare(tmp_path / 'data'),
        autoencoder_fingerprint=codec.fingerprint,
    )
    with pytest.raises(BadInput, match=r'config: autoencoder is .* there, .* here'):
        train(config_of(tmp_path), stopped, may_change=['data.'])


def test_a_data_set_without_validation_songs_is_trained_on_all_the_same(folder, tmp_path):
    write(tmp_path, 'train', small.prepare(tmp_path / 'data', names='ab'))
    mixed = config_of(folder, data__latents=f'{folder}/latents,{tmp_path}/train')
    assert composer_run(mixed).held_out['validation_loss'][0].latents.shape == (16, 4, 16, 6)
    with pytest.raises(BadInput, match='/train holds no song in validation'):
        composer_run(config_of(folder, data__latents=f'{tmp_path}/train'))


def test_a_style_is_left_out_of_the_training_alone_and_is_told_of_the_data(folder):
    """Songs with such a prompt; `validation` keeps what it is asked about."""
    everything = open_data(config_of(folder).data, 0)
    config = config_of(folder)
    with config.unlocked():
        config.data.without = 'dark'
    left = open_data(config.data, 0)
    latents = everything.latents[0]
    songs, kept = (set(data.train.parts[0].songs) for data in (everything, left))
    dark = {s for s in songs if any('dark' in latents.prompts[r] for r in latents.prompt_rows(s))}
    assert dark
    assert kept == songs - dark
    assert len(left.validation.parts[0]) == len(everything.validation.parts[0])
    assert left.identity['data.without'] == 'dark'
    assert 'data.without' not in everything.identity  # as it was before there was such a key


def test_a_share_of_the_songs_is_the_same_each_time_and_grows(folder):
    latents = open_data(config_of(folder).data, 0).latents[0]
    shares = [songs_left(latents, '', share) for share in (0.25, 0.5, 1.0)]
    assert [len(songs) for songs in shares] == [1, 2, 4]
    assert shares[0] < shares[1] < shares[2]
    assert songs_left(latents, '', 0.5) == shares[1]


@pytest.mark.parametrize(('without', 'share'), [('(', 1.0), ('', 0.0), ('', 1.5)])
def test_what_leaves_out_nothing_sensible_is_refused(folder, without, share):
    latents = open_data(config_of(folder).data, 0).latents[0]
    with pytest.raises(BadInput, match=r'--config\.data\.(without|share)'):
        songs_left(latents, without, share)


def test_how_often_silence_is_asked_for_is_part_of_what_a_run_is(folder, monkeypatch):
    """And a run from before there was the key goes on with a config that says 1."""
    channels = Latents(folder / 'latents').manifest.channels  # not those of the codec beside them
    nothing = np.ones(channels, np.float32)
    monkeypatch.setattr('launch.composer_run.latent_of_silence', lambda codec: nothing)
    usual = composer_run(config_of(folder)).run.identity
    for odds in (1.0, 0.25):
        config = config_of(folder)
        config.curriculum.silent_targets = odds
        assembled = composer_run(config)
        expected = {} if odds == 1 else {'curriculum.silent_targets': odds}
        assert assembled.run.identity == {**usual, **expected}
        assert len(next(assembled.run.batches(0)).index) == config.batch
    config.curriculum.silent_targets = -1.0
    with pytest.raises(BadInput, match=r'curriculum\.silent_targets: -1\.0'):
        composer_run(config)


def test_the_latent_of_silence_is_that_of_every_frame_of_a_long_silence():
    codec = tiny_codec.codec()
    hop, reach = codec.config.hop_samples, codec.config.encoder_reach
    found = np.asarray(codec.encode(np.zeros((1, 1, (2 * reach + 9) * hop, 2), np.float32)))[0, 0]
    inner = found[reach : reach + 9]
    np.testing.assert_allclose(inner, np.tile(latent_of_silence(codec), (9, 1)), atol=1e-5)
