"""Prompts: the same words for the same song, and no word that the facts do not carry."""

import itertools
import re
import subprocess
import sys

import numpy as np
import pytest

from data_pipeline.prompts import (
    NO_WORDS,
    TEMPLATES,
    PromptStyle,
    compose_prompts,
    genre_words,
    listed,
    mood_word,
    song_facts,
    song_prompts,
    style_word,
    tempo_word,
    with_article,
)
from data_pipeline.sources.general_midi import PROGRAMS
from jen1composer.errors import BadInput

INSTRUMENTS = {
    'bass': ['picked bass'],
    'drums': ['drums'],
    'instrument': ['distorted guitar', 'strings', 'harp'],
    'melody': ['flute'],
}
TAGS = {'bpm': 140.0, 'key': 'E minor', 'instruments': INSTRUMENTS}
STATED = {**TAGS, 'genre': ['Folk', 'rock'], 'mood': 'Wistful'}
ALL_FACTS = ('140 bpm', 'brisk', 'E minor', 'flute', 'picked bass', 'strings', 'drums')
MANY = PromptStyle(per_song=40)


def test_the_first_prompt_tells_all_facts_in_every_template():
    firsts = {compose_prompts(f'song-{k}', TAGS, PromptStyle())[0] for k in range(80)}
    assert len(firsts) == len(TEMPLATES)
    for prompt in firsts:
        for word in (*ALL_FACTS, 'dark driving', 'metal'):
            assert word in prompt
        assert 'harp' not in prompt  # two instruments lead, it is the third


def test_what_the_tags_state_wins_over_the_guess():
    for prompt in compose_prompts('a', STATED, MANY):
        assert 'metal' not in prompt
        assert 'dark' not in prompt
    first = compose_prompts('a', STATED, PromptStyle())[0]
    assert 'wistful ' in first
    assert 'folk and rock music' in first


def test_facts_are_left_out_as_often_as_asked():
    counts, total = dict.fromkeys(('E minor', 'flute', 'wistful', 'folk', '140 bpm'), 0), 0
    for k in range(300):
        # With many facts hardly any two prompts are alike, so none is lost as a duplicate.
        later = compose_prompts(f's{k}', STATED, PromptStyle(per_song=4, dropout=0.3))[1:]
        total += len(later)
        for word in counts:
            counts[word] += sum(word in prompt for prompt in later)
    assert total > 850
    for word, count in counts.items():
        assert abs(count / total - 0.7) < 4 * np.sqrt(0.21 / total) + 0.02, word


def test_without_dropout_every_prompt_tells_all():
    prompts = compose_prompts('a', TAGS, PromptStyle(per_song=40, dropout=0.0))
    assert len(prompts) == len(TEMPLATES)
    for prompt in prompts:
        assert all(word in prompt for word in ALL_FACTS)
    assert len(compose_prompts('a', TAGS, PromptStyle(per_song=40, dropout=1.0))) == 1


def test_the_same_song_keeps_its_words_in_every_process():
    few = compose_prompts('a', TAGS, PromptStyle())
    assert few == compose_prompts('a', dict(reversed(TAGS.items())), PromptStyle())
    assert few == compose_prompts('a', TAGS, MANY)[: len(few)]
    assert few != compose_prompts('b', TAGS, PromptStyle())
    code = (
        'from data_pipeline.prompts import *\n'
        f'print(compose_prompts("a", {TAGS!r}, PromptStyle()) == {few!r})'
    )
    done = subprocess.run(
        [sys.executable, '-c', code],
        env={'PYTHONHASHSEED': '12345', 'PYTHONPATH': ':'.join(filter(None, sys.path))},
        capture_output=True,
        text=True,
    )
    assert done.stdout.strip() == 'True', done.stderr


def test_every_selection_of_facts_reads_cleanly():
    """No brackets, no doubled spaces or commas, no loose end, and no word for what is missing."""
    for names in itertools.chain.from_iterable(
        itertools.combinations(STATED, n) for n in range(len(STATED) + 1)
    ):
        tags = {name: STATED[name] for name in names}
        prompts = compose_prompts(' '.join(names), tags, MANY)
        assert prompts
        assert len(set(prompts)) == len(prompts)
        for prompt in prompts:
            assert prompt == prompt.strip(' ,')
            assert not re.search(r'[{}]|  | ,|,,|\b(none|unknown|nan)\b', prompt, re.IGNORECASE)
            assert 'bpm' in names or not re.search(r'bpm|brisk', prompt)
            assert 'key' in names or 'minor' not in prompt


@pytest.mark.parametrize('word', [*NO_WORDS, 'Unknown', None, 7, ['unknown', None], []])
def test_what_says_nothing_is_left_out(word):
    tags = dict.fromkeys(('genre', 'mood', 'key', 'bpm', 'instruments'), word)
    del tags['bpm']
    assert compose_prompts('a', tags, MANY) == ('music',)
    only_harp = {'instruments': {'melody': ['harp'], 'bass': word}}
    assert set(compose_prompts('a', only_harp, MANY)) <= {
        'music with harp',
        'music, harp',
        'music, featuring harp',
    }


@pytest.mark.parametrize('bpm', [float('nan'), float('inf'), 0.0, True, '120'])
def test_a_tempo_that_is_none_is_not_told(bpm):
    assert song_facts({'bpm': bpm}) == {}


def test_captions_win():
    assert song_prompts('a', TAGS, ('my words', 'more'), PromptStyle()) == ('my words', 'more')
    assert song_prompts('a', TAGS, (), MANY) == compose_prompts('a', TAGS, MANY)


def test_words_are_joined_as_english():
    assert [listed(names) for names in ([], ['a'], ['a', 'b'], ['a', 'b', 'c'])] == [
        '',
        'a',
        'a and b',
        'a, b and c',
    ]
    assert with_article('warm pad') == 'a warm pad'
    assert with_article('echo synth') == 'an echo synth'
    assert with_article('flute') == 'flute'
    assert genre_words(['Rock']) == 'rock'
    assert genre_words(['Electronic']) == 'electronic music'
    assert genre_words(['EDM', 'Film music']) == 'EDM and film music'
    assert genre_words([]) == ''


def test_names_keep_their_capitals_and_effects_are_no_instruments():
    names = ['fret noise', 'FM electric piano', 'Acoustic_Guitar', 'French horns']
    (prompt,) = compose_prompts(
        'a', {'instruments': {'instrument': names}}, PromptStyle(per_song=1)
    )
    assert 'FM electric piano' in prompt
    assert 'acoustic guitar' in prompt
    assert 'noise' not in prompt
    assert {'gunshot', 'fret noise'} <= set(PROGRAMS[119:])


@pytest.mark.parametrize(
    ('bpm', 'word'), [(60, 'slow'), (100, 'mid-tempo'), (120, 'brisk'), (500, 'fast')]
)
def test_tempo_words(bpm: float, word: str):
    assert tempo_word(bpm) == word


def test_moods_need_tempo_and_mode():
    assert mood_word(90, 'E minor') == 'brooding'
    assert mood_word(130, 'E minor') == 'dark driving'
    assert mood_word(130, 'E major') == 'bright energetic'
    assert mood_word(None, 'E minor') is None
    assert mood_word(130, None) is None


def test_styles_follow_the_instruments():
    assert style_word(100, INSTRUMENTS) == 'rock'
    assert style_word(140, INSTRUMENTS) == 'metal'
    assert style_word(100, {'instrument': ['warm pad']}) == 'ambient music'
    assert style_word(150, {'instrument': ['warm pad']}) is None
    synths = {'drums': ['drums'], 'melody': ['square lead'], 'bass': ['synth bass']}
    assert style_word(100, synths) == 'electronic music'
    assert style_word(100, {'drums': ['drums'], 'melody': ['strings']}) == 'orchestral music'
    assert style_word(100, {'drums': ['drums'], 'melody': ['flute']}) is None
    assert style_word(None, {}) is None


@pytest.mark.parametrize(
    ('changes', 'said'),
    [
        ({'per_song': 0}, 'per_song: 0; allowed is 1 to 64'),
        ({'dropout': -0.1}, 'dropout: -0.1; allowed is 0 to 1'),
    ],
)
def test_styles_out_of_range_are_refused(changes, said):
    with pytest.raises(BadInput) as refused:
        PromptStyle(**changes)
    assert str(refused.value) == said
