"""Folders of stems: roles by the rules of a config, files one folder deep, captions, hashes."""

import os
import pathlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from configs.prepare import get_config
from data_pipeline.sources.source import Material
from data_pipeline.sources.stems import RULES, Stems, checked_rules, track_of
from jen1composer.errors import BadInput
from jen1composer.tracks import TRACKS
from tests.data_pipeline.conftest import RATE, sine, write_stems
from tests.data_pipeline.sources.trees import (
    assert_hash_follows_content,
    assert_sounds,
    by_title,
    refusal,
    write_sound,
)


@pytest.mark.parametrize(
    ('name', 'track'),
    [
        ('Bass', 'bass'),
        ('02_bass_DI', 'bass'),
        ('bass drum', 'drums'),
        ('percussion', 'drums'),
        ('kickdrum', 'drums'),
        ('HandPerc', 'drums'),
        ('perc loop', 'drums'),
        ('PercLoop_2', 'drums'),
        ('Percy', 'instrument'),
        ('superclean guitar', 'instrument'),
        ('SynthLead', 'melody'),
        ('leadguitar', 'melody'),
        ('misleading', 'instrument'),
        ('bassoon', 'instrument'),
        ('lead synth', 'melody'),
        ('Vocals', 'melody'),
        ('voice2', 'melody'),
        ('guitar', 'instrument'),
        ('other', 'instrument'),
        ('mixture', None),
        ('MIX', None),
        ('Song X - Mix', None),
        ('full_mix', None),
        ('FullMix', None),
        ('song-mixdown-2', None),
        ('03 Master', None),
        ('remix guitar', 'instrument'),
        ('masterful piano', 'instrument'),
        ('01', 'instrument'),
    ],
)
def test_roles_by_name(name: str, track: str | None):
    assert track_of(name, RULES, 'x') == track


def test_the_config_has_the_rules_of_the_library():
    assert get_config().roles == RULES


@given(name=st.text(max_size=40))
def test_every_name_has_a_track_by_default(name: str):
    assert track_of(name, RULES, 'x') in (*TRACKS, None)


def test_own_rules_decide_and_a_file_that_none_names_is_refused(tmp_path: pathlib.Path):
    for name in ('gusli', 'buben', 'gusli 2', 'talk'):
        write_sound(tmp_path / 'song' / f'{name}.wav', sine(100, 0.5))
    rules = (('talk', None), ('buben', 'drums'), (r'^gusli$', 'melody'))
    entry = by_title(Stems(folder=str(tmp_path), rules=rules))['song']
    assert {t: len(files) for t, files in entry.files.items()} == {'drums': 1, 'melody': 2}
    source = Stems(folder=str(tmp_path), rules=rules[:2])
    line = refusal(source, by_title(source)['song'])
    assert line.startswith(f'{tmp_path}/song/gusli')
    assert 'no rule of --config.roles names its track' in line
    assert Stems(folder='x', rules=rules).settings != Stems(folder='x').settings


@pytest.mark.parametrize(
    ('rules', 'why'),
    [
        ((('x', 'sax'),), "('x', 'sax'): unknown track 'sax'; allowed are bass, drums, "),
        ((('(', 'bass'),), 'unterminated subpattern'),
        (((None, 'bass'),), 'None is no text; allowed is a regular expression'),
        ((('x',),), 'allowed are pairs'),
        (('xy',), 'allowed are pairs'),
        ((3,), 'allowed are pairs'),
        ((), 'no rules'),
    ],
)
def test_rules_that_make_no_sense_are_refused(rules, why: str):
    for refuses in (checked_rules, lambda rules: Stems(folder='x', rules=rules)):
        with pytest.raises(BadInput) as error:
            refuses(rules)
        assert str(error.value).startswith('--config.roles: ')
        assert why in str(error.value)
        assert '\n' not in str(error.value)


def test_rules_may_come_as_lists():
    assert checked_rules([['x', None], ['', 'bass']]) == (('x', None), ('', 'bass'))


def load(root: pathlib.Path) -> Material:
    source = Stems(folder=str(root))
    (entry,) = source.entries(None)
    return source.load(entry)


def test_files_of_a_track_add_up_and_the_rest_is_padded(tmp_path: pathlib.Path):
    folder = tmp_path / 'song'
    piano, guitar, bass = sine(440, 1.0), sine(660, 0.5), sine(110, 0.25)
    write_sound(folder / 'piano.wav', piano)
    write_sound(folder / 'guitar.wav', np.stack([guitar, -guitar], 1))
    write_sound(folder / 'bass.wav', bass)
    write_sound(folder / 'mix.wav', sine(880, 3.0))
    material = load(tmp_path)
    wanted = np.zeros((len(TRACKS), RATE, 2), np.float32)
    wanted[0, : len(bass)] = bass[:, None]
    wanted[2] = piano[:, None]
    wanted[2, : len(guitar)] += guitar[:, None] * [1, -1]
    np.testing.assert_allclose(material.stems, wanted, atol=1e-6)
    assert material.tags['gain_db'] == 0
    assert material.tags['instruments'] == {'bass': ['bass'], 'instrument': ['guitar', 'piano']}
    assert not material.captions
    assert material.beats_s is None


def test_folders_inside_count_one_level_deep_and_name_their_files(tmp_path: pathlib.Path):
    write_sound(tmp_path / 'Lied für Ännchen/stems/bass.flac', sine(55, 1.0, 44_100), 44_100)
    write_sound(tmp_path / 'Lied für Ännchen/Drums/kick.wav', sine(110, 0.5))
    write_sound(tmp_path / 'Lied für Ännchen/Drums/snare.wav', sine(220, 0.5))
    write_sound(tmp_path / 'Lied für Ännchen/stems/old/vocals.wav', sine(440, 1.0))
    write_sound(tmp_path / 'Lied für Ännchen/.trash/vocals.wav', sine(440, 1.0))
    source = Stems(folder=str(tmp_path))
    entry = by_title(source)['Lied für Ännchen']
    assert entry.tracks == ('bass', 'drums')
    material = source.load(entry)
    assert_sounds(material, 'bass', sine(55, 1.0))
    assert_sounds(material, 'drums', sine(110, 0.5), sine(220, 0.5))
    assert not material.stems[2:].any()
    assert material.tags['instruments'] == {'bass': ['bass'], 'drums': ['kick', 'snare']}


def test_files_that_belong_to_no_song_are_listed_as_left_out(tmp_path: pathlib.Path):
    write_stems(tmp_path, 1)
    for name in ('b.wav', 'a.wav', '.c.wav', 's0/stems/old/bass.wav', 's0/stems/.old/bass.wav'):
        write_sound(tmp_path / name, sine(100, 0.5))
    (tmp_path / 'notes.txt').write_text('no sound')
    source = Stems(folder=str(tmp_path))
    entries = by_title(source)
    assert list(entries) == ['s0', 'a.wav', 'bass.wav']
    assert not entries['s0'].broken
    for title, place in (('a.wav', 'a.wav'), ('bass.wav', 's0/stems/old/bass.wav')):
        assert refusal(source, entries[title]) == (
            f'{tmp_path}/{place}: in no song, as is each sound file beside it; allowed are '
            'DIR/SONG/FILE and DIR/SONG/FOLDER/FILE'
        )
    assert [entry.title for entry in source.entries(1)] == ['s0']


def test_a_link_to_nothing_and_a_pipe_break_their_song(tmp_path: pathlib.Path):
    write_stems(tmp_path, 2)
    (tmp_path / 's0/lead.wav').symlink_to(tmp_path / 'gone.wav')
    os.mkfifo(tmp_path / 's1/lead.wav')
    source = Stems(folder=str(tmp_path))
    for title, why in (
        ('s0', 'missing; needed is the whole song'),
        ('s1', 'is a pipe or a device; allowed is a regular file'),
    ):
        with pytest.raises(BadInput) as error:
            source.sha256(by_title(source)[title])
        assert str(error.value) == f'{tmp_path}/{title}/lead.wav: {why}'
        with pytest.raises(BadInput, match=f'{title}/lead.wav: '):
            source.load(by_title(source)[title])


def test_a_given_prompt_is_used(tmp_path: pathlib.Path):
    write_stems(tmp_path, 1)
    (tmp_path / 's0/prompt.txt').write_text('slow blues\nin E\n')
    assert load(tmp_path).captions == ('slow blues', 'in E')


def test_the_hash_follows_contents_and_names(tmp_path: pathlib.Path):
    write_stems(tmp_path / 'music', 1)
    assert_hash_follows_content(lambda folder: Stems(folder=folder), tmp_path / 'music', 's0')
    folder = tmp_path / 'music/s0'
    source = Stems(folder=str(folder.parent))

    def hashed() -> str:
        return source.sha256(by_title(source)['s0'])

    hashes = [hashed()]
    (folder / 'piano.wav').rename(folder / 'lead.wav')
    hashes.append(hashed())
    (folder / 'prompt.txt').write_text('slow blues')
    hashes.append(hashed())
    (folder / 'notes.pdf').write_text('ignored')
    write_sound(folder / 'mix.wav', sine(100, 0.1))
    assert hashed() == hashes[-1]
    assert len(set(hashes)) == len(hashes)


def test_broken_songs_are_listed_and_refused(tmp_path: pathlib.Path):
    write_stems(tmp_path, 1)
    (tmp_path / 'empty').mkdir()
    write_sound(tmp_path / 'only a mix/mix.wav', sine(100, 0.1))
    write_sound(tmp_path / 'silent/bass.wav', np.zeros(4800, np.float32))
    cut = write_sound(tmp_path / 'cut/bass.wav', sine(100, 0.1))
    cut.write_bytes(cut.read_bytes()[:-50])
    write_sound(tmp_path / 'latin/bass.wav', sine(100, 0.1))
    (tmp_path / 'latin/prompt.txt').write_bytes(b'caf\xe9')
    source = Stems(folder=str(tmp_path))
    entries = by_title(source)
    assert len(entries) == 6
    for title, file, why in (
        ('empty', '', 'no stems; needed is at least one of .wav, .flac'),
        ('only a mix', '', 'no stems'),
        ('silent', '', 'all stems are silent'),
        ('cut', '/bass.wav', 'cut off'),
        ('latin', '/prompt.txt', 'allowed is UTF-8'),
    ):
        line = refusal(source, entries[title])
        assert line.startswith(f'{tmp_path}/{title}{file}: ')
        assert why in line
    assert source.load(entries['s0']).stems.any()


def test_missing_folders_and_songs_are_refused(tmp_path: pathlib.Path):
    with pytest.raises(BadInput, match='no such folder'):
        Stems(folder=str(tmp_path / 'none')).entries(None)
    with pytest.raises(BadInput, match='--songs=3'):
        Stems(folder=str(write_stems(tmp_path, 1))).entries(3)
