"""Goodput: every second is in one kind, and steps that a restart took back do not count."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jen1composer.training import goodput as module
from jen1composer.training.goodput import KINDS, Goodput, account, read_rows

ROWS = [
    {'begun': 0, 'time': 100.0},
    {'step': 10, 'time': 120.0, 'start': 3.0, 'compile': 5.0, 'data_wait': 2.0},  # steps: 10 s
    {'step': 20, 'time': 132.0, 'save': 2.0},  # 10 s, of which steps 16 to 20 are lost: 5 s
    {'begun': 15, 'time': 140.0},  # killed; 8 s between
    {'step': 25, 'time': 160.0, 'start': 4.0, 'evaluate': 6.0},  # 10 s
]


def test_a_run_that_was_killed_and_went_on():
    spent = account(ROWS)
    expected = {
        'step': 10 + 5 + 10,
        'repeated': 5,
        'between': 8,
        'start': 7,
        'compile': 5,
        'data_wait': 2,
        'save': 2,
        'evaluate': 6,
    }
    assert spent == pytest.approx(expected)
    assert sum(spent.values()) == pytest.approx(60)


@st.composite
def sessions(draw, least=0):
    rows, now, step = [], 0.0, 0
    seconds = st.floats(0, 50)
    for _ in range(draw(st.integers(1, 4))):
        now += draw(seconds)
        step = draw(st.integers(0, step))
        rows.append({'begun': step, 'time': now})
        for _ in range(draw(st.integers(0, 4))):
            now += draw(seconds)
            step += draw(st.integers(least, 9))
            named = draw(st.dictionaries(st.sampled_from(module.NAMED), seconds, max_size=3))
            rows.append({'step': step, 'time': now, **named})
    return rows


@settings(max_examples=100, deadline=None)
@given(sessions())
def test_every_second_is_in_one_kind(rows):
    spent = account(rows)
    assert tuple(spent) == KINDS
    assert all(seconds >= 0 for seconds in spent.values())
    assert sum(spent.values()) == pytest.approx(rows[-1]['time'] - rows[0]['time'], abs=1e-6)


@settings(max_examples=50, deadline=None)
@given(sessions(least=1))
def test_starting_over_leaves_nothing_that_counts(rows):
    spent = account([*rows, {'begun': 0, 'time': rows[-1]['time']}])
    assert spent['step'] == pytest.approx(0, abs=1e-6)


def test_what_is_told_while_it_runs_is_what_the_record_says(tmp_path, monkeypatch):
    now = 1000.0
    monkeypatch.setattr(module.time, 'time', lambda: now)
    path = tmp_path / 'goodput.jsonl'
    for begin in (0, 15):
        session = Goodput(path, first_step=begin, began=now - 1)
        for step in (10, 20):
            now += 7
            session.add('save', 2)
            session.row(begin + step)
        assert session.spent == pytest.approx(account(read_rows(path)))
        now += 30
    # Each session: 1 s to start, and two rows of 2 s to save and 5 s of steps; of those of the
    # first, steps 16 to 20 were done twice. Between the two are 30 s, less the start.
    assert session.goodput == pytest.approx((5 + 2.5 + 5 + 5) / (1 + 14 + 29 + 1 + 14))
    assert 'repeated' in session.line()
    path.write_text(path.read_text() + '{"step": 40, "ti')  # killed while it wrote
    assert read_rows(path) == [json.loads(line) for line in path.read_text().split('\n')[:-1]]
