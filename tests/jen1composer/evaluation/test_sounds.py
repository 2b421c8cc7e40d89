"""A folder of sounds answers one question."""

import numpy as np
import pytest

from jen1composer.errors import BadInput
from jen1composer.evaluation.sounds import open_sounds
from jen1composer.evaluation.systems import Mix

QUESTION = {'step': 3, 'splits': ('test',), 'sampling': {'seed': 0}}


def test_what_is_written_is_read_to_16_bits(tmp_path):
    sounds = open_sounds(tmp_path, QUESTION)
    audio = np.random.default_rng(0).uniform(-0.9, 0.9, (480, 2)).astype(np.float32)
    assert not sounds.has('joint', 'a', 'bass')
    sounds.write('joint', 'a', 'bass', audio)
    assert sounds.has('joint', 'a', 'bass')
    mix = Mix(name='joint', sources={'bass': 'joint'})
    np.testing.assert_allclose(sounds.stems(mix, 'a')['bass'], audio, atol=2**-15)


def test_the_same_question_goes_on_and_another_is_refused(tmp_path):
    open_sounds(tmp_path, QUESTION)
    open_sounds(tmp_path, QUESTION)
    with pytest.raises(BadInput, match=r'another question, of step 3; now it is 4'):
        open_sounds(tmp_path, QUESTION | {'step': 4})
    with pytest.raises(BadInput, match='of guidance null; now it is 2'):
        open_sounds(tmp_path, QUESTION | {'guidance': 2})
    with pytest.raises(BadInput, match='of sampling'):
        open_sounds(tmp_path, QUESTION | {'sampling': {'seed': 1}})


def test_a_broken_file_is_named(tmp_path):
    sounds = open_sounds(tmp_path, QUESTION)
    sounds.write('joint', 'a', 'bass', np.zeros((48, 2), np.float32))
    sounds.path('joint', 'a', 'bass').write_bytes(b'fLaC')
    for track in ('bass', 'drums'):
        with pytest.raises(BadInput, match=rf'a/{track}.flac: cannot be read'):
            sounds.read('joint', 'a', track)
