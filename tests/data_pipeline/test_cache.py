"""Local files: copies that are whole and of the newest source, and folders far away."""

import errno
import hashlib
import os
import pathlib
import subprocess
import sys

import numpy as np
import pytest
from etils import epath

from data_pipeline import cache as cache_module
from data_pipeline import record_files
from data_pipeline.cache import default_cache, local, writing
from data_pipeline.json_lines import JsonLines, write_json_lines
from data_pipeline.latents import Latents
from data_pipeline.record_files import RecordFiles, write_records
from data_pipeline.text_tables import TextOrigin, read_text
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
    assert not list(folder.iterdir())
    monkeypatch.undo()
    assert local(source, str(folder)).read_bytes() == source.read_bytes()
    assert len(list(folder.iterdir())) == 1


COPY = """
import os, shutil, sys
from data_pipeline import cache
if sys.argv[3] == 'dies':
  def half_of(read, write, length):
    write.write(read.read()[:1000])
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


def test_a_file_is_copied_once_under_whatever_name_it_is_asked_for(source, folder, monkeypatch):
    copy = local(source, str(folder))
    (source.parent / 'link').symlink_to(source.parent)
    assert local(source.parent / 'link' / source.name, str(folder)) == copy
    monkeypatch.chdir(source.parent)
    assert local(source.name, str(folder)) == copy


def test_a_change_within_a_second_is_seen(source, folder):
    os.utime(source, ns=(0, 5_000_000_000))
    first = local(source, str(folder))
    os.utime(source, ns=(0, 5_000_000_001))
    assert local(source, str(folder)) != first


OF = TextOrigin(num_tracks=4, num_prompts=4, prompts_sha256='', text_fingerprint='', max_tokens=12)


def no_room(read, write, length=0):
    """As on a disk that has no room for the last byte."""

    class Full:
        def write(self, block):
            return len(block) - 1

    write._file = Full()
    write.write(read.read())


@pytest.mark.parametrize('trouble', ['file', 'read only', 'full'])
def test_trouble_of_the_cache_is_told_as_that(tmp_path, folder, monkeypatch, trouble):
    here = tmp_path / 'here'
    small.write(here, small.prepare(tmp_path / 'data'))
    said = 'No space left on device'
    if trouble == 'file':
        folder.write_text('no folder')
        said = 'Not a directory'
    elif trouble == 'read only':

        def refused(*_, **__):
            raise PermissionError(errno.EACCES, 'Permission denied')

        monkeypatch.setattr(pathlib.Path, 'mkdir', refused)
        said = 'Permission denied'
    else:
        monkeypatch.setattr(cache_module.shutil, 'copyfileobj', no_room)
    files = RecordFiles(here / 'clips', ['x'], [1], remedy='again', cache=str(folder))
    (here / 'clips' / 'x').write_text('never looked at')
    said = rf'^cache: {folder}: {said}; allowed is a writable folder with room$'
    for use in (
        lambda: files[0],
        lambda: JsonLines(here / 'songs.jsonl', '', remedy='again', cache=str(folder)),
        lambda: read_text(here / 'text.safetensors', OF, remedy='again', cache=str(folder)),
        lambda: Latents(here, cache=str(folder)),
    ):
        with pytest.raises(BadInput, match=said):
            use()
    assert trouble == 'file' or not folder.exists() or not list(folder.iterdir())


def test_a_damaged_copy_is_made_again_and_a_damaged_source_is_named(tmp_path, folder):
    records = [os.urandom(5000) for _ in range(3)]
    path = epath.Path(tmp_path / 'a')
    write_records(path, records)
    opened = RecordFiles(tmp_path, ['a'], [3], remedy='do it again', cache=str(folder))
    assert list(opened) == records
    copy = local(path, str(folder))
    copy.write_bytes(bytes(copy.stat().st_size))
    files = RecordFiles(tmp_path, ['a'], [3], remedy='do it again', cache=str(folder))
    assert list(files) == records
    path.write_bytes(bytes(path.stat().length))
    files = RecordFiles(tmp_path, ['a'], [3], remedy='do it again', cache=str(folder))
    said = rf'^{path}: cut off or damaged \(.*\), and so is its new copy {folder}/\w+-a; delete it'
    with pytest.raises(BadInput, match=said):
        files[0]


def test_another_number_of_records_is_damage(tmp_path):
    write_records(epath.Path(tmp_path / 'a'), [b'one', b'two'])
    with pytest.raises(BadInput, match=r'a: cut off or damaged \(2 records of 3\); delete it and'):
        RecordFiles(tmp_path, ['a'], [3], remedy='do it again')[0]


def test_a_disk_that_loses_bytes_is_told(tmp_path, monkeypatch):
    class Loses:
        def __init__(self, path, options):
            self._path = pathlib.Path(path)

        def write(self, record):
            self._path.write_bytes(record[:10])

        def close(self):
            pass

    monkeypatch.setattr(record_files, 'ArrayRecordWriter', Loses)
    with pytest.raises(OSError, match='a: not all was written; is the disk full'):
        write_records(epath.Path(tmp_path / 'a'), [bytes(1000)])
    assert not (tmp_path / 'a').exists()
