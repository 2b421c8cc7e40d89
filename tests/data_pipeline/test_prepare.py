"""Preparation: complete, the same every time, and able to go on after a kill."""

import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import time

import pytest

from data_pipeline.prepare import prepare, split_songs
from data_pipeline.records import SPLITS, Prepared
from data_pipeline.sources.source import Entry
from data_pipeline.sources.stems import Stems
from jen1composer.errors import BadInput
from jen1composer.tracks import TRACKS
from tests.data_pipeline.conftest import write_stems

ROOT = pathlib.Path(__file__).parents[2]


def content(folder: pathlib.Path) -> dict[str, bytes]:
    """Every file below a folder."""
    files = (path for path in folder.rglob('*') if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


@pytest.fixture(scope='module')
def music(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    return write_stems(tmp_path_factory.mktemp('music'), 6)


def test_processes_and_order_change_nothing(music: pathlib.Path, tmp_path: pathlib.Path):
    source = Stems(folder=str(music))
    alone = prepare(source, tmp_path / 'alone', num_workers=0)
    prepare(source, tmp_path / 'two', num_workers=2)
    assert content(tmp_path / 'alone') == content(tmp_path / 'two')
    assert {split: len(alone.songs(split)) for split in SPLITS} == {
        'train': 4,
        'validation': 1,
        'test': 1,
    }
    assert alone.manifest.totals['songs'] == 6
    for song in alone.songs():
        assert set(song.active.values()) == {1.0}


def test_whole_songs_are_kept_and_changed_ones_made_again(tmp_path: pathlib.Path):
    music, out = write_stems(tmp_path / 'music', 3), tmp_path / 'out'
    source = Stems(folder=str(music))
    first = prepare(source, out, num_workers=0)
    times = {path.name: path.stat().st_mtime_ns for path in out.glob('songs/*.array_record')}
    (music / 's1/bass.wav').write_bytes((music / 's2/bass.wav').read_bytes())
    second = prepare(source, out, num_workers=0)
    changed = {name for name, t in times.items() if (out / 'songs' / name).stat().st_mtime_ns != t}
    assert changed == {'s1.array_record'}
    assert first.fingerprint != second.fingerprint


def test_a_killed_run_goes_on_and_ends_the_same(tmp_path: pathlib.Path):
    music = write_stems(tmp_path / 'music', 8, duration_s=20.0, rate=44_100)
    out, undisturbed = tmp_path / 'out', tmp_path / 'undisturbed'
    command = [sys.executable, '-m', 'launch.prepare_data', f'--source=stems:{music}']
    command += [f'--out={out}', '--workers=1']
    process = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE)
    give_up = time.monotonic() + 60
    while len(list(out.glob('songs/*.json'))) < 2 and time.monotonic() < give_up:
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=10)  # The worker holds the pipe: it is closed when that is gone.
    whole = {path.stem for path in out.glob('songs/*.json')}
    assert 2 <= len(whole) < 8
    assert not (out / 'manifest.json').exists()
    with pytest.raises(BadInput):
        Prepared(out)
    kept = {name: (out / f'songs/{name}.json').stat().st_mtime_ns for name in whole}
    prepare(Stems(folder=str(music)), out, num_workers=0)
    prepare(Stems(folder=str(music)), undisturbed, num_workers=0)
    assert content(out) == content(undisturbed)
    assert kept == {name: (out / f'songs/{name}.json').stat().st_mtime_ns for name in whole}


def test_broken_songs_are_quarantined_up_to_a_limit(tmp_path: pathlib.Path):
    music, out = write_stems(tmp_path / 'music', 6), tmp_path / 'out'
    cut = music / 's3/vocals.wav'
    cut.write_bytes(cut.read_bytes()[:5000])
    prepared = prepare(Stems(folder=str(music)), out, num_workers=0)
    assert len(prepared.songs()) == 5
    assert all(prepared.songs(split) for split in SPLITS)
    (broken,) = prepared.manifest.quarantined
    assert broken['file'] == str(music / 's3')
    assert 'vocals.wav: cut off' in broken['reason']
    with pytest.raises(BadInput, match=r'1 of 6 songs are broken, allowed is 10%.*vocals\.wav'):
        prepare(Stems(folder=str(music)), tmp_path / 'strict', num_workers=0, max_broken=0.1)
    assert not (tmp_path / 'strict/manifest.json').exists()


def test_progress_sees_every_song(music: pathlib.Path, tmp_path: pathlib.Path):
    seen = []

    def progress(iterable, description, total):
        seen.append((description, total))
        for item in iterable:
            seen.append(item[0].id)
            yield item

    prepare(Stems(folder=str(music)), tmp_path / 'out', num_workers=0, progress=progress)
    assert seen == [('preparing songs', 6), *(f's{k}' for k in range(6))]


def test_foreign_folders_are_left_alone(music: pathlib.Path, tmp_path: pathlib.Path):
    source = Stems(folder=str(music))
    (tmp_path / 'thesis.txt').write_text('years of work')
    with pytest.raises(BadInput, match=r'thesis\.txt'):
        prepare(source, tmp_path, num_workers=0)
    for path in (tmp_path / 'thesis.txt', tmp_path / 'thesis.txt/below'):
        with pytest.raises(BadInput, match='cannot be made'):
            prepare(source, path, num_workers=0)
    with pytest.raises(BadInput, match='allowed is a local folder'):
        prepare(source, 'gs://bucket/data', num_workers=0)
    out = tmp_path / 'out'
    prepare(source, out, num_songs=1, num_workers=0)
    path = out / 'manifest.json'
    path.write_text(json.dumps(json.loads(path.read_text()) | {'source': 'other'}))
    with pytest.raises(BadInput, match='prepared from other, not stems'):
        prepare(source, out, num_workers=0)


def test_a_source_without_songs_is_refused(tmp_path: pathlib.Path):
    (tmp_path / 'empty').mkdir()
    with pytest.raises(BadInput, match='no songs'):
        prepare(Stems(folder=str(tmp_path / 'empty')), tmp_path / 'out', num_workers=0)


def entries(num_full: int, num_partial: int) -> list[Entry]:
    return [
        Entry(id=f'song-{k}', title='', where='', tracks=TRACKS[: 4 - (k >= num_full)])
        for k in range(num_full + num_partial)
    ]


@pytest.mark.parametrize('num_songs', range(1, 30))
def test_splits_cover_all_songs_once(num_songs: int):
    splits = split_songs(entries(num_songs, 0))
    counts = [list(splits.values()).count(split) for split in SPLITS]
    assert sum(counts) == num_songs
    assert counts[1] == counts[2] == (max(1, round(num_songs / 6)) if num_songs >= 3 else 0)
    assert splits == split_songs(entries(num_songs, 0)[::-1])


def test_held_out_songs_have_all_tracks():
    splits = split_songs(entries(4, 8))
    assert {splits[f'song-{k}'] for k in range(4)} == {'validation', 'test'}


def test_files_left_aside_are_no_strangers_and_are_swept(
    music: pathlib.Path, tmp_path: pathlib.Path
):
    """A run that was killed while it wrote its last file."""
    (tmp_path / 'songs').mkdir()
    for name in ('manifest.json.123.aside', 'songs/s1.json.123.aside'):
        (tmp_path / name).write_text('{')
    prepare(Stems(folder=str(music)), tmp_path, num_songs=1, num_workers=0)
    assert not list(tmp_path.rglob('*.aside'))


def test_a_copy_of_a_song_is_left_out(tmp_path: pathlib.Path):
    music = write_stems(tmp_path / 'music', 5)
    shutil.copytree(music / 's2', music / 'copy of s2')
    prepared = prepare(Stems(folder=str(music)), tmp_path / 'out', num_workers=0, max_broken=0)
    hashes = [song.audio_sha256 for song in prepared.songs()]
    assert len(set(hashes)) == len(hashes) == 5
    (copy,) = prepared.manifest.quarantined
    assert copy['file'] == str(music / 's2')
    assert 'sounds exactly like' in copy['reason']
    assert 'copy of s2' in copy['reason']


def test_names_that_are_no_text_or_very_long(tmp_path: pathlib.Path):
    music = write_stems(tmp_path / 'music', 5)
    latin = os.fsdecode(b'caf\xe9')
    (music / 's0').rename(music / latin)
    (music / latin / 'piano.wav').rename(music / latin / f'{latin}.wav')
    (music / 's1').rename(music / ('x' * 250))
    (music / 's2').rename(music / f's2{latin}')
    (music / f's2{latin}' / 'bass.wav').write_bytes(b'broken')
    prepared = prepare(Stems(folder=str(music)), tmp_path / 'out', num_workers=1)
    assert sorted(song.title for song in prepared.songs()) == ['caf\ufffd', 's3', 's4', 'x' * 250]
    (broken,) = prepared.manifest.quarantined
    assert broken['file'] == str(music / 's2caf?')


class Deadly(Stems):
    """A source that kills the process that loads from it, as a lack of memory does."""

    def load(self, entry: Entry):
        os.kill(os.getpid(), signal.SIGKILL)


def test_a_killed_worker_is_one_line(music: pathlib.Path, tmp_path: pathlib.Path):
    with pytest.raises(BadInput, match='--workers=1: one of them was killed'):
        prepare(Deadly(folder=str(music)), tmp_path / 'out', num_workers=1)
