"""Work on Beam: every item once, whatever the runner's threads; what is refused comes back."""

import pathlib
import subprocess
import sys
import threading

import pytest

from data_pipeline import beam
from data_pipeline.beam import here, on_beam
from jen1composer.errors import BadInput


def square(item: dict) -> dict:
    return {'square': item['n'] ** 2, 'thread': threading.get_ident()}


def refuse_three(item: dict) -> dict:
    if item['n'] == 3:
        raise BadInput('song 3: is broken')
    return {}


def fail(item: dict) -> dict:
    raise ZeroDivisionError('a bug')


def run(work, count: int, scratch: pathlib.Path, *, options=here(2)):  # noqa: B008
    shown = []

    def show(counts, description, total):
        shown.append((description, total))
        for done in counts:
            shown.append(done)

    do = on_beam(scratch, options=options, progress=show)
    items = [{'n': n} for n in range(count)]
    results = do(work, items, count_done=lambda: 7, description='squares')
    return results, shown


@pytest.mark.parametrize('num_workers', [1, 2, 4])
def test_every_item_once(tmp_path: pathlib.Path, num_workers: int):
    results, shown = run(square, 50, tmp_path / 'work', options=here(num_workers))
    assert sorted(result['square'] for result in results) == [n**2 for n in range(50)]
    assert len({result['thread'] for result in results}) <= num_workers
    assert shown[0] == ('squares', 50)
    assert set(shown[1:]) <= {7}
    assert not (tmp_path / 'work').exists()


def test_nothing_to_do(tmp_path: pathlib.Path):
    assert run(square, 0, tmp_path / 'work')[0] == []


def test_what_a_killed_run_left_is_not_taken(tmp_path: pathlib.Path):
    scratch = tmp_path / 'work'
    scratch.mkdir()
    (scratch / 'results-00000-of-00009.jsonl').write_text('{"done": {"square": -1}}\n')
    assert [result['square'] for result in run(square, 1, scratch)[0]] == [0]


def test_results_that_are_lost_are_noticed(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch):
    original = beam._run

    def lose_one(*args):
        original(*args)
        path = next(p for p in (tmp_path / 'work').glob('results-*') if p.stat().st_size)
        path.write_text(''.join(path.read_text().splitlines(keepends=True)[1:]))

    monkeypatch.setattr(beam, '_run', lose_one)
    with pytest.raises(OSError, match='4 results of 5 items'):
        run(square, 5, tmp_path / 'work')


def test_bad_input_comes_back_as_it_was(tmp_path: pathlib.Path):
    with pytest.raises(BadInput, match=r'^song 3: is broken$'):
        run(refuse_three, 5, tmp_path / 'work')
    with pytest.raises(Exception, match='a bug'):
        run(fail, 1, tmp_path / 'work')


@pytest.mark.parametrize(
    ('option', 'said'),
    [
        ('--runner=Nonsense', 'Unexpected pipeline runner: Nonsense'),
        ('--direct_num_workers=two', "invalid int value: 'two'"),
        ('--direct_num_worker=2', '--direct_num_worker=2 is not one of them'),
    ],
)
def test_options_that_beam_does_not_know_are_refused(
    tmp_path: pathlib.Path, option: str, said: str
):
    with pytest.raises(BadInput, match=f'--beam={option}: .*{said}.*allowed are options'):
        run(square, 1, tmp_path / 'work', options=[option])


def test_without_beam_it_is_said_how_to_get_it(tmp_path: pathlib.Path):
    program = (
        'import sys; sys.modules["apache_beam"] = None\n'
        'from tests.data_pipeline.test_beam import run, square, pathlib\n'
        f'run(square, 1, pathlib.Path({str(tmp_path / "work")!r}))'
    )
    found = subprocess.run([sys.executable, '-c', program], capture_output=True, text=True)
    assert 'package apache-beam: not installed' in found.stderr
    assert 'jen1composer[beam]' in found.stderr
