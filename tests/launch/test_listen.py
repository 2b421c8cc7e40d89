"""launch.listen: what it reports of answers that are known, and what it refuses."""

import json
import signal
import socket
import subprocess
import sys

import numpy as np
import pytest

from jen1composer.serving.listening.answers import Answers
from jen1composer.serving.listening.app import Answer, Listening
from launch.listening_report import make_page, make_report, write_report
from tests.jen1composer.serving.client import ROOT, Client
from tests.jen1composer.serving.listening.conftest import (  # noqa: F401  fixtures
    NAMES,
    experiment,
    folders,
)


def listen(*flags: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, '-m', 'launch.listen', *flags], cwd=ROOT, capture_output=True, text=True
    )


def answered(test, choose, num_listeners: int = 4, num_trials: int = 4) -> None:
    """Each listener answers; `choose` is of (listener, trial): 'a', 'b', or None for neither."""
    with Answers(test.answers) as answers:
        listening = Listening(test=test, answers=answers)
        for index in range(num_listeners):
            code = answers.begin()
            for number, trial in enumerate(listening.trials(code)[:num_trials]):
                side = choose(index, trial)
                prefers = 'neither' if side is None else (
                    'first' if trial.side('first') == side else 'second'
                )  # fmt: skip
                said = Answer(trial=number, prefers=prefers, first_s=1, second_s=1, took_s=3)
                assert listening.answer(code, said)


def test_listeners_who_all_prefer_b(experiment):  # noqa: F811
    answered(experiment, lambda index, trial: 'b')
    found = make_report(experiment)
    said = found['preference']
    assert (said['ratio'], said['low'], said['high']) == (1, 1, 1)
    assert said['answers'] == said['for_b'] == 4 * len(NAMES)  # repeats are not counted
    assert found['krippendorff_alpha'] is None  # nobody said anything else
    assert found['consistency']['ratio'] == 1
    assert found['consistency']['of'] == found['listeners_finished'] == 4
    assert all(row['b'] == 4 for row in found['by_pair'])


def test_listeners_who_agree_pair_by_pair(experiment):  # noqa: F811
    answered(experiment, lambda index, trial: ('a', 'b', None)[trial.pair])
    found = make_report(experiment)
    assert found['krippendorff_alpha'] == 1
    assert found['preference']['ratio'] == 0.5
    assert [row['ratio'] for row in found['by_pair']] == [0, 1, 0.5]


def test_listeners_who_take_what_comes_first(experiment):  # noqa: F811
    answered(experiment, lambda index, trial: trial.side('first'), num_listeners=6)
    found = make_report(experiment)
    assert found['first_preferred']['ratio'] == 1
    assert found['consistency']['ratio'] == 0  # sides are swapped in repeats


def test_one_listener_has_wilsons_interval_and_half_an_answer_sheet_counts(experiment):  # noqa: F811
    answered(experiment, lambda index, trial: 'a', num_listeners=1, num_trials=2)
    found = make_report(experiment)
    assert found['preference']['method'] == 'wilson'
    assert found['preference']['answers'] == 2 - found['by_listener'][0]['b']
    assert found['listeners_finished'] == 0


def test_what_is_written(experiment):  # noqa: F811
    rng = np.random.default_rng(0)
    answered(experiment, lambda index, trial: rng.choice(['a', 'b']))
    table = write_report(experiment)
    found = json.loads((experiment.folder / 'report.json').read_text())
    assert f'{found["preference"]["ratio"]:.3f}' in table
    html = (experiment.folder / 'report.html').read_text()
    assert all(name in html for name in NAMES)
    assert 'B over A, ties half' in html


def test_of_no_answers_there_is_a_report_too(experiment):  # noqa: F811
    found = make_report(experiment)
    assert found['preference'] is None
    assert make_page(found).tables[0].rows[-1] == ('answers', 'none yet')
    assert 'none yet' in write_report(experiment)


@pytest.mark.parametrize(
    ('flags', 'line'),
    [
        ((), '--out must have a value'),
        (('--out={tmp}/new', '--a={tmp}'), '--b: is missing'),
        (('--out={tmp}/new', '--a={tmp}', '--b={tmp}', '--host=0.0.0.0'), 'needs --token_file'),
    ],
)
def test_what_is_refused_is_one_line(tmp_path, flags, line):
    ran = listen(*(flag.format(tmp=tmp_path) for flag in flags))
    assert ran.returncode == 2
    assert line in ran.stderr
    assert len(ran.stderr.splitlines()) == 1


@pytest.mark.slow
@pytest.mark.parametrize('stop', [signal.SIGINT, signal.SIGTERM])
def test_stopped_it_ends_well_and_reports(folders, tmp_path, stop):  # noqa: F811
    a, b = folders
    with socket.socket() as probe:
        probe.bind(('127.0.0.1', 0))
        port = probe.getsockname()[1]
    flags = (f'--a={a}', f'--b={b}', f'--out={tmp_path / "out"}', f'--port={port}')
    command = [sys.executable, '-m', 'launch.listen', *flags]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    try:
        assert str(port) in process.stdout.readline()
        begun = Client(port).post('/api/listeners', {'consent': True})
        said = {'trial': 0, 'prefers': 'neither', 'first_s': 1, 'second_s': 1, 'took_s': 2}
        answer = Client(port).post(f'/api/listeners/{begun.json["code"]}/answers', said)
        assert answer.status == 200
        process.send_signal(stop)
        table, _ = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 0
    assert '1: A 0, B 0, ties 1' in table
    assert (tmp_path / 'out' / 'report.html').exists()
