"""A session's lanes as a table for people."""

import json
from collections.abc import Mapping
from typing import Any

HEAD = ('lane', 'kept', 'take', 'how', 'seed', 'rms dB', 'peak', 'mix', 'takes', 'beware')


def table(said: Mapping[str, Any]) -> str:
    """What `session_to_json` said, one line a lane below one about the piece."""
    words = json.dumps(said['words'], ensure_ascii=False) if said['words'] else 'no prompt'
    moves = [name for name in ('undo', 'redo') if said[f'can_{name}']]
    about = [f'{said["seconds"]:g} s', words, *([f'can {" and ".join(moves)}'] if moves else [])]
    rows = [HEAD, *(_row(lane) for lane in said['lanes'])]
    widths = [max(len(row[k]) for row in rows) for k in range(len(HEAD))]
    lines = ('  '.join(map(str.ljust, row, widths)).rstrip() for row in rows)
    return '\n'.join([', '.join(about), *lines])


def _row(lane: Mapping[str, Any]) -> tuple[str, ...]:
    take = next((take for take in lane['takes'] if take['id'] == lane['take']), None)
    mix = [word for word, on in (('muted', lane['muted']), ('solo', lane['solo'])) if on]
    if lane['gain_db']:
        mix.insert(0, f'{lane["gain_db"]:+g} dB')
    kept = 'kept' if lane['kept'] else ''
    number = str(len(lane['takes']) or '')
    if take is None:
        return lane['track'], kept, '-', '', '', '', '', ' '.join(mix), number, ''
    return (
        lane['track'],
        kept,
        take['id'][:8],
        take['how'],
        '' if take['seed'] is None else str(take['seed']),
        '' if take['rms_db'] is None else f'{take["rms_db"]:.1f}',
        '' if take['peak'] is None else f'{take["peak"]:.3f}',
        ' '.join(mix),
        number,
        ', '.join(take['warnings']),
    )
