"""Which source a `--source=` names."""

import pathlib

import pytest

from data_pipeline.sources.catalogue import open_source
from data_pipeline.sources.freedoom import Freedoom
from data_pipeline.sources.midi_folder import MidiFolder
from data_pipeline.sources.moisesdb import Moisesdb
from data_pipeline.sources.musdb import Musdb
from data_pipeline.sources.slakh import Slakh
from data_pipeline.sources.stems import Stems
from jen1composer.errors import BadInput

KINDS = {
    'stems': Stems,
    'midi': MidiFolder,
    'slakh': Slakh,
    'musdb': Musdb,
    'moisesdb': Moisesdb,
}


@pytest.mark.parametrize('kind', KINDS)
def test_every_kind_of_folder(kind: str, tmp_path: pathlib.Path):
    folder = tmp_path / 'a:b'  # Only the first colon divides.
    with pytest.raises(BadInput, match=f'--source={kind}:{folder}: no such folder'):
        open_source(f'{kind}:{folder}')
    folder.mkdir()
    source = open_source(f'{kind}:{folder}')
    assert type(source) is KINDS[kind]
    assert source.name == kind
    assert source.folder == str(folder)


def test_the_embedded_one_and_what_is_handed_on(tmp_path: pathlib.Path, font: bytes):
    assert isinstance(open_source('freedoom'), Freedoom)
    stems = open_source(f'stems:{tmp_path}', roles=((r'', 'bass'),))
    assert stems.rules == ((r'', 'bass'),)
    with pytest.raises(BadInput, match=r'--config\.roles: .*unknown track'):
        open_source(f'stems:{tmp_path}', roles=((r'', 'sax'),))
    path = tmp_path / 'x.sf2'
    with pytest.raises(BadInput, match=f'--font={path}'):
        open_source(f'midi:{tmp_path}', font=str(path))
    path.write_bytes(font)
    assert open_source(f'midi:{tmp_path}', font=str(path)) == open_source(f'midi:{tmp_path}')


@pytest.mark.parametrize('spec', ['', 'lakh:x', 'stems', 'stems:', 'freedoom:x', ':x', 'Slakh:x'])
def test_others_are_refused(spec: str):
    with pytest.raises(BadInput) as error:
        open_source(spec)
    assert str(error.value) == (
        f'--source={spec}: unknown; allowed are freedoom, stems:DIR, midi:DIR, slakh:DIR, '
        'musdb:DIR, moisesdb:DIR'
    )
