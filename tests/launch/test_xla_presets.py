"""XLA's flags by name: added to those that are set, and known to the XLA that is installed."""

import os
import subprocess
import sys

import pytest

from jen1composer.errors import BadInput
from launch.xla_presets import PRESETS, changes


def test_a_preset_sets_its_variable_alone():
    for name, preset in PRESETS.items():
        assert changes(name, {'OTHER': 'x'}) == {preset.variable: ' '.join(preset.flags)}


def test_flags_that_are_set_win_and_the_others_stay():
    there = '--xla_dump_to=dump --xla_gpu_autotune_level=4'
    expected = {'XLA_FLAGS': f'--xla_gpu_deterministic_ops=true {there}'}
    assert changes('gpu_deterministic', {'XLA_FLAGS': there}) == expected
    assert changes('gpu_deterministic', expected) == {}
    assert changes('tpu_multislice', {'XLA_FLAGS': there}).keys() == {'LIBTPU_INIT_ARGS'}


def test_a_file_of_flags_is_refused():
    with pytest.raises(BadInput, match=r'--xla_preset=gpu_deterministic: XLA_FLAGS=flags.txt is'):
        changes('gpu_deterministic', {'XLA_FLAGS': 'flags.txt'})


@pytest.mark.parametrize('name', PRESETS)
def test_a_preset_names_no_flag_twice_and_its_source(name):
    preset = PRESETS[name]
    assert len({flag.split('=')[0] for flag in preset.flags}) == len(preset.flags)
    assert preset.source.startswith('https://')
    assert all(flag.startswith('--xla_') and '=' in flag for flag in preset.flags)


def parsed(flags):
    """Whether XLA, in a process of its own, takes these flags; what it says."""
    run = subprocess.run(
        [sys.executable, '-c', 'import jax; jax.devices()'],
        env=os.environ | {'XLA_FLAGS': flags, 'JAX_PLATFORMS': 'cpu'},
        capture_output=True,
        text=True,
    )
    return run.returncode == 0, run.stderr


def test_the_installed_xla_knows_the_flags_of_its_own_variable():
    """Those of LIBTPU_INIT_ARGS are read by libtpu alone, which need not be here."""
    flags = {f for p in PRESETS.values() if p.variable == 'XLA_FLAGS' for f in p.flags}
    ok, said = parsed(' '.join(sorted(flags)))
    assert ok, said
    ok, said = parsed('--xla_gpu_no_such_flag=true')  # or the test would say nothing
    assert not ok
    assert 'Unknown flag in XLA_FLAGS' in said


@pytest.mark.parametrize('command', ['train_autoencoder', 'train_composer'])
def test_an_unknown_preset_is_one_line_with_those_there_are(command):
    config = {'train_autoencoder': 'demo_autoencoder', 'train_composer': 'demo'}[command]
    flags = [f'--config=configs/{config}.py:quick', '--workdir=w', '--xla_preset=fast']
    run = subprocess.run(
        [sys.executable, '-m', f'launch.{command}', *flags], capture_output=True, text=True
    )
    assert run.returncode == 2
    assert run.stderr.count('\n') == 1
    assert all(name in run.stderr for name in PRESETS)
