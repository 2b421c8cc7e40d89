"""Metadata: read, or refused in one line with the file, what was found and what is allowed."""

import os
import pathlib

import pytest
from etils import epath

from data_pipeline.sources.metadata import captions, read_json, read_text, read_yaml, value
from jen1composer.errors import BadInput

RECORD = {'name': 'x', 'number': 3, 'flag': True, 'list': [1], 'mapping': {}}


@pytest.fixture
def path(tmp_path: pathlib.Path) -> epath.Path:
    return epath.Path(tmp_path / 'x.data')


def refused(read, path: epath.Path, why: str) -> None:
    with pytest.raises(BadInput, match=why) as error:
        read(path)
    assert str(error.value).startswith(f'{path}: ')
    assert '\n' not in str(error.value)


def test_text_json_and_yaml(path: epath.Path):
    path.write_text('{"a": [1, true, "é"]}')
    assert read_json(path) == read_yaml(path) == {'a': [1, True, 'é']}
    path.write_text('a:\n- 1\n- true\n- é\n')
    assert read_yaml(path) == {'a': [1, True, 'é']}
    assert read_text(path) == 'a:\n- 1\n- true\n- é\n'


@pytest.mark.parametrize(
    'text',
    ['{"a": [1,', '', '[' * 100_000, '{"a": NaN', '1' * 5000, r'{"a": "\ud800"}', r'{"\udc00": 1}'],
)
def test_what_is_no_json_is_refused(path: epath.Path, text: str):
    path.write_text(text)
    refused(read_json, path, 'not JSON')


@pytest.mark.parametrize(
    'text',
    [
        'a: [1',
        '\ta: 1',
        'a: b: c',
        '[' * 100_000,
        '!!python/object:os.system x',
        '\x07',
        "!!int ''",
        "!!float ''",
        '!!bool x',
        '!!timestamp x',
        '1' * 5000,
        r'a: "\ud800"',
        r'"\udc00": 1',
    ],
)
def test_what_is_no_yaml_is_refused(path: epath.Path, text: str):
    path.write_text(text)
    refused(read_yaml, path, 'not YAML')


@pytest.mark.parametrize('read', [read_text, read_json, read_yaml])
def test_what_is_no_text_is_refused(path: epath.Path, read):
    refused(read, path, 'missing')
    path.write_bytes(b'caf\xe9')
    refused(read, path, 'UTF-8')
    path.unlink()
    path.mkdir()
    refused(read, path, 'cannot be opened')


def test_captions_are_lines(path: epath.Path):
    assert captions(path) == ()
    path.write_text('slow  blues\n\n in E \n')
    assert captions(path) == ('slow blues', 'in E')


def test_captions_lose_what_cannot_be_seen_and_have_a_length(path: epath.Path):
    path.write_bytes('\ufeffslow\x07\tblues\x1b[31m\u202e\n\x00\nin \u200bE'.encode())
    assert captions(path) == ('slow blues[31m', 'in E')
    path.write_text('x' * 1000 + '\n')
    assert len(captions(path)[0]) == 1000
    path.write_text('x\n' + 'x' * 1001)
    refused(captions, path, 'a caption of 1001 characters; allowed are 1000 a line$')


@pytest.mark.parametrize('read', [read_text, read_json, read_yaml, captions])
def test_a_pipe_is_refused_rather_than_waited_for(path: epath.Path, read):
    os.mkfifo(path)
    refused(read, path, 'is a pipe or a device; allowed is a regular file')


def test_values_of_the_right_kind():
    kinds = {'name': str, 'number': int, 'flag': bool, 'list': list, 'mapping': dict}
    for key, kind in kinds.items():
        assert value(RECORD, key, kind, 'f') is RECORD[key]


@pytest.mark.parametrize(
    ('record', 'key', 'kind', 'line'),
    [
        ([], 'name', str, 'f: is []; allowed is a mapping of names to values'),
        (None, 'name', str, 'f: is None; allowed is a mapping of names to values'),
        (RECORD, 'none', list, "f: has no 'none'; needed is a list"),
        (RECORD, 'flag', int, "f: 'flag' is True; allowed is a whole number"),
        (RECORD, 'number', bool, "f: 'number' is 3; allowed is true or false"),
        ({'a': 'x' * 99}, 'a', list, f"f: 'a' is '{'x' * 56}...; allowed is a list"),
    ],
)
def test_other_values_are_refused(record, key, kind, line: str):
    with pytest.raises(BadInput) as error:
        value(record, key, kind, 'f')
    assert str(error.value) == line
