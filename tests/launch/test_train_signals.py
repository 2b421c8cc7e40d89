"""SIGUSR1 asks a training for a profile; before there is a loop to ask, it must not end it."""

import os
import subprocess
import sys

import pytest

STARTED = """
import os, runpy, signal
from launch import command
command.run = lambda main: os.kill(os.getpid(), signal.SIGUSR1)
runpy.run_module('launch.{name}', run_name='__main__')
"""


@pytest.mark.parametrize('name', ['train_composer', 'train_autoencoder'])
def test_a_profile_may_be_asked_for_from_the_start(name):
    code = STARTED.format(name=name)
    environment = os.environ | {'PYTHONPATH': os.getcwd()}
    done = subprocess.run([sys.executable, '-c', code], capture_output=True, env=environment)
    assert done.returncode == 0, done.stderr
