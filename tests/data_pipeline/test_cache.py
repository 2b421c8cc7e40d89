"""Local files: copies that are whole and of the newest source, and folders far away."""

import hashlib
import os
import pathlib
import subprocess
import sys

import numpy as np
import pytest
from etils import epath

from data_pipeline import cache as cache_module
from data_pipeline.cache import default_cache, local, writing
from data_pipeline.json_lines import JsonLines, write_json_lines
from data_pipeline.latents import Latents
from data_pipeline.record_files import RecordFiles, write_records
from jen1composer.errors import BadInput
from tests.data_pipeline import latent_folder as small

ROOT = pathlib.Path(__file__).parents[2]


@pytest.fixture
def source(tmp_path):
    path = tmp_path / 'source' / 'a.array_record'
    path.parent.mkdir()
    path.write_bytes(np.random.default_rng(0).bytes(300_000))
    return path


@pytest.fixture
def folder(tmp_path):
    return tmp_path / 'cache'


def half_of(read, write, length=0):
    del length
    write.write(read.read()[:1000])


def test_a_local_file_is_read_where_it_lies(source):
    assert local(source) == source


def test_a_copy_is_made_once_and_has_the_name_of_its_source(source, folder):
    data, stat = source.read_bytes(), source.stat()
    copy = local(source, str(folder))
    assert copy.parent == folder
    assert copy.name.endswith('-a.array_record')
    assert copy.read_bytes() == data
    source.write_bytes(bytes(len(data)))  # as long, and of the same time
    os.utime(source, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert local(source, str(folder)) == copy
    assert copy.read_bytes() == data
    assert list(folder.iterdir()) == [copy]


def test_another_file_another_length_and_another_time_are_copied_again(source, folder):
    first = local(source, str(folder))
    other = source.with_name('b')
    other.write_bytes(source.read_bytes())
    assert local(other, str(folder)) != first
    os.utime(source, (0, 12345))
    second = local(source, str(folder))
    source.write_bytes(b'short')
    os.utime(source, (0, 12345))
    third = local(source, str(folder))
    assert len({first, second, third}) == 3
    assert third.read_bytes() == b'short'


@pytest.mark.parametrize('kept', [0, 1000])
def test_a_copy_that_was_cut_is_made_again(source, folder, kept):
    copy = local(source, str(folder))
    copy.write_bytes(source.read_bytes()[:kept])
    assert local(source, str(folder)) == copy
    assert copy.read_bytes() == source.read_bytes()


def test_what_did_not_come_whole_is_not_taken(source, folder, monkeypatch):
    monkeypatch.setattr(cache_module.shutil, 'copyfileobj', half_of)
    with pytest.raises(OSError, match=r'a\.array_record: 1000 bytes came of 300000'):
        local(source, str(folder))
    monkeypatch.undo()
    assert local(source, str(folder)).read_bytes() == source.read_bytes()
    assert len(list(folder.iterdir())) == 1


COPY = """
import os, shutil, sys
from data_pipeline import cache
if sys.argv[3] == 'dies':
  def half_of(read, write, length):
    write.write(read.read()[:1000]); write.flush()
    os.kill(os.getpid(), 9)
  cache.shutil.copyfileobj = half_of
else:
  copied = shutil.copyfileobj
  def told(*arguments):
    print('copied', flush=True)
    copied(*arguments)
  cache.shutil.copyfileobj = told
print(cache.local(sys.argv[1], sys.argv[2]))
"""


def copying(source, folder, how):
    return subprocess.Popen(
        [sys.executable, '-c', COPY, str(source), str(folder), how],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )


def test_of_several_processes_one_copies_though_another_was_killed_at_it(source, folder):
    killed = copying(source, folder, 'dies')
    assert killed.wait() == -9
    (left,) = folder.iterdir()
    assert left.name.endswith('.aside')
    said = [copying(source, folder, 'lives').communicate()[0]]
    processes = [copying(source, folder, 'lives') for _ in range(3)]
    said += [process.communicate()[0] for process in processes]
    copy = local(source, str(folder))
    assert [text.splitlines()[-1] for text in said] == [str(copy)] * 4
    assert sum(text.startswith('copied') for text in said) == 1
    assert copy.read_bytes() == source.read_bytes()
    assert list(folder.iterdir()) == [copy]


def test_processes_that_begin_at_once_copy_once(source, folder):
    source.write_bytes(bytes(50_000_000))
    processes = [copying(source, folder, 'lives') for _ in range(3)]
    said = [process.communicate()[0] for process in processes]
    assert sum(text.startswith('copied') for text in said) == 1
    (copy,) = folder.iterdir()
    assert copy.stat().st_size == 50_000_000


def test_what_is_written_has_its_name_only_when_it_is_whole(tmp_path):
    path = epath.Path(tmp_path / 'file')

    def half() -> None:
        with writing(path) as unfinished:
            unfinished.write_bytes(b'half')
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        half()
    assert not path.exists()
    with writing(path) as unfinished:
        unfinished.write_bytes(b'whole')
        assert not path.exists()
    assert path.read_bytes() == b'whole'


def test_a_remote_file_is_copied_to_the_default_cache(bucket, monkeypatch, tmp_path):
    address, objects = bucket
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'home'))
    with writing(epath.Path(address) / 'x' / 'file') as unfinished:
        unfinished.write_bytes(b'far away')
    assert [path.name for path in (objects / 'x').iterdir()] == ['file']
    copy = local(f'{address}/x/file')
    assert copy.parent == default_cache() == tmp_path / 'home' / 'jen1composer' / 'records'
    assert copy.read_bytes() == b'far away'
    with pytest.raises(FileNotFoundError):
        local(f'{address}/x/none')


def test_records_and_lines_far_away(bucket, folder):
    far = epath.Path(bucket[0]) / 'far'
    records = [os.urandom(1000 * n) for n in range(1, 6)]
    write_records(far / 'a', records[:2])
    write_records(far / 'b', records[2:])
    files = RecordFiles(far, ['a', 'b'], [2, 3], remedy='do it again', cache=str(folder))
    assert list(files) == records
    sha256 = write_json_lines(far / 'lines', [{'n': 1}, 'two'])
    lines = JsonLines(far / 'lines', sha256, remedy='do it again', cache=str(folder))
    assert list(lines) == [{'n': 1}, 'two']
    missing = RecordFiles(far, ['c'], [1], remedy='do it again', cache=str(folder))
    with pytest.raises(BadInput, match=r'gs://bucket/far/c: missing; do it again'):
        missing[0]


def test_latents_far_away_are_those_that_lie_here(bucket, folder, tmp_path):
    address, objects = bucket
    prepared = small.prepare(tmp_path / 'data')
    here = small.write(tmp_path / 'here', prepared)
    for host in (1, 0):
        small.encode_folder(f'{address}/latents', prepared, host=host, hosts=2)
    far = Latents(f'{address}/latents', cache=str(folder))
    assert far.manifest == here.manifest
    assert list(far.records) == list(here.records)
    names = {path.relative_to(tmp_path / 'here') for path in (tmp_path / 'here').rglob('*.*')}
    assert {path.relative_to(objects / 'latents') for path in objects.rglob('*.*')} == names
    digests = {hashlib.sha256(path.read_bytes()).digest() for path in folder.iterdir()}
    shards = (tmp_path / 'here' / 'clips').iterdir()
    assert {hashlib.sha256(path.read_bytes()).digest() for path in shards} <= digests

    small.encode_folder(f'{address}/latents', prepared)  # done before: nothing changes
    assert list(Latents(f'{address}/latents', cache=str(folder)).records) == list(here.records)
    with pytest.raises(BadInput, match='autoencoder_fingerprint is ae, not two'):
        small.encode_folder(f'{address}/latents', prepared, autoencoder_fingerprint='two')
    with pytest.raises(BadInput, match=r'gs://bucket/none: not a folder of latents'):
        Latents(f'{address}/none')
    (objects / 'latents' / 'clips' / here.layout.names[0]).unlink()
    with pytest.raises(BadInput, match=r'gs://bucket/latents/clips/.*: missing'):
        Latents(f'{address}/latents', cache=str(folder))


def test_local_latents_are_copied_too_where_a_cache_is_named(folder, tmp_path):
    small.write(tmp_path / 'here', small.prepare(tmp_path / 'data'))
    cached = Latents(tmp_path / 'here', cache=str(folder))
    records = list(cached.records)
    again = Latents(tmp_path / 'here', cache=str(folder))
    for path in (tmp_path / 'here' / 'clips').iterdir():  # it is no longer looked at
        stat = path.stat()
        path.write_bytes(bytes(stat.st_size))
        os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert list(again.records) == records
