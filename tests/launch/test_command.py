"""How commands start and fail, tried on a real command of a few lines in a process of its own."""

import pathlib
import platform
import signal
import subprocess
import sys
import textwrap
import time

import pytest

ROOT = pathlib.Path(__file__).parents[2]

COMMAND = '''
    """Says what it was given.

    python -m say --config=config.py --times=3
    """
    import sys
    import time
    from absl import flags
    from ml_collections import config_flags
    from jen1composer.errors import BadInput
    from launch import command

    CONFIG = config_flags.DEFINE_config_file('config')
    OTHER = command.define_config('other', 'config.py:large', 'another')
    TIMES = flags.DEFINE_integer('times', 1, 'how often', lower_bound=1)

    def main(argv):
        if TIMES.value == 13:
            raise BadInput('--times=13: an unlucky\\nnumber')
        if TIMES.value == 14:
            raise RuntimeError('a bug')
        if TIMES.value == 15:
            print('asleep', flush=True)
            time.sleep(60)
        for _ in command.progress(range(TIMES.value), 'saying'):
            print(CONFIG.value.train.steps if CONFIG.value else OTHER.value.train.steps)
        print('jax' in sys.modules)

    if __name__ == '__main__':
        command.run(main)
'''

CONFIG = """
    from ml_collections import config_dict

    def get_config(variant='small'):
        if variant not in ('small', 'large'):
            raise ValueError(f'{variant!r} is neither small nor large')
        steps = {'small': 3, 'large': 7}[variant]
        return config_dict.create(train={'steps': steps, 'rate': 0.1, 'parts': (1, 2)}, seed=0)
"""


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp('command')
    (folder / 'say.py').write_text(textwrap.dedent(COMMAND))
    (folder / 'config.py').write_text(textwrap.dedent(CONFIG))
    (folder / 'broken.py').write_text('def get_config():\n    return undefined_name\n')
    (folder / 'unreadable.py').write_text('def (\n')
    return folder


def start(folder, *flags):
    return subprocess.Popen(
        [sys.executable, '-m', 'say', *flags],
        cwd=folder,
        env={'PYTHONPATH': f'{folder}:{ROOT}', 'PATH': '/usr/bin:/bin'},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def say(folder, *flags):
    process = start(folder, *flags)
    out, err = process.communicate(timeout=60)
    return process.returncode, out, err


def test_good_flags_reach_main(folder):
    status, out, _ = say(folder, '--config=config.py:large', '--config.train.steps=5', '--times=2')
    assert (status, out) == (0, '5\n5\nFalse\n')  # False: starting up has not imported jax.


def test_help_begins_with_the_example(folder):
    status, out, _ = say(folder, '--help')
    assert status == 0
    assert out.index('python -m say --config=config.py --times=3') < out.index('how often')


@pytest.mark.parametrize(
    ('flags', 'steps'),
    [
        ([], '7'),
        (['--other.train.steps=4'], '4'),
        (['--other=config.py'], '3'),
        (['--other.train.steps=4', '--other.train.steps=5', '--other.train.parts=(3,)'], '5'),
        (['--other', 'config.py', '--other.train.steps=4'], '4'),
    ],
)
def test_a_default_config_is_read_unless_another_is_given(folder, flags, steps):
    status, out, _ = say(folder, *flags)
    assert (status, out) == (0, f'{steps}\nFalse\n')


C = '--config=config.py'


@pytest.mark.parametrize(
    ('flags', 'named'),
    [
        (['--times=13'], ['--times=13', 'an unlucky number']),
        (['--times=no'], ['--times=no', 'int']),
        (['--times=0'], ['--times=0', 'positive']),
        (['--tines=3'], ['tines', 'Did you mean: times']),
        (['--times'], ['--times', 'Missing value']),
        (['3'], ["'3'", '--flag=value']),
        (['--config=absent.py'], ['--config=absent.py', 'no such file']),
        (['--config', 'absent.py', '--config.seed=3'], ['--config=absent.py', 'no such file']),
        (['--config='], ['--config=', 'no such file']),
        (['--config=/'], ['--config=/', 'no such file']),
        (['--config=config.py:tiny'], ['--config=config.py:tiny', 'neither small nor large']),
        (['--config=broken.py'], ['--config=broken.py', 'undefined_name', 'line 2']),
        (['--config=unreadable.py'], ['--config=unreadable.py', 'unreadable.py, line 1']),
        ([C, '--config.train.stesp=3'], ['--config.train.stesp=3', 'config.train.steps?']),
        ([C, '--config.trian.steps', '3'], ['--config.trian.steps', 'config.train?']),
        ([C, '--config.zzz=3'], ['--config.zzz=3', 'it has seed, train']),
        (['--other.zzz=3'], ['--other.zzz=3: other has no', 'it has seed, train']),
        (['--other.train.x=3'], ['--other.train.x=3: other.train has no']),
        (['--other=absent.py'], ['--other=absent.py', 'no such file']),
        ([C, '--config.seed.x=3'], ['--config.seed.x=3', 'config.seed', 'single value']),
        ([C, '--config.items=3'], ['--config.items=3', 'it has seed, train']),
        ([C, '--config.train.steps=3.5'], ['--config.train.steps=3.5', 'int']),
        ([C, '--config.train.rate=fast'], ['--config.train.rate=fast', 'float']),
        ([C, *['--config.train.parts=(3,4)'] * 2], ['--config.train.parts: given 2 times', 'once']),
        ([C, '--config.train.parts', '3', '--config.train.parts=4'], ['parts: given 2 times']),
        ([C, '--config.train=3'], ['--config.train=3', 'ConfigDict']),
        (['--config.seed=3', C], ['--config.seed=3', 'before']),
    ],
)
def test_bad_input_ends_in_one_line(folder, flags, named):
    status, out, err = say(folder, *flags)
    assert (status, out) == (2, '')
    assert err.startswith('error: ')
    assert err.count('\n') == 1
    for part in named:
        assert part in err


def test_a_bug_keeps_its_traceback(folder):
    status, _, err = say(folder, '--times=14')
    assert status == 1
    assert 'Traceback' in err
    assert 'RuntimeError: a bug' in err


def test_interrupt_ends_in_one_line(folder):
    process = start(folder, '--times=15')
    assert process.stdout.readline() == 'asleep\n'
    time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (130, 'interrupted\n')


def test_output_that_is_not_read_to_its_end_ends_the_command_without_a_word(folder):
    process = start(folder, '--times=20000')  # more lines than a pipe holds
    assert process.stdout.readline() == '7\n'
    process.stdout.close()
    err = process.stderr.read()
    assert process.wait(60) == 128 + signal.SIGPIPE
    assert 'Traceback' not in err
    assert 'Exception' not in err


def test_a_log_gets_few_lines_of_progress(folder):
    _, _, err = say(folder, '--times=2000')
    assert 'saying: 100%' in err
    assert err.count('\r') <= 3


@pytest.mark.parametrize('variable', ['XDG_CACHE_HOME', 'HOME', 'JAX_COMPILATION_CACHE_DIR'])
def test_compilation_cache_folder(tmp_path, variable):
    program = 'from launch import command; print(command.use_compilation_cache())'
    out = subprocess.run(
        [sys.executable, '-c', program],
        cwd=ROOT,
        env={'HOME': '/nowhere', variable: str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    inside = {
        'XDG_CACHE_HOME': 'jen1composer/xla',
        'HOME': '.cache/jen1composer/xla',
        'JAX_COMPILATION_CACHE_DIR': '.',
    }
    assert out.strip() == str(tmp_path / inside[variable])


CHURN = """
import resource, sys
from launch import command
if sys.argv[1] == 'kept':
  command.keep_freed_memory()
def churn():
  for _ in range(50):
    two = bytearray(4_000_000), bytearray(4_000_000)
    del two
churn()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
churn()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != 'glibc', reason='glibc is what it is about')
def test_freed_memory_is_used_again():
    """New pages of 50 times 8 MB, which come and go."""
    pages = [
        int(
            subprocess.run([sys.executable, '-c', CHURN, how], cwd=ROOT, capture_output=True).stdout
        )
        for how in ('kept', 'given back')
    ]
    assert pages[0] < 2000 < 50_000 < pages[1]
