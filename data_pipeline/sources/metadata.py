"""What data sets write beside their sound: text, JSON and YAML, read with errors of one line."""

import json
import unicodedata
from collections.abc import Mapping
from typing import Any, TypeVar

import yaml
from etils import epath

from data_pipeline.audio import require_end
from jen1composer.errors import BadInput

T = TypeVar('T')
MAX_CAPTION = 1000  # Characters; a longer one is a text that is no prompt.

KINDS: Mapping[type, str] = {
    bool: 'true or false',
    int: 'a whole number',
    str: 'a text',
    list: 'a list',
    dict: 'a mapping of names to values',
}


def read_text(path: epath.Path) -> str:
    """The content of a text file; raises BadInput if it cannot be read or is not UTF-8."""
    require_end(path)
    try:
        return path.read_bytes().decode('utf-8-sig')  # Windows' editors put a mark in front.
    except UnicodeDecodeError as error:
        raise BadInput(f'{path}: not text ({error.reason}); allowed is UTF-8') from error
    except (OSError, ValueError) as error:
        reason = 'missing' if isinstance(error, FileNotFoundError) else 'cannot be opened'
        raise BadInput(f'{path}: {reason}; needed is a text file') from error


def captions(path: epath.Path) -> tuple[str, ...]:
    """What is written about a song, one caption a line; none where there is no file.

    Control and other invisible characters are left out. Raises BadInput, naming the file, for a
    caption of more than MAX_CAPTION characters.
    """
    if not path.exists():
        return ()
    lines = [' '.join(_visible(line).split()) for line in read_text(path).splitlines()]
    longest = max((len(line) for line in lines), default=0)
    if longest > MAX_CAPTION:
        raise BadInput(
            f'{path}: a caption of {longest} characters; allowed are {MAX_CAPTION} a line'
        )
    return tuple(line for line in lines if line)


def _visible(line: str) -> str:
    """Without characters of the categories C: controls, marks of direction, private ones."""
    return ''.join(c for c in line if c.isspace() or not unicodedata.category(c).startswith('C'))


def read_json(path: epath.Path) -> Any:
    """The value in a JSON file. Raises BadInput if it is none."""
    text = read_text(path)
    try:
        found = json.loads(text)
        json.dumps(found, ensure_ascii=False).encode()  # Half a surrogate pair is no text.
    except (ValueError, RecursionError) as error:
        raise BadInput(f'{path}: not JSON ({error}); needed is the whole file') from error
    return found


class _Yaml(yaml.SafeLoader):
    """SafeLoader, but for half a surrogate pair, which is no text: an error of Unicode."""

    def construct_scalar(self, node: Any) -> Any:
        scalar = super().construct_scalar(node)
        str(scalar).encode()
        return scalar


# What PyYAML raises for values that do not fit their tags, such as `!!int ''`.
_YAML_ERRORS = (yaml.YAMLError, ValueError, LookupError, AttributeError, TypeError, RecursionError)


def read_yaml(path: epath.Path) -> Any:
    """The value in a YAML file. Raises BadInput if it is none."""
    text = read_text(path)
    try:
        return yaml.load(text, _Yaml)
    except _YAML_ERRORS as error:
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
