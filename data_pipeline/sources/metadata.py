"""What data sets write beside their sound: text, JSON and YAML, read with errors of one line."""

import json
from collections.abc import Mapping
from typing import Any, TypeVar

import yaml
from etils import epath

from jen1composer.errors import BadInput

T = TypeVar('T')

KINDS: Mapping[type, str] = {
    bool: 'true or false',
    int: 'a whole number',
    str: 'a text',
    list: 'a list',
    dict: 'a mapping of names to values',
}


def read_text(path: epath.Path) -> str:
    """The content of a text file; raises BadInput if it cannot be read or is not UTF-8."""
    try:
        return path.read_bytes().decode()
    except UnicodeDecodeError as error:
        raise BadInput(f'{path}: not text ({error.reason}); allowed is UTF-8') from error
    except (OSError, ValueError) as error:
        reason = 'missing' if isinstance(error, FileNotFoundError) else 'cannot be opened'
        raise BadInput(f'{path}: {reason}; needed is a text file') from error


def captions(path: epath.Path) -> tuple[str, ...]:
    """What is written about a song, one caption a line; none where there is no file."""
    if not path.exists():
        return ()
    lines = (' '.join(line.split()) for line in read_text(path).splitlines())
    return tuple(line for line in lines if line)


def read_json(path: epath.Path) -> Any:
    """The value in a JSON file. Raises BadInput if it is none."""
    try:
        return json.loads(read_text(path))
    except (json.JSONDecodeError, RecursionError) as error:
        raise BadInput(f'{path}: not JSON ({error}); needed is the whole file') from error


def read_yaml(path: epath.Path) -> Any:
    """The value in a YAML file. Raises BadInput if it is none."""
    try:
        return yaml.safe_load(read_text(path))
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        reason = ' '.join(str(error).split())
        raise BadInput(f'{path}: not YAML ({reason}); needed is the whole file') from error


def value(record: Any, key: str, kind: type[T], where: str) -> T:
    """`record[key]`, which must be of a kind; `where` says whose it is.

    Raises BadInput for a record that is no mapping, a missing key and a value of another kind.
    """
    if not isinstance(record, dict):
        raise BadInput(f'{where}: is {_short(record)}; allowed is {KINDS[dict]}')
    if key not in record:
        raise BadInput(f'{where}: has no {key!r}; needed is {KINDS[kind]}')
    found = record[key]
    # bool is an int to Python, not to people.
    if not isinstance(found, kind) or (isinstance(found, bool) and kind is not bool):
        raise BadInput(f'{where}: {key!r} is {_short(found)}; allowed is {KINDS[kind]}')
    return found


def _short(found: Any) -> str:
    written = repr(found)
    return written if len(written) <= 60 else f'{written[:57]}...'
