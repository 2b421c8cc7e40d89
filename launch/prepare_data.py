"""Turns music into a folder of prepared songs: four aligned stems each, split by song.

Example:

    python -m launch.prepare_data --source=freedoom --songs=12 --out=/tmp/data
    python -m launch.prepare_data --source=stems:/music/my_songs --out=/tmp/data

Sources; how each is laid out and becomes tracks is told in data_pipeline/sources:

    freedoom      the soundtrack of Freedoom, rendered from files that are downloaded once
    stems:DIR     a folder of songs, each a folder of sound files; a file's name says its track
    midi:DIR      the MIDI files in a folder and below, rendered
    slakh:DIR     Slakh2100
    musdb:DIR     MUSDB18-HQ, or MUSDB18 with the extra jen1composer[video]
    moisesdb:DIR  MoisesDB

A run that was stopped goes on where it was.
"""

import json
from typing import TYPE_CHECKING

from absl import flags

from launch import command

if TYPE_CHECKING:
    from data_pipeline.records import Prepared

SOURCE = flags.DEFINE_string(
    'source', None, 'freedoom, or a kind and a folder, such as stems:DIR.', required=True
)
OUT = flags.DEFINE_string('out', None, 'The folder to fill.', required=True)
SONGS = flags.DEFINE_integer('songs', None, 'How many songs; by default all.', lower_bound=1)
WORKERS = flags.DEFINE_integer('workers', 2, 'Processes that prepare songs.', lower_bound=1)
MAX_BROKEN = flags.DEFINE_float(
    'max_broken', 0.2, 'The fraction of songs that may be broken.', lower_bound=0, upper_bound=1
)


def main(argv: list[str]) -> None:
    del argv
    from data_pipeline.prepare import prepare
    from data_pipeline.sources.catalogue import open_source

    prepared = prepare(
        open_source(SOURCE.value),
        OUT.value,
        num_songs=SONGS.value,
        num_workers=WORKERS.value,
        max_broken=MAX_BROKEN.value,
        progress=command.progress,
    )
    print(table(prepared))
    manifest = prepared.manifest
    print(json.dumps({'out': OUT.value, 'fingerprint': manifest.fingerprint, **manifest.totals}))


def table(prepared: 'Prepared') -> str:
    """The songs by split: length, level of each stem and prompt; then what was left out."""
    from data_pipeline.records import SPLITS

    lines = [f'{"song":24}{"split":12}{"s":>6}' + ''.join(f'{t:>12}' for t in prepared.tracks)]
    for split in SPLITS:
        for song in prepared.songs(split):
            levels = ''.join(f'{song.rms_db[track]:9.1f} dB' for track in prepared.tracks)
            lines.append(
                f'{song.id:24.24}{split:12}{song.duration_s:6.0f}{levels}  {song.prompts[0]}'
            )
    for broken in prepared.manifest.quarantined:
        lines.append(f'left out: {broken["reason"]}')
    totals = prepared.manifest.totals
    lines.append(
        f'{totals["songs"]} songs, {totals["seconds"] / 60:.1f} minutes, '
        f'{totals["bytes"] / 1e9:.2f} GB in {prepared.folder}'
    )
    return '\n'.join(lines)


if __name__ == '__main__':
    command.run(main)
