"""Answers: whole lines whatever happens, in order, and gone when they are withdrawn."""

import json
import threading

import pytest

from jen1composer.errors import BadInput
from jen1composer.serving.listening.answers import Answers, read_lines
from jen1composer.serving.store import NotFound


@pytest.fixture
def path(tmp_path):
    return tmp_path / 'answers.jsonl'


def test_what_was_answered_is_there_again(path):
    with Answers(path) as answers:
        first, second = answers.begin(), answers.begin()
        assert first != second
        assert answers.add(first, 0, {'prefers': 'a'})
        assert answers.add(first, 1, {'prefers': None})
    with Answers(path) as answers:
        assert [line['prefers'] for line in answers.of(first)] == ['a', None]
        assert answers.of(second) == []
        assert answers.add(second, 0, {'prefers': 'b'})
    assert len(read_lines(path)) == 5


def test_cut_off_at_any_byte_it_holds_the_whole_lines(path):
    with Answers(path) as answers:
        listener = answers.begin()
        for trial in range(3):
            answers.add(listener, trial, {'prefers': 'a'})
    data = path.read_bytes()
    for length in range(0, len(data), 7):
        path.write_bytes(data[:length])
        whole = data[:length].count(b'\n')
        assert len(read_lines(path)) == whole
        with Answers(path) as answers:
            other = answers.begin()
            assert answers.add(other, 0, {'prefers': 'b'})
            if whole:
                assert len(answers.of(listener)) == whole - 1
        assert len(read_lines(path)) == whole + 2


def test_only_the_next_trial_can_be_answered(path):
    with Answers(path) as answers:
        listener = answers.begin()
        assert not answers.add(listener, 1, {'prefers': 'a'})
        assert answers.add(listener, 0, {'prefers': 'a'})
        assert not answers.add(listener, 0, {'prefers': 'b'})
        assert [line['prefers'] for line in answers.of(listener)] == ['a']


def test_of_many_that_answer_at_once_one_is_written(path):
    with Answers(path) as answers:
        listener, written = answers.begin(), []

        def answer():
            written.append(answers.add(listener, 0, {'prefers': 'a'}))

        threads = [threading.Thread(target=answer) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert sorted(written) == [False] * 7 + [True]
    assert len(read_lines(path)) == 2


def test_who_withdraws_is_gone_and_nobody_else(path):
    with Answers(path) as answers:
        stays, goes = answers.begin(), answers.begin()
        for listener in (stays, goes):
            answers.add(listener, 0, {'prefers': 'a'})
        answers.withdraw(goes)
        for action in (answers.of, answers.withdraw):
            with pytest.raises(NotFound):
                action(goes)
        with pytest.raises(NotFound):
            answers.add(goes, 1, {})
        assert answers.add(stays, 1, {'prefers': 'b'})
    assert goes not in path.read_text()
    assert {line['listener'] for line in read_lines(path)} == {stays}


def test_a_file_in_use_or_damaged_is_refused(path):
    with Answers(path) as answers:
        listener = answers.begin()
        answers.add(listener, 0, {'prefers': 'a'})
        with pytest.raises(BadInput, match='another process uses it'):
            Answers(path)
    lines = path.read_text().splitlines(keepends=True)
    for damaged, reason in (
        (lines[0] + 'nonsense\n', 'line 2 is no answer'),
        (lines[0] + '[]\n', 'line 2 is no answer'),
        (lines[1], 'line 1 is out of order'),
        (lines[0] + lines[1] * 2, 'line 3 is out of order'),
    ):
        path.write_text(damaged)
        with pytest.raises(BadInput, match=reason):
            Answers(path)
    path.write_text(''.join(lines))
    assert json.loads(lines[1]) == read_lines(path)[1]
