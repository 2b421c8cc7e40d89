"""Preparation: complete, the same every time, and able to go on after a kill."""

import dataclasses
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from etils import epath

from data_pipeline import phase_vocoder, songs, versions
from data_pipeline.beam import here, on_beam
from data_pipeline.dataset import SPLITS
from data_pipeline.folders import LOCK, alone_in
from data_pipeline.prepare import Preparation, prepare
from data_pipeline.prompts import PromptStyle
from data_pipeline.records import Prepared
from data_pipeline.sources.stems import Stems
from data_pipeline.versions import Version
from jen1composer.errors import BadInput
from jen1composer.tracks import TRACKS
from tests.data_pipeline.conftest import write_stems

ROOT = pathlib.Path(__file__).parents[2]
KILLS = int(os.environ.get('KILLS', '2'))  # KILLS=10 takes about three minutes
UNMEASURED = Preparation(measure=False)  # Sine waves have no tempo, and it takes its time.


def content(folder: epath.PathLike) -> dict[str, bytes]:
    """Every file below a folder."""
    folder = pathlib.Path(folder)
    files = (path for path in folder.rglob('*') if path.is_file() and path.name != LOCK)
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def ready(music: pathlib.Path, out: pathlib.Path, how: Preparation = UNMEASURED, **options):
    return prepare(Stems(folder=str(music)), out, how=how, **options)


@pytest.fixture(scope='module')
def music(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    return write_stems(tmp_path_factory.mktemp('music'), 6)


@pytest.fixture(scope='module')
def prepared(music: pathlib.Path, tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    """Of six songs."""
    return ready(music, tmp_path_factory.mktemp('prepared') / 'out')


def test_every_song_is_there_as_it_was(music: pathlib.Path, prepared: Prepared):
    assert [len(prepared.songs(split)) for split in SPLITS] == [4, 1, 1]
    assert prepared.manifest.summary['songs'] == 6
    for song in prepared.songs():
        assert set(song.active.values()) == {1.0}
        assert song.beats_s == song.measured == ()
        material = Stems(folder=str(music)).load(
            next(e for e in Stems(folder=str(music)).entries(None) if e.id == song.id)
        )
        heard = prepared.read(song, 0, song.num_samples)
        np.testing.assert_allclose(heard, material.stems, atol=0.5 / 32768)


@pytest.mark.parametrize('num_workers', [1, 2])
def test_beam_makes_the_same_and_shows_how_far_it_is(
    music: pathlib.Path, prepared: Prepared, tmp_path: pathlib.Path, num_workers: int
):
    seen: dict[str, int] = {}

    def progress(counts, description, total):
        seen[description] = total
        assert all(0 <= done <= total for done in counts)

    out = tmp_path / 'out'
    run = on_beam(out / 'work', options=here(num_workers), progress=progress)
    ready(music, out, run=run)
    assert content(out) == content(prepared.folder)
    assert seen == {'songs': 6, 'shards': 3}


def test_whole_songs_are_kept_and_changed_ones_made_again(tmp_path: pathlib.Path):
    music, out = write_stems(tmp_path / 'music', 3), tmp_path / 'out'
    first = ready(music, out)
    keys = {song.id: song.key for song in first.songs()}
    times = {path: path.stat().st_mtime_ns for path in out.glob('songs/*/*/song.json')}
    (music / 's1/bass.wav').write_bytes((music / 's2/bass.wav').read_bytes())
    second = ready(music, out)
    assert all(path.stat().st_mtime_ns == made for path, made in times.items())
    changed = {song.id for song in second.songs() if song.key != keys[song.id]}
    assert changed == {'s1'}
    assert first.fingerprint != second.fingerprint
    assert first.manifest.read_sha256 != second.manifest.read_sha256
    assert first.manifest.settings_sha256 == second.manifest.settings_sha256


@pytest.mark.slow
@pytest.mark.parametrize('seed', range(KILLS))
def test_a_killed_run_goes_on_and_ends_the_same(tmp_path: pathlib.Path, seed: int):
    """Killed at a random moment between its first song and its end."""
    music = write_stems(tmp_path / 'music', 12, duration_s=20.0, rate=44_100)
    out, undisturbed = tmp_path / 'out', tmp_path / 'undisturbed'
    command = [sys.executable, '-m', 'launch.prepare_data', f'--source=stems:{music}']
    command += [f'--out={out}', '--workers=2', '--config.measure=False']
    process = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.DEVNULL, start_new_session=True)
    give_up = time.monotonic() + 120
    while not list(out.glob('songs/*/*/song.json')) and time.monotonic() < give_up:
        time.sleep(0.002)
    time.sleep(np.random.default_rng(seed).uniform(0, 3))
    os.killpg(process.pid, signal.SIGKILL)
    process.wait(timeout=10)
    kept = {path: path.stat().st_mtime_ns for path in out.glob('songs/*/*/song.json')}
    assert kept
    if not (out / 'manifest.json').exists():
        with pytest.raises(BadInput):
            Prepared(out)
    ready(music, out)
    ready(music, undisturbed)
    assert content(out) == content(undisturbed)
    assert all(path.stat().st_mtime_ns == made for path, made in kept.items())


def test_broken_songs_are_quarantined_up_to_a_limit(tmp_path: pathlib.Path):
    music, out = write_stems(tmp_path / 'music', 6), tmp_path / 'out'
    cut = music / 's3/vocals.wav'
    cut.write_bytes(cut.read_bytes()[:5000])
    prepared = ready(music, out)
    assert len(prepared.songs()) == 5
    assert all(prepared.songs(split) for split in SPLITS)
    (broken,) = prepared.manifest.quarantined
    assert broken['file'] == str(music / 's3')
    assert 'vocals.wav: cut off' in broken['reason']
    strict = dataclasses.replace(UNMEASURED, max_broken=0.1)
    with pytest.raises(BadInput, match=r'1 of 6 songs are broken, allowed is 10%.*vocals\.wav'):
        ready(music, tmp_path / 'strict', strict)
    assert not (tmp_path / 'strict/manifest.json').exists()


@pytest.mark.parametrize(
    ('module', 'name', 'value', 'changed'),
    [
        (songs, 'FLAC_LEVEL', 0.25, {'', 's0.9'}),
        (phase_vocoder, 'SIZE', 1024, {'s0.9'}),
        (versions, 'KEY_TOLERANCE', 0.1, {'s0.9'}),
    ],
)
def test_what_shapes_a_song_or_a_version_is_in_its_key(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, module, name, value, changed
):
    music = write_stems(tmp_path / 'music', 1)
    how = dataclasses.replace(UNMEASURED, versions=(Version(speed=0.9),))
    before = {song.version: song.key for song in ready(music, tmp_path / 'out', how).songs()}
    assert set(before) == {'', 's0.9'}
    monkeypatch.setattr(module, name, value)
    after = {song.version: song.key for song in ready(music, tmp_path / 'out', how).songs()}
    assert {version for version in before if before[version] != after[version]} == changed


def test_captions_win_and_the_others_get_several_prompts(tmp_path: pathlib.Path):
    music = write_stems(tmp_path / 'music', 3)
    (music / 's1/prompt.txt').write_text('slow blues\na lonely guitar\n')
    style = PromptStyle(per_song=3, dropout=0.5)
    how = dataclasses.replace(UNMEASURED, prompts=style)
    by_id = {song.id: song for song in ready(music, tmp_path / 'out', how).songs()}
    assert by_id['s1'].prompts == ('slow blues', 'a lonely guitar')
    assert 1 <= len(by_id['s0'].prompts) <= 3
    assert all('piano' in prompt for prompt in by_id['s0'].prompts[:1])


def test_versions_are_of_training_songs_and_lie_beside_them(tmp_path: pathlib.Path):
    music = write_stems(tmp_path / 'music', 3)
    for k in range(3):
        (music / f's{k}/prompt.txt').write_text('a slow song in C')
    how = dataclasses.replace(UNMEASURED, versions=(Version(speed=0.9), Version(speed=1.1)))
    prepared = ready(music, tmp_path / 'out', how)
    by_split = {split: prepared.songs(split) for split in SPLITS}
    assert [len(by_split[split]) for split in SPLITS] == [3, 1, 1]
    plain, *varied = by_split['train']
    assert plain.version == ''
    assert [song.version for song in varied] == sorted(v.name for v in how.versions)
    for song in varied:
        speed = 0.9 if '0.9' in song.version else 1.1
        assert song.num_samples == pytest.approx(plain.num_samples / speed, abs=2)
        assert song.id.startswith(plain.id)
        assert plain.prompts == ('a slow song in C',)  # Which a version is not.
        assert 'a slow song in C' not in song.prompts
    assert prepared.manifest.summary['versions'] == 2


def test_what_the_source_does_not_know_is_heard(tmp_path: pathlib.Path):
    music = write_stems(tmp_path / 'music', 1, duration_s=12.0)
    clicks = np.zeros(12 * 48_000, np.float32)
    noise = np.random.default_rng(0).uniform(-0.5, 0.5, 2000).astype(np.float32)
    for start in range(0, len(clicks), 24_000):  # 120 bpm
        clicks[start : start + 2000] = noise
    import soundfile

    soundfile.write(music / 's0/drums.wav', clicks, 48_000)
    (song,) = ready(music, tmp_path / 'out', Preparation()).songs()
    assert {'bpm', 'beats_s', 'chords'} <= set(song.measured)
    assert song.chords[0][0] == 0
    assert song.tags['bpm'] == pytest.approx(120, rel=0.03)
    assert len(song.beats_s) > 15


def test_some_songs_are_in_the_splits_that_they_have_among_all(
    music: pathlib.Path, prepared: Prepared, tmp_path: pathlib.Path
):
    splits = {song.id: song.split for song in prepared.songs()}
    for number, one in enumerate(splits):
        (song,) = ready(music, tmp_path / str(number), only=[one]).songs()
        assert (song.id, song.split) == (one, splits[one])
    with pytest.raises(BadInput, match='--only=nobody: no such song'):
        ready(music, tmp_path / 'none', only=['nobody'])


def test_foreign_folders_are_left_alone(music: pathlib.Path, tmp_path: pathlib.Path):
    (tmp_path / 'thesis.txt').write_text('years of work')
    with pytest.raises(BadInput, match=r'thesis\.txt'):
        ready(music, tmp_path)
    for path in (tmp_path / 'thesis.txt', tmp_path / 'thesis.txt/below'):
        with pytest.raises(BadInput, match='cannot be made'):
            ready(music, path)
    thesis = tmp_path / 'mine' / 'work' / 'thesis.txt'
    thesis.parent.mkdir(parents=True)
    thesis.write_text('years of work')
    with pytest.raises(BadInput, match="holds 'work'"):
        ready(music, tmp_path / 'mine')
    assert thesis.exists()
    out = tmp_path / 'out'
    ready(music, out, num_songs=1)
    path = out / 'origin.json'
    path.write_text(json.dumps(json.loads(path.read_text()) | {'folder': '/other'}))
    with pytest.raises(BadInput, match='prepared from stems /other, not stems /'):
        ready(music, out)
    path.write_text('{')
    with pytest.raises(BadInput, match=r'origin\.json: damaged'):
        ready(music, out)


def test_a_folder_within_the_source_or_with_a_pattern_in_its_name_is_refused(
    music: pathlib.Path, tmp_path: pathlib.Path
):
    for out in (music / 'out', music.parent):
        with pytest.raises(BadInput, match='lies in or around the source'):
            ready(music, out)
    with pytest.raises(BadInput, match='which are patterns'):
        ready(music, tmp_path / 'take[1]')


def test_two_runs_into_one_folder_are_refused(music: pathlib.Path, tmp_path: pathlib.Path):
    out = epath.Path(tmp_path / 'out')
    ready(music, out, num_songs=1)
    with alone_in(out), pytest.raises(BadInput, match='another run is filling it'):
        ready(music, out)
    ready(music, out, num_songs=1)


@pytest.mark.parametrize('damage', ['cut', 'gone', 'metadata'])
def test_damaged_records_are_mended_by_preparing_again(
    music: pathlib.Path, tmp_path: pathlib.Path, damage: str
):
    fingerprint = ready(music, tmp_path / 'out').fingerprint
    (shard,) = tmp_path.rglob('*train.array_record*')
    whole = shard.read_bytes()
    match damage:
        case 'cut':
            shard.write_bytes(whole[:-100])
        case 'gone':
            shard.unlink()
        case 'metadata':
            (shard.parent / 'dataset_info.json').write_text('{')
    with pytest.raises(BadInput, match='prepare the data again'):
        Prepared(tmp_path / 'out')
    assert ready(music, tmp_path / 'out').fingerprint == fingerprint
    assert shard.read_bytes() == whole


def test_a_refused_run_leaves_what_was_there(tmp_path: pathlib.Path):
    music, out = write_stems(tmp_path / 'music', 3), tmp_path / 'out'
    fingerprint = ready(music, out).fingerprint
    for k in range(3):
        (music / f's{k}/bass.wav').write_bytes(b'broken')
    with pytest.raises(BadInput, match=r'3 of 3 songs are broken.*all are in .*broken\.json'):
        ready(music, out)
    assert len(json.loads((out / 'broken.json').read_text())) == 3
    assert Prepared(out).fingerprint == fingerprint
    lenient = dataclasses.replace(UNMEASURED, max_broken=1.0)
    with pytest.raises(BadInput, match='all songs are broken'):
        ready(music, out, lenient)


def test_other_settings_make_other_songs(music: pathlib.Path, tmp_path: pathlib.Path):
    rules = (('bass', 'drums'), ('', 'instrument'))
    one = ready(music, tmp_path / 'one', num_songs=1).songs()[0]
    other = prepare(
        Stems(folder=str(music), rules=rules), tmp_path / 'one', how=UNMEASURED, num_songs=1
    ).songs()[0]
    assert one.key != other.key
    assert other.active['bass'] == 0


def test_a_source_without_songs_is_refused(tmp_path: pathlib.Path):
    (tmp_path / 'empty').mkdir()
    with pytest.raises(BadInput, match='no songs'):
        ready(tmp_path / 'empty', tmp_path / 'out')


def test_files_left_aside_are_no_strangers_and_are_swept(
    music: pathlib.Path, tmp_path: pathlib.Path
):
    """A run that was killed while it wrote."""
    ready(music, tmp_path, num_songs=1)
    (tmp_path / 'songs/ab/abc.9999999-3.aside').mkdir(parents=True)
    for name in ('manifest.json.9999999-3.aside', 'songs/ab/abc.9999999-3.aside/bass.flac'):
        (tmp_path / name).write_text('{')
    (tmp_path / 'tfds/prepared_songs/incomplete.ABC123_1.0.0').mkdir(parents=True)
    ready(music, tmp_path, num_songs=1)
    assert not list(tmp_path.rglob('*.aside'))
    assert not list(tmp_path.rglob('*incomplete*'))


def test_a_copy_of_a_song_is_left_out(tmp_path: pathlib.Path):
    music = write_stems(tmp_path / 'music', 5)
    shutil.copytree(music / 's2', music / 'copy of s2')
    strict = dataclasses.replace(UNMEASURED, max_broken=0.0)
    prepared = ready(music, tmp_path / 'out', strict)
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
    prepared = ready(music, tmp_path / 'out')
    assert sorted(song.title for song in prepared.songs()) == ['caf\ufffd', 's3', 's4', 'x' * 250]
    (broken,) = prepared.manifest.quarantined
    assert broken['file'] == str(music / 's2caf?')


def test_a_bucket_holds_what_a_folder_does(
    music: pathlib.Path,
    prepared: Prepared,
    bucket: tuple[str, pathlib.Path],
    tmp_path: pathlib.Path,
):
    address, root = bucket
    ready(music, f'{address}/data')
    assert content(root / 'data') == content(prepared.folder)
    far = Prepared(f'{address}/data', cache=str(tmp_path / 'cache'))
    for near, found in zip(prepared.songs(), far.songs(), strict=True):
        np.testing.assert_array_equal(far.read(found, 100, 9000), prepared.read(near, 100, 9000))
    copied = sorted(path.name[33:] for path in (tmp_path / 'cache').iterdir())
    assert len(copied) == 4  # each shard once, and the list of songs
    assert copied[-1] == 'songs.jsonl'
    again = ready(music, f'{address}/data')
    assert again.fingerprint == far.fingerprint


def test_settings_that_make_no_sense_are_refused():
    for settings in ({'held_out': 0.5}, {'max_broken': 2}, {'versions': (Version(),)}):
        (name,) = settings
        with pytest.raises(BadInput, match=name):
            Preparation(**settings)


def test_tracks_are_those_of_the_house(prepared: Prepared):
    assert prepared.tracks == TRACKS
