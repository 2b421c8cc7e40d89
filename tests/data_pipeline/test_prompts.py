"""Prompts: the same words for the same song, and no word that the facts do not carry."""

import string

import pytest

from data_pipeline.prompts import TEMPLATES, compose_prompt, listed, style_word, tempo_word

INSTRUMENTS = {
    'bass': ['picked bass'],
    'drums': ['drums'],
    'instrument': ['distorted guitar', 'strings', 'harp'],
    'melody': ['flute'],
}
TAGS = {'bpm': 140.0, 'key': 'E minor', 'instruments': INSTRUMENTS}


def test_every_template_tells_all_facts():
    prompts = {compose_prompt(f'song-{k}', TAGS) for k in range(50)}
    assert len(prompts) == len(TEMPLATES)
    for prompt in prompts:
        for word in ('140 bpm', 'upbeat', 'E minor', 'metal', 'flute', 'picked bass', 'strings'):
            assert word in prompt
        assert not set(prompt) & set('{}')


def test_the_same_song_keeps_its_words():
    assert compose_prompt('a', TAGS) == compose_prompt('a', dict(TAGS))


def test_templates_use_all_their_words():
    for template in TEMPLATES:
        fields = {field for _, field, _, _ in string.Formatter().parse(template) if field}
        assert fields == {'mood', 'style', 'instruments', 'tempo', 'key'}


def test_without_facts_nothing_is_claimed():
    prompt = compose_prompt('a', {'instruments': {'instrument': ['piano']}})
    assert 'piano' in prompt
    assert 'bpm' not in prompt
    assert 'in ' not in prompt.replace('playing ', '')


def test_lists_read_as_english():
    assert listed(['a']) == 'a'
    assert listed(['a', 'b']) == 'a and b'
    assert listed(['a', 'b', 'c']) == 'a, b and c'


@pytest.mark.parametrize(('bpm', 'word'), [(60, 'slow'), (100, 'mid-tempo'), (500, 'fast')])
def test_tempo_words(bpm: float, word: str):
    assert tempo_word(bpm) == word


def test_styles_follow_the_instruments():
    assert style_word(100, INSTRUMENTS) == 'rock'
    assert style_word(100, {'instrument': ['warm pad']}) == 'ambient music'
    synths = {'drums': ['drums'], 'melody': ['square lead'], 'bass': ['synth bass']}
    assert style_word(100, synths) == 'electronic music'
    assert style_word(100, {'drums': ['drums'], 'melody': ['strings']}) == 'orchestral music'
    assert style_word(100, {'drums': ['drums'], 'melody': ['flute']}) == 'instrumental music'
