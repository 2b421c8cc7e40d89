"""What every command shares: how it starts, how it fails, and how it shows that it is working.

A command is a module run as ``python -m launch.NAME`` whose docstring begins with an example, and
which ends in ``command.run(main)``. It then

1. answers ``--help`` with that docstring and its flags, and exits 0;
2. ends a :class:`~jen1composer.errors.BadInput`, or a flag that cannot be read, with the one line
   ``error: ...`` on stderr and exit status 2: bad input is not a bug and gets no traceback;
3. ends Ctrl-C with one line and exit status 130, as a shell expects (128 + SIGINT); a training that
   SIGTERM stopped, as where a machine is taken away, has saved and ends with status 0;
4. ends without a word, as other programs do, where its output is not read to the end (``| head``).

Everything else that is raised is a bug and keeps its traceback.
"""

import contextlib
import difflib
import os
import pathlib
import signal
import sys
import traceback
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import FrameType
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

from absl import app, flags, logging

from jen1composer.errors import BadInput, RunFailed

if TYPE_CHECKING:
    from tqdm import tqdm

T = TypeVar('T')
flags.disclaim_key_flags()  # Those of `define_config` are its caller's, for `--help`.
_DEFAULT_CONFIGS: dict[str, str] = {}  # Flag -> file.
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # of malloc.h


def run(main: Callable[[list[str]], int | None]) -> NoReturn:
    """Parses the flags, calls `main(argv)` and exits; see the module docstring for how.

    Args:
      main: gets argv with the flags removed, so only the program's name: arguments that are not
        flags are refused. What it returns is the exit status; None is 0.
    """
    # Not Python's own handler: what it raises while JAX is loading is swallowed, and work goes on.
    signal.signal(signal.SIGINT, _interrupt)
    try:
        app.run(main, flags_parser=_parse_flags)
    except BadInput as error:
        _exit(2, f'error: {error}')
    except RunFailed as error:
        _exit(1, f'error: {error}')
    except ImportError as error:
        if 'gcsfs' not in str(error):
            raise
        _exit(2, "error: gs://: gcsfs is not installed; needed is pip install 'jen1composer[gcs]'")
    except BrokenPipeError:  # Who read what is printed has had enough, as `head` has.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(128 + signal.SIGPIPE)
    except KeyboardInterrupt as interrupt:  # It may say where the work stands.
        _exit(getattr(interrupt, 'exit_status', 130), str(interrupt) or 'interrupted')
    sys.exit(0)  # app.run has exited already; this says so to the type checker.


def define_config(name: str, default: str, help: str) -> 'flags.FlagHolder[Any]':
    """A config flag (`DEFINE_config_file`) that reads the file `default` unless another is given.

    `DEFINE_config_file` would read it, and the overrides on the command line, on import already,
    before what is wrong with them can be said in one line.
    """
    from ml_collections import config_flags

    _DEFAULT_CONFIGS[name] = default
    return config_flags.DEFINE_config_file(name, None, f'{help} By default {default}.')


def progress(iterable: Iterable[T], desc: str, total: int | None = None) -> 'tqdm[T]':
    """`iterable` with a progress bar on stderr: every 0.1 s on a terminal, every 15 s in a log.

    Args:
      iterable: what is worked through.
      desc: a few words in front of the bar, e.g. ``'songs'``.
      total: the number of items, where `iterable` has no length.

    Returns:
      A ``tqdm``, which also takes ``set_postfix(loss=...)``.
    """
    from tqdm import tqdm

    interval_s = 0.1 if sys.stderr.isatty() else 15.0
    return tqdm(
        iterable,
        desc=desc,
        total=total,
        mininterval=interval_s,
        maxinterval=max(10.0, 2 * interval_s),  # tqdm would force a line after 10 s otherwise.
        dynamic_ncols=True,
    )


def report_progress(desc: str) -> Callable[[int, int], None]:
    """A progress bar as a function of (done, total), to be called from within the work.

    Nothing is shown before the first call, so what is refused before is one line.
    """
    bar: tqdm[Any] | None = None

    def report(done: int, total: int) -> None:
        nonlocal bar
        if bar is None:
            bar = progress((), desc, total=total)
        bar.update(done - bar.n)
        if done == total:
            bar.close()

    return report


def folder(flag: str, value: str | None) -> str:
    """`value`, a folder to write to; raises BadInput, naming `flag`, where a file is in its way."""
    if not value:
        raise BadInput(f'{flag}={value}: allowed is a folder')
    path = pathlib.Path(value)
    existing = next((place for place in (path, *path.parents) if place.exists()), path)
    if '://' not in value and existing.exists() and not existing.is_dir():
        raise BadInput(f'{flag}={value}: {existing} is a file; allowed is a folder')
    return value


def use_compilation_cache() -> pathlib.Path:
    """Keeps compiled XLA programs on disk, so that a command starts fast the second time.

    A folder set before (``JAX_COMPILATION_CACHE_DIR``) stays; else it is ``jen1composer/xla`` in
    ``$XDG_CACHE_HOME``, or in ``~/.cache``.

    Returns:
      The folder.
    """
    given = os.environ.get('JAX_COMPILATION_CACHE_DIR')
    if given:  # JAX has read it itself.
        return pathlib.Path(given)

    import jax

    caches = pathlib.Path(os.environ.get('XDG_CACHE_HOME') or pathlib.Path.home() / '.cache')
    folder = caches / 'jen1composer' / 'xla'
    jax.config.update('jax_compilation_cache_dir', str(folder))
    jax.config.update('jax_persistent_cache_min_compile_time_secs', 0.5)
    return folder


def keep_freed_memory() -> None:
    """Lets this process use memory again that it has freed, rather than hand it back each time.

    Clips and batches are megabytes that come and go: of glibc's own accord each comes as new pages,
    which takes longer than to read what is put there. Elsewhere than with glibc this does nothing.
    """
    import ctypes

    with contextlib.suppress(OSError, AttributeError, TypeError):
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(_M_MMAP_THRESHOLD, 1 << 25)  # the most it takes
        mallopt(_M_TRIM_THRESHOLD, 1 << 30)


def _interrupt(number: int, frame: FrameType | None) -> None:
    """Ends the process at once; files are written aside, so what is half done is not taken."""
    del number, frame
    os.write(2, b'interrupted\n')
    os._exit(130)


def _exit(status: int, line: str) -> NoReturn:
    """Ends the program with one line on stderr, whatever line breaks `line` brought along."""
    print(' '.join(line.splitlines()), file=sys.stderr)
    sys.exit(status)


def _parse_flags(argv: Sequence[str]) -> list[str]:
    """The `flags_parser` of :func:`absl.app.run`, which says what is wrong in one line."""
    given = _given_configs(argv)
    configs = {**_DEFAULT_CONFIGS, **given}
    defaults = [f'--{name}={path}' for name, path in configs.items() if name not in given]
    argv = [*argv[:1], *defaults, *argv[1:]]
    for name, path in configs.items():
        if not pathlib.Path(path.split(':', 1)[0]).is_file():
            raise BadInput(f'--{name}={path}: there is no such file')
    try:
        rest = flags.FLAGS(argv)
    except SystemExit:  # --help and its like have answered: absl would exit with status 1.
        sys.exit(0)
    except flags.Error as error:  # An unknown flag, a value of the wrong type, a missing one.
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        first, last = lines[0], lines[-1]  # Between them: a traceback, if the config file raised.
        raise BadInput(first if first == last else f'{first} {last}') from None
    except Exception as error:
        for name, path in configs.items():
            _explain_config(name, path, argv, error)
        raise
    _refuse_repeated(argv, configs)
    if len(rest) > 1:
        raise BadInput(f'{rest[1]!r}: every argument is a --flag=value, see --help')
    if not flags.FLAGS['verbosity'].present:  # Libraries tell of every file they write.
        logging.set_verbosity(logging.WARNING)
    return rest


def _given_configs(argv: Sequence[str]) -> Mapping[str, str]:
    """The config files that are named in `argv`: flag -> file, with any ``:argument`` of it."""
    module = sys.modules.get('ml_collections.config_flags.config_flags')
    if module is None:  # The command defines no config flag.
        return {}
    given = {}
    for name in flags.FLAGS:
        if module.is_config_flag(flags.FLAGS[name]):
            for arg, following in zip(argv, [*argv[1:], ''], strict=True):
                flag, equals, value = arg.partition('=')
                if flag in (f'-{name}', f'--{name}'):
                    given[name] = value if equals else following
    return given


def _explain_config(name: str, path: str, argv: Sequence[str], error: Exception) -> None:
    """Raises the BadInput behind `error`, which `ml_collections` raised for ``--name=path``.

    It is either in the file, or an override ``--name.key=value`` of something that the file does
    not have, for which `ml_collections` raises one of several errors without naming the flag.
    """
    from ml_collections import config_flags

    try:
        config = config_flags.config_flags.ConfigFileFlagParser(name).parse(path)
    except Exception as cause:
        place = traceback.extract_tb(cause.__traceback__)[-1]
        where = '' if isinstance(cause, SyntaxError) else f' (line {place.lineno})'
        what = f'{type(cause).__name__}: {cause}{where}'
        raise BadInput(f'--{name}={path}: the file cannot be used: {what}') from error
    for arg in argv:
        flag = arg.partition('=')[0].lstrip('-').removeprefix('no')
        if arg.startswith('-') and flag.startswith(f'{name}.'):
            _explain_override(arg, flag.split('.'), config)


def _refuse_repeated(argv: Sequence[str], configs: Iterable[str]) -> None:
    """Raises BadInput for a tuple that is given twice, which `ml_collections` makes one of both."""
    given = [arg.partition('=')[0].lstrip('-') for arg in argv if arg.startswith('-')]
    for flag in given:
        several = given.count(flag) > 1 and flag.partition('.')[0] in configs and '.' in flag
        if several and isinstance(flags.FLAGS[flag].value, list | tuple):
            raise BadInput(
                f'--{flag}: given {given.count(flag)} times; allowed is once, with all values: '
                f'--{flag}=(1,2)'
            )


def _explain_override(arg: str, keys: Sequence[str], config: Any) -> None:
    """Raises BadInput if `config` has nothing at `keys`, naming what it has there."""
    node = config
    for depth, key in enumerate(keys[1:], start=1):
        parent = '.'.join(keys[:depth])
        allowed = list(node) if isinstance(node, Iterable) and hasattr(node, 'keys') else []
        if not allowed:
            raise BadInput(f'{arg}: {parent} is a single value, {node!r}, and has no {key!r}')
        if key not in allowed:
            close = difflib.get_close_matches(key, allowed, n=1)
            hint = f'did you mean {parent}.{close[0]}? ' if close else ''
            raise BadInput(f'{arg}: {parent} has no {key!r}; {hint}it has {", ".join(allowed)}')
        node = node[key]
