"""The loader's benchmark: what is compared is the same work, and what is said follows from it."""

import json
import pathlib
import subprocess
import sys

import pytest

from configs import demo, paper_composer
from data_pipeline.record_files import RecordFiles
from jen1composer.errors import BadInput
from launch import loader_benchmark, loader_report
from launch.description import GivenByData, subject_of
from launch.loader_benchmark import BATCH, Kind, measure, read_raw
from launch.loader_report import measure_all, tables, training_waits
from launch.synthetic_data import noise_latents, noise_prepared

ROOT = pathlib.Path(__file__).parents[2]
NUM_BATCHES = 3


@pytest.fixture(scope='module')
def kinds(tmp_path_factory: pytest.TempPathFactory) -> list[Kind]:
    folder = tmp_path_factory.mktemp('noise')
    data = noise_prepared(folder / 'data', num_songs=2, seconds=3)
    latents = noise_latents(
        folder / 'latents', channels=4, hop_samples=1920, clip_frames=64, num_songs=3, seconds=8
    )
    return [
        loader_benchmark.crops_of(data, num_samples=9600, num_batches=NUM_BATCHES),
        loader_benchmark.windows_of(latents, num_frames=32, num_batches=NUM_BATCHES, threads=2),
    ]


@pytest.mark.parametrize('which', [0, 1])
def test_the_loader_touches_the_records_that_are_read_raw(
    kinds: list[Kind], which: int, monkeypatch: pytest.MonkeyPatch
):
    kind, seen, original = kinds[which], [], RecordFiles.__getitem__

    def note(self, record):
        seen.append(int(record))
        return original(self, record)

    monkeypatch.setattr(RecordFiles, '__getitem__', note)
    assert len(list(kind.read(NUM_BATCHES))) == NUM_BATCHES
    by_loader = sorted(seen)
    seen.clear()
    read_raw(kind.records, kind.touched, threads=2)
    wanted = [record for batch in kind.touched for record in batch]
    assert sorted(seen) == sorted(wanted)
    # The loader may be reading ahead of the batches that were asked for, never behind.
    missing = list(wanted)
    for record in by_loader:
        if record in missing:
            missing.remove(record)
    assert not missing


def test_a_speed_is_of_the_bytes_that_are_touched(kinds: list[Kind]):
    for kind in kinds:
        speed = measure(kind, repeats=2, threads=1)
        flat = [record for batch in kind.touched for record in batch]
        megabytes = sum(len(kind.records[record]) for record in flat) / 1e6
        assert speed.megabytes == pytest.approx(megabytes, abs=0.06)
        found = speed.to_json()
        assert speed.windows == NUM_BATCHES * BATCH
        assert found['mb_per_s'] * speed.loader_s == pytest.approx(speed.megabytes)
        assert min(speed.raw_s, speed.loader_s, speed.cold_s, speed.loader_cpu_s, speed.share) > 0


def test_what_a_model_eats_follows_from_its_step():
    given = GivenByData(
        num_tracks=4, latent_channels=128, text_width=384, prompt_tokens=48, prefix_tokens=16
    )
    config = paper_composer.get_config()
    step_s = loader_benchmark.step_seconds(config, given, tflops=100)
    assert step_s * 100e12 == pytest.approx(subject_of(config, given, None).gradient_flops)
    found = loader_benchmark.eaten(config, given, step_s=2.0)
    assert found['windows_per_s'] == config.batch / 2
    window_mb = 4 * config.data.window_frames * 128 * 2 / 1e6
    assert found['mb_per_s'] == pytest.approx(config.batch / 2 * window_mb)


def test_all_of_it(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(loader_report, 'NUM_SONGS', 2)
    monkeypatch.setattr(loader_report, 'SECONDS', {'sound': 2, 'demo': 20, 'paper': 15})
    monkeypatch.setattr(loader_report, 'DEMO_STEP_S', 0.01)
    found = measure_all(
        tmp_path,
        data=None,
        latents=None,
        workdir=None,
        repeats=1,
        num_batches=2,
        threads=1,
        tflops=100.0,
        progress=lambda items, description: items,
    )
    assert [row['name'].split(':')[0] for row in found['reading']] == [
        'sound',
        'latents',
        'latents',
    ]
    assert found['eaten']['demo']['windows_per_s'] == demo.get_config().batch / 0.01
    assert 0 <= found['waiting'] < 1
    assert found['trained'] is None
    assert json.loads(json.dumps(found)) == found
    for table in tables(found):
        assert all(len(row) == len(table.header) for row in table.rows)


def test_waits_are_those_of_the_metrics(tmp_path: pathlib.Path):
    rows = [
        {'step': 1, 'step_s': 0.2, 'data_wait_s': 0.001},
        {'step': 1, 'validation_loss': 1.0},
        {'step': 2, 'step_s': 0.4, 'data_wait_s': 0.003},
        {'step': 3, 'step_s': 0.3, 'data_wait_s': 0.002},
    ]
    (tmp_path / 'metrics.jsonl').write_text('\n'.join(map(json.dumps, rows)))
    found = training_waits(tmp_path)
    assert (found['step_s'], found['wait_s']) == (0.3, 0.002)
    assert found['share'] == pytest.approx(0.002 / 0.3)
    for broken in (tmp_path / 'none', tmp_path):
        (tmp_path / 'metrics.jsonl').write_text('')
        with pytest.raises(BadInput, match=r'--workdir=.*no steps in metrics\.jsonl'):
            training_waits(broken)


@pytest.mark.parametrize(
    'args',
    [('--data=/no/such',), ('--latents=/no/such',), ('--workdir=/no/such',), ('--repeats=0',)],
)
def test_bad_input_is_one_line(args: tuple[str, ...], tmp_path: pathlib.Path):
    command = [sys.executable, '-m', 'launch.benchmark', f'--out={tmp_path}', *args]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.returncode == 2, result.stderr
    (line,) = result.stderr.splitlines()
    assert line.startswith('error: ')
    assert '/no/such' in line or 'repeats' in line
