"""The command that shows a curriculum: it draws what a training would, and says what is off."""

import dataclasses
import io
import json
import math
import pathlib
import statistics
import subprocess
import sys

import matplotlib.image
import numpy as np
import pytest

from data_pipeline.curriculum import Curriculum, Stage
from data_pipeline.kinds import Kind, Kinds
from data_pipeline.order import Order, begun, resumed
from jen1composer.errors import BadInput
from launch.curriculum_picture import picture
from launch.curriculum_report import make_report, table
from launch.task_draws import (
    IMPOSSIBLE,
    draw_tasks,
    hidden_frames,
    kind_measures,
    other_measures,
    row,
    span_measure,
    target_measures,
)

ROOT = pathlib.Path(__file__).parents[2]
FRAMES = 20
CURRICULUM = Curriculum(
    num_tracks=4,
    stages=(Stage(steps=30, shares=(1, 0, 0, 0)), Stage(steps=70, shares=(1, 1, 1, 3))),
    transition='linear',
    p_given=0.3,
    kinds=Kinds(shares=(2, 1, 1), p_causal=0.25, shared_span=0.4),
)
TEXT_ALONE = dataclasses.replace(CURRICULUM, kinds=Kinds())


def draws_of(curriculum=CURRICULUM, examples=None, seed=5, batch=16):
    order = Order(seed=seed, segments=begun(batch), total_steps=100)
    return draw_tasks(curriculum, order, examples=examples)


def test_every_example_is_drawn_once_though_the_batch_has_changed():
    order = Order(seed=5, segments=resumed(resumed(begun(16), 3, 5), 9, 8), total_steps=20)
    draws = draw_tasks(CURRICULUM, order)
    assert draws.index.tolist() == list(range(48 + 30 + 88))
    for i, step, slot in zip(draws.index, draws.step, draws.slot, strict=True):
        assert order.indices(int(step))[slot] == i
    some = draw_tasks(CURRICULUM, order, examples=50)
    assert all(
        order.indices(int(s))[k] == i
        for i, s, k in zip(some.index, some.step, some.slot, strict=True)
    )
    assert set(some.slot[some.step >= 9]) == set(range(8))


def report_of(draws):
    return make_report(draws, hidden_frames(draws, FRAMES), FRAMES)


@pytest.fixture(scope='module')
def draws():
    return draws_of()


def test_what_is_drawn_is_what_a_training_draws(draws):
    hidden = hidden_frames(draws, FRAMES)
    for i in range(0, 1600, 7):
        assert (draws.step[i], draws.slot[i]) == divmod(i, 16)
        task = CURRICULUM.draw(5, i, i // 16, FRAMES)
        np.testing.assert_array_equal(draws.roles[i], task.roles)
        np.testing.assert_array_equal(
            hidden[i], np.where(task.roles == 0, (~task.visible).sum(axis=1), 0)
        )
        assert draws.causal[i] == task.causal
        assert (draws.kind[i] == 0) == (not task.visible.any())
    assert len(draws) == 1600


@pytest.mark.parametrize('examples', [1, 5, 99, 160, 1000, 1599])
def test_examples_are_spread_over_steps_and_slots(draws, examples):
    some = draws_of(examples=examples)
    index = some.step * 16 + some.slot
    assert len(set(index.tolist())) == len(some) == examples
    assert 0 <= some.step[0] <= some.step[-1] < 100
    assert np.ptp(np.bincount(some.slot, minlength=16)) <= 1
    assert np.ptp(np.histogram(some.step, np.arange(0, 101, 10))[0]) <= 1
    np.testing.assert_array_equal(some.roles, draws.roles[index])
    np.testing.assert_array_equal(some.kind, draws.kind[index])


def test_more_examples_than_there_are_is_all_of_them(draws):
    np.testing.assert_array_equal(draws_of(examples=10**6).roles, draws.roles)
    with pytest.raises(BadInput, match='examples: 0; allowed is 1 or more'):
        draws_of(examples=0)


def every_row(draws, hidden):
    measures = [
        *target_measures(draws),
        *other_measures(draws),
        *kind_measures(draws),
        span_measure(draws, hidden, FRAMES),
    ]
    return [row(measure, draws.step >= 0) for measure in measures]


def test_deviations_are_in_standard_errors():
    """Over many trainings they have mean 0 and deviation 1, whatever is measured."""
    found = []
    for seed in range(60):
        drawn = draws_of(examples=300, seed=seed)
        found.append([r.errors for r in every_row(drawn, hidden_frames(drawn, FRAMES))])
    found = np.array(found)  # [training, row]
    assert np.abs(found.mean(axis=0)).max() < 4 / math.sqrt(60)
    assert np.abs(found.std(axis=0) - 1).max() < 4 / math.sqrt(2 * 60)


def test_shares_as_set_are_the_means_of_what_was_set(draws):
    by_name = {r.name: r for r in every_row(draws, hidden_frames(draws, FRAMES))}
    of_row = 0.7 * 71 / 140  # 70 steps of 100, with (j + 1) / 70 of the new row at the j-th
    assert by_name['4 targets'].set == pytest.approx(of_row / 2)
    assert by_name['1 target'].set == pytest.approx(1 - of_row * 5 / 6)
    assert by_name['given'].set == pytest.approx(0.3)
    assert by_name['marginal'].set == pytest.approx(0.7)
    assert [by_name[kind].set for kind in Kind] == pytest.approx([0.5, 0.25, 0.25])
    assert by_name['hidden'].set == pytest.approx(0.5)
    assert by_name['given'].of == (draws.roles != 0).sum()
    assert by_name['hidden'].of == (draws.kind != 0).sum()
    counts = (draws.roles == 0).sum(axis=1)
    assert by_name['2 targets'].drawn == pytest.approx(np.mean(counts == 2))


def test_what_cannot_be_is_not_overlooked(draws):
    first = draws.step < 30
    assert [row(m, first).errors for m in target_measures(draws)] == [0, 0, 0, 0]
    roles = draws.roles.copy()
    roles[0] = 0
    wrong = dataclasses.replace(draws, roles=roles)
    assert [row(m, first).errors for m in target_measures(wrong)] == [
        -IMPOSSIBLE,
        0,
        0,
        IMPOSSIBLE,
    ]


def test_a_slot_that_draws_something_else_is_found():
    honest = draws_of(batch=32)
    report = report_of(honest)
    assert (report.hosts.parts, report.slots.parts) == (4, 32)
    for furthest in (report.hosts, report.slots):
        assert abs(furthest.row.errors) < furthest.by_chance
        p = 2 * (1 - statistics.NormalDist().cdf(furthest.by_chance))
        assert furthest.compared * p == pytest.approx(0.01)
    kind = np.where(honest.slot == 13, 1, honest.kind)
    found = report_of(dataclasses.replace(honest, kind=kind)).slots
    assert (found.part, found.row.name) == (13, 'inpainting')
    assert found.row.errors > found.by_chance


def test_the_report_has_every_stage_and_is_json(draws):
    report = report_of(draws)
    assert [(s.first_step, s.last_step, s.examples) for s in report.stages] == [
        (0, 29, 480),
        (30, 99, 1120),
    ]
    assert report.whole.examples == 1600
    assert json.loads(json.dumps(report.summary()))['stages'][1]['rows'][3]['name'] == '4 targets'
    lines = table(report).splitlines()
    assert max(map(len, lines)) <= 100
    assert sum('4 targets' in line for line in lines) >= 3


@pytest.mark.parametrize(
    ('curriculum', 'examples'),
    [
        (CURRICULUM, None),
        (CURRICULUM, 1),
        (TEXT_ALONE, 50),
        (dataclasses.replace(CURRICULUM, kinds=Kinds(shares=(0, 0, 1))), 50),
        (dataclasses.replace(CURRICULUM, p_given=0.0), 50),
        (Curriculum(num_tracks=1, stages=(Stage(steps=100, shares=(2,)),)), 50),
        (Curriculum(num_tracks=8, stages=(Stage(steps=100, shares=(0,) * 7 + (1,)),)), 50),
    ],
)
def test_every_curriculum_has_its_table_and_its_picture(curriculum, examples):
    drawn = draws_of(curriculum, examples)
    assert table(report_of(drawn)).count('1 target ') >= 2
    png = picture(drawn, hidden_frames(drawn, FRAMES), FRAMES)
    assert matplotlib.image.imread(io.BytesIO(png)).shape == (1000, 1500, 4)
    assert 'nan' not in json.dumps(report_of(drawn).summary()).lower()


def run(*arguments):
    command = [sys.executable, '-m', 'launch.curriculum', *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True)


def test_the_command_prints_and_writes_what_it_found(tmp_path):
    done = run(
        '--config=configs/demo.py:quick',
        '--config.curriculum.transition=linear',
        '--config.curriculum.target_shares=((1,0,0,0),(0,0,0,2))',
        '--examples=480',
        f'--out={tmp_path}/new/folder',
    )
    assert done.returncode == 0, done.stderr
    said = json.loads((tmp_path / 'new/folder/curriculum.json').read_text())
    assert '480 of 1,920 examples drawn' in done.stdout
    assert said['transition'] == 'linear'
    (last,) = (r for r in said['stages'][1]['rows'] if r['name'] == '4 targets')
    assert last['set'] == pytest.approx(61 / 120, abs=1e-3)
    assert abs(last['errors']) < 4
    assert f'{last["drawn"]:.4f}' in done.stdout
    assert (tmp_path / 'new/folder/curriculum.png').read_bytes().startswith(b'\x89PNG')


@pytest.mark.parametrize(
    ('flags', 'said'),
    [
        (['--config=configs/demo_autoencoder.py'], 'not a config of train_composer'),
        (['--tracks=3'], 'curriculum.target_shares: (1, 0, 0, 0); allowed are rows of one share'),
        (['--config.data.window_frames=1'], 'window_frames: 1; allowed are windows that can be'),
        (['--config.seed=-1'], 'seed: -1; allowed'),
        (['--examples=0'], 'examples'),
        (['--out=FILE'], 'is a file; allowed is a folder'),
        (['--out=/proc/nowhere'], '--out=/proc/nowhere: No such file or directory; allowed is a f'),
    ],
)
def test_bad_input_is_refused_in_one_line(tmp_path, flags, said):
    (tmp_path / 'file').touch()
    flags = [flag.replace('FILE', f'{tmp_path}/file') for flag in flags]
    done = run('--config=configs/demo.py', f'--out={tmp_path}/out', *flags)
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    assert said in done.stderr
    assert not (tmp_path / 'out').exists()


def test_help_has_an_example():
    done = run('--help')
    assert done.returncode == 0
    assert 'python -m launch.curriculum --config=configs/demo.py --out=' in done.stdout
