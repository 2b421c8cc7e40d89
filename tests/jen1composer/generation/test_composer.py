"""The composer with random weights: what must hold whatever was learnt."""

import dataclasses
import itertools

import jax
import numpy as np
import pytest

from jen1composer.diffusion.solvers import SAMPLERS
from jen1composer.errors import BadInput, RunFailed
from jen1composer.generation.request import MAX_SCALE, WHOLE, Edit, Request
from jen1composer.generation.sampling import generate
from jen1composer.generation.scales import TEXT
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


def encoded(composer, audio):
    """The latents of a piece of `NUM_SAMPLES`, mirrored up to whole frames."""
    total = composer.num_frames(SECONDS) * composer.spec.hop_samples
    padded = np.pad(audio[:NUM_SAMPLES], ((0, total - NUM_SAMPLES), (0, 0)), mode='symmetric')
    return composer.codec.encode(padded[None, None])[0, 0]


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
    np.testing.assert_array_equal(piece.takes['bass'].latents, encoded(composer, bass))


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


def changed(take, audio):
    """Where [sample] a take differs from `audio`."""
    return (take.audio != audio[: len(take.audio)]).any(axis=1)


def test_a_span_is_made_anew_and_the_rest_comes_back(composer):
    bass = sound(1)
    edit = Edit(audio=bass, regenerate=((0.012, 0.02),))
    piece = composer.compose(request(edits={'bass': edit}, given={'drums': sound(2)}))
    take = piece.takes['bass']
    assert take.holes == ((576, 960),)
    inside = (np.arange(NUM_SAMPLES) >= 576) & (np.arange(NUM_SAMPLES) < 960)
    np.testing.assert_array_equal(changed(take, bass), inside)
    frames = np.arange(len(take.latents))
    hop = composer.spec.hop_samples
    untouched = (frames + 1) * hop <= 576
    untouched |= frames * hop >= 960
    kept = (take.latents == encoded(composer, bass)).all(axis=1)
    np.testing.assert_array_equal(kept, untouched)
    assert set(piece.takes) == {'bass', 'drums'}


def test_sound_is_continued_past_its_end_and_before_its_start(composer):
    start = np.arange(NUM_SAMPLES) / 48_000
    bass = sound(1)[:720]  # 0.015 s
    for start_s in (0.0, 0.004, 0.015):
        piece = composer.compose(request(edits={'bass': Edit(audio=bass, start_s=start_s)}))
        first = round(start_s * 48_000)
        take = piece.takes['bass']
        np.testing.assert_array_equal(take.audio[first : first + 720], bass)
        assert take.holes == tuple(
            span for span in ((0, first), (first + 720, NUM_SAMPLES)) if span[0] < span[1]
        )
        assert np.std(take.audio[(start < start_s) | (start > start_s + 0.015)]) > 0


@pytest.mark.parametrize('names', [('bass',), ('bass', 'melody')])
def test_strength_zero_returns_what_is_there_and_one_makes_it_as_new(composer, names):
    edits = {name: Edit(audio=sound(k), regenerate=WHOLE) for k, name in enumerate(names)}
    untouched = composer.compose(request(edits=edits, strength=0.0))
    new = composer.compose(request(edits=edits, strength=1.0))
    fresh = composer.compose(request(targets=names))
    for name, edit in edits.items():
        np.testing.assert_array_equal(untouched.takes[name].audio, edit.audio[:NUM_SAMPLES])
        latents = encoded(composer, edit.audio)
        np.testing.assert_array_equal(untouched.takes[name].latents, latents)
        np.testing.assert_array_equal(new.takes[name].latents, fresh.takes[name].latents)
        np.testing.assert_array_equal(new.takes[name].audio, fresh.takes[name].audio)


def test_a_variation_is_nearer_the_weaker_it_is(composer):
    edits = {'bass': Edit(audio=sound(1), regenerate=WHOLE)}
    latents = encoded(composer, sound(1))
    distances = [
        np.std(composer.compose(request(edits=edits, strength=s)).takes['bass'].latents - latents)
        for s in (0.0, 0.1, 0.4, 0.7)
    ]
    assert distances[0] == 0
    assert (np.diff(distances) > 0).all()


def test_a_long_piece_is_a_sequence_of_windows_of_one_program(composer):
    """The first window is the piece of its length; a window is the same however many follow."""
    window_s = composer.spec.window_frames * composer.spec.hop_samples / 48_000
    generate.clear_cache()
    short, longer, longest = (
        composer.compose(request(seconds=factor * window_s, targets=('bass', 'drums')))
        for factor in (1, 3, 5)
    )
    assert generate._cache_size() == 1
    for name in ('bass', 'drums'):
        frames = [len(piece.takes[name].latents) for piece in (short, longer, longest)]
        assert frames == [composer.spec.window_frames * factor for factor in (1, 3, 5)]
        np.testing.assert_array_equal(
            longer.takes[name].latents[: frames[0]], short.takes[name].latents
        )
        np.testing.assert_array_equal(
            longest.takes[name].latents[: frames[1]], longer.takes[name].latents
        )
        assert len(longest.takes[name].audio) == round(5 * window_s * 48_000)


@pytest.fixture(scope='module')
def wide(composer):
    return tiny_composer.wider(composer)


def test_a_piece_shorter_than_a_window_is_the_beginning_of_one(wide):
    """Every length is made by one program: a window has one shape, whatever the piece."""
    whole = wide.compose(request(seconds=0.048))
    generate.clear_cache()
    for seconds in (0.041, 0.02, 0.01):
        short = wide.compose(request(seconds=seconds))
        assert short.num_samples == round(seconds * 48_000)
        for name, take in short.takes.items():
            np.testing.assert_array_equal(take.latents, whole.takes[name].latents)
            np.testing.assert_array_equal(take.audio, whole.takes[name].audio[: len(take.audio)])
    assert generate._cache_size() == 1


def test_in_a_piece_shorter_than_a_window_what_is_given_and_kept_comes_back(wide):
    bass, drums = sound(1), sound(2)
    edit = Edit(audio=bass, regenerate=((0.005, 0.01),))
    piece = wide.compose(request(seconds=0.01, edits={'bass': edit}, given={'drums': drums}))
    np.testing.assert_array_equal(piece.takes['drums'].audio, drums[:480])
    take = piece.takes['bass']
    np.testing.assert_array_equal(changed(take, bass), np.arange(480) >= 240)
    assert take.holes == ((240, 480),)


def test_a_long_given_track_is_heard_in_the_window_where_it_sounds(composer):
    window_s = composer.spec.window_frames * composer.spec.hop_samples / 48_000
    num_samples = round(4 * window_s * 48_000)
    bass = tiny_codec.sound(num_samples, 2, seed=1)
    other = bass.copy()
    other[-num_samples // 8 :] *= -1
    pieces = [
        composer.compose(request(seconds=4 * window_s, given={'bass': b}, targets=('drums',)))
        for b in (bass, other)
    ]
    one, two = (piece.takes['drums'].latents for piece in pieces)
    same = (one == two).all(axis=1)
    assert same[: 2 * composer.spec.window_frames].all()
    assert not same[-composer.spec.window_frames // 4 :].any()


@pytest.mark.parametrize(
    ('spans', 'learnt', 'rescale'),
    [(True, True, 0.0), (True, True, 0.7), (True, False, 0.0), (False, True, 0.0)],
)
def test_a_continuation_knows_nothing_of_what_comes_later(spans, learnt, rescale):
    """Causally continues what was taught both; all else sees both sides, as it learnt."""
    composer = tiny_composer.composer(spans=spans)
    spec = dataclasses.replace(composer.spec, causal=learnt)
    composer = dataclasses.replace(composer, spec=spec)
    hop = composer.spec.hop_samples
    num_samples = composer.spec.window_frames * hop
    bass, drums = (tiny_codec.sound(num_samples, 2, seed=seed) for seed in (1, 2))
    other = drums.copy()
    other[-hop:] *= -1
    asked = {
        'edits': {'bass': Edit(audio=bass[:hop])},
        'seconds': num_samples / 48_000,
        'given_guidance': 1.5,
        'guidance_rescale': rescale,
    }
    takes = [composer.compose(request(given={'drums': d}, **asked)).takes for d in (drums, other)]
    same = {
        name: (takes[0][name].latents == takes[1][name].latents).all(axis=1)
        for name in ('bass', 'drums')
    }
    unlike = int(np.argmin(same['drums']))  # the encoder reaches a little forward
    assert 1 < unlike < composer.spec.window_frames
    assert same['bass'][:unlike].all() == (spans and learnt)
    assert not same['bass'][unlike:].any()


@pytest.mark.parametrize(
    ('spans', 'anew', 'warned'),
    [(True, (0.012, 0.02), False), (False, (0.012, 0.02), True), (False, *WHOLE, False)],
)
def test_filling_in_is_warned_of_where_it_was_never_taught(spans, anew, warned, caplog):
    edit = Edit(audio=sound(1), regenerate=(anew,))
    tiny_composer.composer(spans=spans).compose(request(edits={'bass': edit}))
    assert ('was not trained to fill in' in caplog.text) == warned


def test_it_samples_by_the_schedule_that_it_was_trained_with(composer):
    spec = dataclasses.replace(composer.spec, schedule='rectified_flow')
    other = dataclasses.replace(composer, spec=spec).compose(request(targets=('bass',)))
    assert not np.array_equal(other.mix, composer.compose(request(targets=('bass',))).mix)


def test_progress_counts_windows_and_may_end_the_work(composer):
    seen = []
    composer.compose(request(seconds=0.05), lambda *report: seen.append(report))
    assert seen == [(done, len(seen) - 1) for done in range(len(seen))]
    assert len(seen) > 3

    def cancel(done, total):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        composer.compose(request(), cancel)


@pytest.mark.parametrize('sampler', SAMPLERS)
def test_every_sampler_makes_sound_that_its_seed_decides(composer, sampler):
    first, again, other = (
        composer.compose(request(sampler=sampler, targets=('bass',), seed=seed)).mix
        for seed in (3, 3, 4)
    )
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


def test_a_piece_says_what_guided_it(composer):
    asked = {'given': {'bass': sound(1), 'drums': sound(2)}, 'targets': ('melody',)}
    piece = composer.compose(request(**asked, given_guidance={'drums': 1.5}))
    assert piece.given_guidance == {'bass': 1.0, 'drums': 1.5}
    assert piece.text_guidance == TEXT
    plain = composer.compose(request(**asked))
    assert not np.array_equal(piece.takes['melody'].audio, plain.takes['melody'].audio)


def test_the_largest_scales_that_are_taken_make_sound_and_broken_weights_are_told(composer):
    asked = {'given': {'bass': sound(1)}, 'targets': ('drums',)}
    large = composer.compose(request(**asked, text_guidance=MAX_SCALE, given_guidance=-MAX_SCALE))
    assert np.isfinite(large.mix).all()
    params = jax.tree.map(lambda leaf: np.nan * leaf, composer.params)
    broken = dataclasses.replace(composer, params=params)
    with pytest.raises(RunFailed, match="track 'drums' came out with samples that are not finite"):
        broken.compose(request(**asked))


@pytest.mark.parametrize(
    ('values', 'said'),
    [
        ({'given': {'bass': sound(0)[:480]}}, r"given 'bass': 0\.01 s; allowed is the length"),
        ({'sampler': 'magic'}, "sampler: 'magic'; allowed are ddpm, ddim"),
        ({'edits': {'bass': Edit(audio=sound(0))}}, "edit 'bass': nothing of it is made"),
    ],
)
def test_what_cannot_be_made_is_refused(composer, values, said):
    with pytest.raises(BadInput, match=said):
        composer.compose(request(**values))
