"""Folders that a command fills: what is swept when it begins, and what is not."""

import os
import subprocess
import sys

from etils import epath

from data_pipeline.folders import aside, open_folder


def test_what_a_living_process_writes_is_spared_and_what_a_dead_one_left_is_swept(tmp_path):
    waits = subprocess.Popen([sys.executable, '-c', 'input()'], stdin=subprocess.PIPE)
    (tmp_path / 'clips').mkdir()
    path = tmp_path / 'clips' / f'a.array_record.{waits.pid}-1234.aside'
    path.write_text('half')
    try:
        open_folder(epath.Path(tmp_path))
        assert path.exists()
    finally:
        waits.communicate(b'\n')
    open_folder(epath.Path(tmp_path))
    assert not path.exists()


def test_what_a_run_of_our_own_number_left_is_swept(tmp_path):
    path = aside(epath.Path(tmp_path) / 'songs.jsonl')
    assert f'.{os.getpid()}-' in path.name
    path.write_text('half')
    open_folder(epath.Path(tmp_path))
    assert not path.exists()
