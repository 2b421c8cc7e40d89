"""A prompt from what is known about a song, the same words for the same song always.

Tags are facts (tempo, key, instruments of each track). From them follow a tempo word, a mood and a
style; the last two are guesses by rule and use only words that the facts carry: guitars that are
distorted make rock or metal, synthesisers electronic music, no drums ambient music. A template is
picked by a hash of the song's id; parts without facts are left out.
"""

import hashlib
from collections.abc import Mapping, Sequence

TEMPO_WORDS = ((70, 'slow'), (95, 'relaxed'), (120, 'mid-tempo'), (150, 'upbeat'), (1e9, 'fast'))

TEMPLATES = (
    '{mood} {style} with {instruments}, {tempo}, {key}',
    '{mood} {style} {key}, {tempo}: {instruments}',
    '{style}, {mood} and {tempo}, {key}, featuring {instruments}',
    '{instruments} playing {mood} {style} {key}, {tempo}',
)
BARE_TEMPLATES = ('music with {instruments}', '{instruments} playing together')

LEADING_TRACKS = ('melody', 'instrument', 'bass', 'drums')
MAX_INSTRUMENTS = {'melody': 1, 'instrument': 2, 'bass': 1, 'drums': 1}


def compose_prompt(song_id: str, tags: Mapping[str, object]) -> str:
    """Writes the prompt.

    Args:
        song_id: chooses the template.
        tags: 'instruments' {track: [name, ...]}, and optionally 'bpm' (float) and 'key' (str).
    """
    instruments = tags.get('instruments')
    by_track: Mapping[str, Sequence[str]] = instruments if isinstance(instruments, Mapping) else {}
    bpm, key = tags.get('bpm'), tags.get('key')
    choice = hashlib.sha256(song_id.encode()).digest()[0]
    words = {'instruments': listed(leading_instruments(by_track))}
    if not isinstance(bpm, float):
        return BARE_TEMPLATES[choice % len(BARE_TEMPLATES)].format(**words)
    words['tempo'] = f'{tempo_word(bpm)} at {bpm:.0f} bpm'
    words['mood'] = mood_word(bpm, str(key))
    words['style'] = style_word(bpm, by_track)
    words['key'] = f'in {key}' if key else 'without a clear key'
    return TEMPLATES[choice % len(TEMPLATES)].format(**words)


def leading_instruments(by_track: Mapping[str, Sequence[str]]) -> list[str]:
    """The most heard instruments, leads first, no name twice."""
    names = [
        name
        for track in LEADING_TRACKS
        for name in by_track.get(track, ())[: MAX_INSTRUMENTS[track]]
    ]
    return list(dict.fromkeys(names))


def listed(names: Sequence[str]) -> str:
    """'a', 'a and b', 'a, b and c'."""
    if not names:
        return 'no named instrument'
    return ' and '.join(filter(None, (', '.join(names[:-1]), names[-1])))


def tempo_word(bpm: float) -> str:
    """One word for a tempo in beats a minute."""
    return next(word for limit, word in TEMPO_WORDS if bpm < limit)


def mood_word(bpm: float, key: str) -> str:
    """A guess from mode and tempo."""
    fast = bpm >= 120
    if key.endswith('minor'):
        return 'dark driving' if fast else 'brooding'
    return 'bright energetic' if fast else 'calm'


def style_word(bpm: float, by_track: Mapping[str, Sequence[str]]) -> str:
    """A guess from the instruments that are heard most."""
    heard = [name for names in by_track.values() for name in names[:2]]
    if 'drums' not in by_track:
        return 'ambient music'
    if any('distorted' in name or 'overdriven' in name for name in heard):
        return 'metal' if bpm >= 130 else 'rock'
    if sum(any(word in name for word in ('synth', 'lead', 'pad')) for name in heard) >= 2:
        return 'electronic music'
    if any('strings' in name or 'brass' in name or 'choir' in name for name in heard):
        return 'orchestral music'
    return 'instrumental music'
