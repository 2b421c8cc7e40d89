"""The composer with random weights: what must hold whatever was learnt."""

import itertools

import numpy as np
import pytest

from jen1composer.errors import BadInput
from jen1composer.generation.request import Request
from jen1composer.tracks import TRACKS, Role
from tests.jen1composer import tiny_codec, tiny_composer

SECONDS = 0.03
NUM_SAMPLES = round(SECONDS * 48_000)


@pytest.fixture(scope='module')
def composer():
    return tiny_composer.composer()


def request(**values):
    return Request(**{'prompt': 'rock', 'seconds': SECONDS, 'num_steps': 4, 'seed': 1} | values)


def sound(seed):
    return tiny_codec.sound(NUM_SAMPLES + 100, 2, seed=seed)


def test_every_subset_of_targets_and_givens_gives_sound_of_the_asked_length(composer):
    for roles in itertools.product(list(Role), repeat=4):
        if Role.TARGET not in roles:
            continue
        named = {
            role: [t for t, r in zip(TRACKS, roles, strict=True) if r == role] for role in Role
        }
        piece = composer.compose(
            request(
                targets=tuple(named[Role.TARGET]),
                given={name: sound(0) for name in named[Role.CONDITION]},
                marginal=tuple(named[Role.MARGINAL]),
            )
        )
        assert set(piece.takes) == set(named[Role.TARGET] + named[Role.CONDITION])
        for take in piece.takes.values():
            assert take.audio.shape == (NUM_SAMPLES, 2)
            assert np.isfinite(take.audio).all()
        assert all(np.std(piece.takes[name].audio) > 0 for name in named[Role.TARGET])


def test_a_given_track_comes_back_sample_for_sample_and_its_latents_bit_for_bit(composer):
    bass = sound(1)
    piece = composer.compose(request(given={'bass': bass}, text_guidance=2.0, given_guidance=1.5))
    np.testing.assert_array_equal(piece.takes['bass'].audio, bass[:NUM_SAMPLES])
    padded = np.zeros((composer.num_frames(SECONDS) * composer.spec.hop_samples, 2), np.float32)
    padded[:NUM_SAMPLES] = bass[:NUM_SAMPLES]
    latents = composer.codec.encode(padded[None, None])[0, 0]
    np.testing.assert_array_equal(piece.takes['bass'].latents, latents)


def test_what_is_given_is_listened_to(composer):
    one = composer.compose(request(given={'bass': sound(1)}, targets=('drums',)))
    other = composer.compose(request(given={'bass': sound(2)}, targets=('drums',)))
    assert not np.array_equal(one.takes['drums'].audio, other.takes['drums'].audio)


def test_the_same_seed_gives_the_same_music_and_another_gives_another(composer):
    first, again, other = (composer.compose(request(seed=seed)) for seed in (3, 3, 4))
    np.testing.assert_array_equal(first.mix, again.mix)
    assert not np.array_equal(first.mix, other.mix)


def test_the_mix_is_the_sum_of_the_tracks(composer):
    piece = composer.compose(request())
    np.testing.assert_allclose(
        piece.mix, sum(take.audio for take in piece.takes.values()), atol=1e-6
    )


def test_given_sound_that_is_too_short_or_not_stereo_is_refused(composer):
    with pytest.raises(BadInput, match=r"given 'bass': 0\.01 s; allowed is the length"):
        composer.compose(request(given={'bass': sound(0)[:480]}))
    with pytest.raises(BadInput, match=r"given 'bass': shape \(2000,\)"):
        composer.compose(request(given={'bass': np.zeros(2000, np.float32)}))
