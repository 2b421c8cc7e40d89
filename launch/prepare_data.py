"""Turns music into a folder of prepared songs, or says what such a folder holds.

Example:

    python -m launch.prepare_data --source=freedoom --songs=12 --out=/tmp/data
    python -m launch.prepare_data --source=stems:/music/my_songs --out=/tmp/data
    python -m launch.prepare_data --describe=/tmp/data

Songs are aligned stems, one for each track, split into train, validation and test. Where they come
from:

    freedoom        the soundtrack of Freedoom, rendered from files that are downloaded once
    stems:DIR       a folder of songs, each a folder of sound files; a name says its track
    midi:DIR        MIDI files, rendered
    slakh:DIR       Slakh2100
    musdb:DIR       MUSDB18-HQ, or MUSDB18 with its .stem.mp4 files
    moisesdb:DIR    MoisesDB

How they are prepared stands in a config, configs/prepare.py; any value of it can be set, such as
--config.measure=False. A run that was stopped goes on where it was.

The work is an Apache Beam pipeline, here in threads. On a cluster every worker must see the
folders:

    python -m launch.prepare_data --source=slakh:/mnt/slakh --out=/mnt/data \\
        --beam=--runner=FlinkRunner --beam=--flink_master=10.0.0.1:8081 --beam=--parallelism=64

--describe prints tables and writes a page with ten windows to hear and see into DIR/description.
"""

import json
import pathlib
from collections.abc import Iterator

from absl import flags

from jen1composer.errors import BadInput
from launch import command

CONFIG = command.define_config(
    'config', str(pathlib.Path(__file__).parents[1] / 'configs/prepare.py'), 'How to prepare.'
)
SOURCE = flags.DEFINE_string('source', None, 'Where the songs come from, see above.')
OUT = flags.DEFINE_string('out', None, 'The folder to fill; with --describe, where the page goes.')
SONGS = flags.DEFINE_integer('songs', None, 'How many songs; by default all.', lower_bound=1)
ONLY = flags.DEFINE_list('only', [], 'Songs to prepare, by id, each in its split among all.')
WORKERS = flags.DEFINE_integer('workers', 2, 'Threads that prepare songs.', lower_bound=1)
BEAM = flags.DEFINE_multi_string('beam', [], 'An option of Apache Beam; replaces --workers.')
MAX_BROKEN = flags.DEFINE_float(
    'max_broken', 0.2, 'The fraction of songs that may be broken.', lower_bound=0, upper_bound=1
)
FONT = flags.DEFINE_string('font', '', 'A SoundFont for midi:DIR, in place of the packaged one.')
DESCRIBE = flags.DEFINE_string('describe', None, 'A prepared folder to describe.')


def main(argv: list[str]) -> None:
    del argv
    source, described, out = SOURCE.value, DESCRIBE.value, OUT.value
    if described is not None and source is None:
        _describe(described, out or f'{described}/description')
    elif source is None or described is not None:
        raise BadInput('--source and --describe: needed is one of them')
    elif out is None:
        raise BadInput('--out: needed is the folder to fill')
    else:
        _prepare(source, command.folder('--out', out))


def _prepare(source: str, out: str) -> None:
    from data_pipeline.beam import here, on_beam
    from data_pipeline.prepare import prepare
    from data_pipeline.sources.catalogue import open_source
    from launch.data_description import describe, tables, terminal
    from launch.preparation_sections import make_preparation, make_roles

    prepared = prepare(
        open_source(source, roles=make_roles(CONFIG.value), font=FONT.value),
        out,
        how=make_preparation(CONFIG.value, max_broken=MAX_BROKEN.value),
        num_songs=SONGS.value,
        only=ONLY.value,
        run=on_beam(f'{out}/work', options=BEAM.value or here(WORKERS.value), progress=_show),
    )
    print(terminal(tables(describe(prepared))))
    manifest = prepared.manifest
    summary = manifest.summary
    print(json.dumps({'out': out, 'fingerprint': manifest.fingerprint, **summary}))


def _describe(folder: str, out: str) -> None:
    from data_pipeline.records import Prepared
    from launch.data_description import describe, tables, terminal, write_page

    prepared = Prepared(folder)
    command.folder('--out', out)
    print(terminal(tables(describe(prepared))))
    page = write_page(prepared, out)
    print(json.dumps({'page': str(page), 'json': str(page.parent / 'description.json')}))


def _show(counts: Iterator[int], description: str, total: int) -> None:
    with command.progress((), description, total=total) as bar:
        for done in counts:
            bar.update(min(done, total) - bar.n)


if __name__ == '__main__':
    command.run(main)
