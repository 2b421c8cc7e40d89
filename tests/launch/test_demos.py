"""A run with all that it can write beside its weights: pieces, speed, where time went, HLO."""

import dataclasses
import json
import types

import numpy as np
import pytest

from data_pipeline.audio import read_audio
from jen1composer.models.flops import VERSION
from jen1composer.models.whitening import LatentStatistics, fit
from jen1composer.training.codec import Codec
from jen1composer.training.goodput import account, read_rows
from jen1composer.training.metrics import read_metrics
from jen1composer.training.program import make_program
from jen1composer.training.run import run_training
from launch.composer_run import composer_run, step_flops
from launch.demos import make_demo
from tests.data_pipeline import latent_folder
from tests.jen1composer import tiny_codec
from tests.launch import tiny_run

LETTERS = types.SimpleNamespace(encode=latent_folder.encode_text)


def matching_codec() -> Codec:
    """One that can decode what the folder holds: of as many channels, and as long a hop."""
    sizes = {'strides': (12, 20, 20), 'latent_channels': latent_folder.CHANNELS}
    config = dataclasses.replace(tiny_codec.TINY, **sizes)
    latents = np.random.default_rng(1).standard_normal((100, config.latent_channels))
    whitening = fit(LatentStatistics.of(latents))
    return Codec(config=config, params=tiny_codec.params(config), whitening=whitening)


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp('demos')
    codec = matching_codec()
    codec.save(folder / 'codec')
    prepared = latent_folder.prepare(folder / 'data')
    latent_folder.write(folder / 'latents', prepared, autoencoder_fingerprint=codec.fingerprint)
    return folder


def test_a_run_tells_what_it_does(folder, tmp_path, capsys):
    config = tiny_run.config(folder, loop__demo_every=1, loop__dump_hlo=True, loop__log_every=1)
    assembled, demos = composer_run(config), []
    run_training(
        assembled.run, tmp_path, demo=lambda step, state: demos.append((step, int(state.step)))
    )
    assert demos == [(1, 1), (2, 2)]

    # ---- Speed, and where the time went.
    rows = [row for row in read_metrics(tmp_path / 'metrics.jsonl') if 'loss' in row]
    assert [row['flops_version'] for row in rows] == [VERSION] * 2
    flops = assembled.run.flops.per_step
    for row in rows:
        per_device = row['tflops_per_device'] * 1e12 * assembled.run.recipe.layout.mesh.size
        assert per_device * row['step_s'] == pytest.approx(flops)
        assert 0 <= row['goodput'] <= 1
        assert 'mfu' not in row  # of a CPU no peak is known
    spent = account(read_rows(tmp_path / 'goodput.jsonl'))
    assert min(spent[kind] for kind in ('start', 'compile', 'save', 'evaluate')) > 0
    assert spent['repeated'] == spent['between'] == 0

    # ---- What is said in a line each, and the program.
    said = capsys.readouterr().err.splitlines()
    assert [line.split(':')[0] for line in said if line.startswith('memory')] == ['memory a device']
    assert said[-1].startswith('goodput ')
    assert 'ENTRY' in (tmp_path / 'hlo.txt').read_text()


@pytest.mark.slow
def test_pieces_of_the_three_modes(folder, tmp_path):
    assembled = composer_run(tiny_run.config(folder))
    state = make_program(assembled.run.recipe).begin()
    make_demo(assembled, tmp_path, LETTERS)(2, state)
    (step,) = (tmp_path / 'demos').iterdir()
    assert step.name == '00000002'
    tracks = assembled.spec.tracks
    expected = {'joint': set(tracks), 'conditional': set(tracks), 'marginal': {tracks[0]}}
    pieces = {mode.name: json.loads((mode / 'piece.json').read_text()) for mode in step.iterdir()}
    assert {mode: set(piece['tracks']) for mode, piece in pieces.items()} == expected
    assert all(piece['trained_steps'] == 2 for piece in pieces.values())
    hop, frames = assembled.spec.hop_samples, assembled.spec.window_frames
    for mode, names in expected.items():
        for name in (*names, 'mix'):
            assert len(read_audio(step / mode / f'{name}.flac')) == hop * frames


def test_what_is_computed_twice_is_no_work_of_the_model(folder):
    assembled = composer_run(tiny_run.config(folder))
    again = composer_run(tiny_run.config(folder, model__remat='full'))
    double = composer_run(tiny_run.config(folder, batch=16))
    assert again.run.flops == assembled.run.flops
    assert double.run.flops.per_step == 2 * assembled.run.flops.per_step
    assert step_flops(assembled.spec.model, 8, assembled.held_out) == assembled.run.flops.per_step
