"""Prompts from what is known about a song: several ways to say it, the same for a song always.

1. Facts come from the tags: mood, style, key, tempo and the instruments that lead. Where the tags
   state no mood or genre, a guess by rule stands in, which uses only what the other facts carry:
   guitars that are distorted make rock or metal, synthesisers electronic music, a minor key and a
   high tempo something driving. What is neither stated nor guessed is left out.
2. A prompt is a template of segments, and a segment vanishes with the fact that it is about. The
   first prompt of a song tells all its facts. Each other one leaves out every fact, and every
   single instrument, with the odds `dropout`: short prompts are learnt as well as full ones.
3. Prompt n draws its template, and what it leaves out, from a counter-based generator keyed by a
   hash of the song's id and n. So the words depend neither on the process nor on other songs, and
   with more prompts the first ones stay.
4. Where a person described the song, the captions are its prompts and nothing is composed.
"""

import hashlib
import math
import string
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from data_pipeline.sources.general_midi import PROGRAMS
from jen1composer.errors import require

MAX_PER_SONG = 64

# Segments between bars; and the facts without which a template is not chosen.
TEMPLATES = (
    ('{mood} |{style}| in {key}| at a {pace} {bpm} bpm| with {instruments}', ()),
    ('{mood} |{style}| with {instruments}|, in {key}|, at a {pace} {bpm} bpm', ()),
    ('{pace} |{mood} |{style}| in {key}| at {bpm} bpm|, featuring {instruments}', ()),
    (
        '{instruments} playing |{pace} |{mood} |{style}| in {key}|, {bpm} bpm',
        ('instruments', 'style'),
    ),
    ('{mood} |{style}|, {key}|, {bpm} bpm|, {pace}|, {names}', ()),
)
ANY_STYLE = 'music'
TOLD_BY = {'tempo': ('pace', 'bpm')}  # The other facts are one field of a template each.
DROPPED_WHOLE = ('mood', 'style', 'key', 'tempo')  # Instruments are dropped one by one.

TEMPO_WORDS = ((70, 'slow'), (95, 'relaxed'), (120, 'mid-tempo'), (150, 'brisk'), (1e9, 'fast'))

LEADING_TRACKS = ('melody', 'instrument', 'bass', 'drums')
MAX_INSTRUMENTS = {'melody': 1, 'instrument': 2, 'bass': 1, 'drums': 1}
SOUND_EFFECTS = PROGRAMS[119:]
WITH_ARTICLE = (
    'lead',
    'pad',
    'voice',
    'synth',
    'box',
    'hit',
)  # One says 'a warm pad', but 'flute'.

PROPER_NAMES = ('English', 'French', 'Hammond', 'Latin', 'Rhodes', 'Spanish', 'Wurlitzer')
NO_WORDS = ('', 'none', 'unknown', 'other', 'n/a', 'null')
GENRES_THAT_STAND_ALONE = (
    'blues', 'disco', 'drum and bass', 'dubstep', 'edm', 'funk', 'hip hop', 'hip-hop', 'house',
    'jazz', 'metal', 'pop', 'punk', 'r&b', 'rap', 'reggae', 'rock', 'ska', 'soul', 'techno',
    'trance',
)  # fmt: skip
DISTORTED = ('distorted', 'overdriven', 'distortion')
SYNTHETIC = ('synth', 'lead', 'pad')
ORCHESTRAL = ('strings', 'brass', 'choir', 'horn', 'violin', 'viola', 'cello', 'timpani', 'oboe')


@dataclass(frozen=True, kw_only=True)
class PromptStyle:
    """How songs are described.

    Attributes:
        per_song: prompts of a song; fewer where two would be the same.
        dropout: odds that a fact is left out of a prompt other than the first.

    Raises BadInput for a value out of range.
    """

    per_song: int = 4
    dropout: float = 0.3

    def __post_init__(self) -> None:
        allowed = f'is 1 to {MAX_PER_SONG}'
        require(1 <= self.per_song <= MAX_PER_SONG, 'per_song', self.per_song, allowed)
        require(0 <= self.dropout <= 1, 'dropout', self.dropout, 'is 0 to 1')


def song_prompts(
    song_id: str, tags: Mapping[str, object], captions: Sequence[str], style: PromptStyle
) -> tuple[str, ...]:
    """The captions that a person wrote, or else prompts composed from the tags."""
    return tuple(captions) or compose_prompts(song_id, tags, style)


def compose_prompts(
    song_id: str, tags: Mapping[str, object], style: PromptStyle
) -> tuple[str, ...]:
    """Prompts from tags, one or more, no two the same; the first tells all that is known.

    Args:
        song_id: chooses the words, with the number of the prompt.
        tags: 'bpm' (float), 'key' ('F# minor'), 'instruments' {track: [name, ...]}, 'genre' and
            'mood' (a word or several); any may be missing, or be what these are not, and is then
            left out.
        style: how many, and how much they leave out.
    """
    facts, instruments = song_facts(tags), leading_instruments(_by_track(tags))
    prompts = []
    for number in range(style.per_song):
        random = _random(song_id, number)
        choice, *drawn = random.random(1 + len(DROPPED_WHOLE))
        odds = style.dropout if number else 0.0
        dropped = [name for name, d in zip(DROPPED_WHOLE, drawn, strict=True) if d < odds]
        names = [name for name in instruments if random.random() >= odds]
        fields = {field for name in dropped for field in TOLD_BY.get(name, (name,))}
        told = {field: word for field, word in facts.items() if field not in fields}
        if told or names or not number:
            prompts.append(_fill(choice, told, names))
    return tuple(dict.fromkeys(prompts))


def song_facts(tags: Mapping[str, object]) -> dict[str, str]:
    """What is said of mood, style, key, pace and bpm; without a key for what is not known."""
    by_track = _by_track(tags)
    bpm, key = tags.get('bpm'), next(iter(_words(tags.get('key'))), None)
    if isinstance(bpm, bool) or not isinstance(bpm, int | float) or not 0 < bpm < math.inf:
        bpm = None
    facts = {
        'mood': listed([_lower(word) for word in _words(tags.get('mood'))]) or mood_word(bpm, key),
        'style': genre_words(_words(tags.get('genre'))) or style_word(bpm, by_track),
        'key': key,
        'pace': tempo_word(bpm) if bpm else None,
        'bpm': f'{bpm:.0f}' if bpm else None,
    }
    return {name: words for name, words in facts.items() if words}


def leading_instruments(by_track: Mapping[str, Sequence[str]]) -> list[str]:
    """The most heard instruments, leads first, no name twice and no sound effect."""
    names: list[str] = []
    for track in LEADING_TRACKS:
        played = [name for name in by_track.get(track, ()) if name not in SOUND_EFFECTS]
        names += played[: MAX_INSTRUMENTS[track]]
    return list(dict.fromkeys(names))


def listed(names: Sequence[str]) -> str:
    """'a', 'a and b', 'a, b and c'; '' for none."""
    return ' and '.join(filter(None, (', '.join(names[:-1]), *names[-1:])))


def with_article(name: str) -> str:
    """'a warm pad', 'an echo synth', but 'flute'."""
    if name.split()[-1] not in WITH_ARTICLE:
        return name
    return f'{"an" if name[0] in "aeiou" else "a"} {name}'


def tempo_word(bpm: float) -> str:
    """One word for a tempo in beats a minute."""
    return next(word for limit, word in TEMPO_WORDS if bpm < limit)


def genre_words(genres: Sequence[str]) -> str:
    """'rock', 'electronic music', 'rock and country music'; '' for none."""
    words = [_lower(genre) for genre in genres]
    alone = all(word.lower() in GENRES_THAT_STAND_ALONE or word.endswith('music') for word in words)
    return listed(words) if alone else f'{listed(words)} music'


def mood_word(bpm: float | None, key: str | None) -> str | None:
    """A guess from mode and tempo; None unless both are known."""
    if bpm is None or key is None:
        return None
    fast = bpm >= 120
    if key.endswith('minor'):
        return 'dark driving' if fast else 'brooding'
    return 'bright energetic' if fast else 'calm'


def style_word(bpm: float | None, by_track: Mapping[str, Sequence[str]]) -> str | None:
    """A guess from the instruments that lead; None where they make no style that is known."""
    heard = leading_instruments(by_track)
    pitched = [name for name in heard if name != 'drums']
    synthetic = [name for name in heard if any(word in name for word in SYNTHETIC)]
    orchestral = [
        name
        for name in pitched
        if name not in synthetic and any(word in name for word in ORCHESTRAL)
    ]
    if any(word in name for name in heard for word in DISTORTED):
        return 'metal' if bpm is not None and bpm >= 130 else 'rock'
    if synthetic and 'drums' not in by_track and bpm is not None and bpm < 120:
        return 'ambient music'
    if len(synthetic) >= 2:
        return 'electronic music'
    if orchestral and 2 * len(orchestral) >= len(pitched):
        return 'orchestral music'
    return None


def _fill(choice: float, told: Mapping[str, str], names: Sequence[str]) -> str:
    """The template at `choice` in [0, 1) of those that suit, without segments that lack words."""
    fields = {'style': ANY_STYLE, **told}
    if names:
        fields['names'] = ', '.join(names)
        fields['instruments'] = listed([with_article(name) for name in names])
    known = {*told, *(('instruments',) if names else ())}
    suitable = [template for template, needed in TEMPLATES if known.issuperset(needed)]
    segments = suitable[int(choice * len(suitable))].split('|')
    return ''.join(text.format(**fields) for text in segments if _fields(text) <= fields.keys())


def _fields(segment: str) -> set[str]:
    return {field for _, field, _, _ in string.Formatter().parse(segment) if field}


def _random(song_id: str, number: int) -> np.random.Generator:
    key = hashlib.sha256(f'{song_id}\n{number}'.encode(errors='surrogateescape')).digest()[:16]
    return np.random.Generator(np.random.Philox(key=int.from_bytes(key, 'little')))


def _by_track(tags: Mapping[str, object]) -> dict[str, list[str]]:
    """The instruments of each track that are named."""
    tag = tags.get('instruments')
    if not isinstance(tag, Mapping):
        return {}
    found = {track: [_lower(name) for name in _words(names)] for track, names in tag.items()}
    return {track: names for track, names in found.items() if names}


def _words(value: object) -> list[str]:
    """A tag as words: one or several strings, cleaned, without those that say nothing."""
    values = [value] if isinstance(value, str) else value if isinstance(value, list | tuple) else []
    words = [' '.join(v.replace('_', ' ').split()) for v in values if isinstance(v, str)]
    return [word for word in words if word.lower() not in NO_WORDS]


def _lower(words: str) -> str:
    """Lower case, but for abbreviations and names."""
    keep = (word.isupper() or word in PROPER_NAMES for word in words.split())
    return ' '.join(w if as_is else w.lower() for w, as_is in zip(words.split(), keep, strict=True))
