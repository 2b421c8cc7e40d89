"""Holes and known frames: every sample of a piece is kept or made."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jen1composer.errors import BadInput
from jen1composer.generation.parts import make_parts
from jen1composer.generation.request import WHOLE, Edit, Request
from jen1composer.tracks import Role
from tests.jen1composer import tiny_codec

RATE, HOP = 48_000, 72
TRACKS = ('bass', 'drums')
SOUND = tiny_codec.sound(RATE, 2)


def part(edit: Edit, seconds: float, **values):
    """The bass of a piece in which only it is made."""
    return make_parts(Request(edits={'bass': edit}, seconds=seconds, **values), TRACKS)[0]


spans = st.tuples(st.floats(0, 0.9), st.floats(0.001, 0.5)).map(lambda s: (s[0], min(1.0, sum(s))))


@given(start_s=st.floats(0, 0.9), seconds=st.floats(0.1, 1), asked=st.lists(spans, max_size=4))
def test_what_is_asked_for_or_missing_is_made_and_the_rest_kept(start_s, seconds, asked):
    sound = SOUND[: round(seconds * RATE)]
    edit = Edit(audio=sound, start_s=start_s, regenerate=(*asked, (0.0, 0.001)))
    bass = part(edit, 1.0)
    first = round(start_s * RATE)
    made = np.ones(RATE, bool)
    made[first : first + len(sound)] = False
    for start, end in edit.regenerate:
        made[round(start * RATE) : round(end * RATE)] = True
    found = np.zeros(RATE, bool)
    for start, end in bass.holes:
        assert not found[max(0, start - 1) : end].any()  # apart from each other
        found[start:end] = True
    np.testing.assert_array_equal(found, made)
    length = min(len(sound), RATE - first)
    np.testing.assert_array_equal(bass.audio[first : first + length], sound[:length])

    num_frames = -(-RATE // HOP)
    known = bass.known_frames(num_frames, HOP)
    for frame in range(num_frames):
        assert known[frame] == (not made[frame * HOP : (frame + 1) * HOP].any())


def test_what_follows_the_last_sample_is_as_that_sample_is():
    frames = RATE // HOP + 5
    kept = part(Edit(audio=SOUND, regenerate=((0.2, 0.3),)), 0.999).known_frames(frames, HOP)
    made = part(Edit(audio=SOUND, regenerate=((0.2, math.inf),)), 0.999).known_frames(frames, HOP)
    assert kept[-6:].all()
    assert not made[-6:].any()
    assert part(Edit(audio=SOUND, regenerate=WHOLE), 1.0).holes == ((0, RATE),)


def test_a_track_that_is_no_edit_is_made_as_a_whole_or_not_at_all():
    request = Request(targets=('bass',), given={'drums': SOUND}, seconds=0.5)
    bass, drums = make_parts(request, TRACKS)
    assert (bass.audio, bass.holes) == (None, ((0, RATE // 2),))
    np.testing.assert_array_equal(drums.audio, SOUND[: RATE // 2])
    assert drums.holes == ()
    assert not bass.known_frames(400, HOP).any()
    assert drums.known_frames(400, HOP).all()
    (alone, left_out) = make_parts(Request(targets=('bass',), seconds=0.5), TRACKS)
    assert (left_out.role, left_out.audio, left_out.holes) == (Role.MARGINAL, None, ())
    assert alone.role == Role.TARGET


def test_sound_is_mirrored_past_its_ends():
    bass = part(Edit(audio=SOUND[: RATE // 4], start_s=0.5), 1.0)
    first, last = RATE // 2, 3 * RATE // 4
    np.testing.assert_array_equal(bass.audio[first - 900 : first], SOUND[:900][::-1])
    end = SOUND[RATE // 4 - 900 : RATE // 4]
    np.testing.assert_array_equal(bass.audio[last : last + 900], end[::-1])


def test_strength_zero_makes_nothing():
    assert part(Edit(audio=SOUND, regenerate=WHOLE), 1.0, strength=0.0).holes == ()


@pytest.mark.parametrize(
    ('values', 'said'),
    [
        ({'edits': {'bass': Edit(audio=SOUND)}}, "edit 'bass': nothing of it is made"),
        (
            {'edits': {'bass': Edit(audio=SOUND)}, 'seconds': 2.0, 'strength': 0.5},
            r"strength: 0\.5; the sound of edit 'bass' does not reach",
        ),
        (
            {'edits': {'bass': Edit(audio=SOUND, regenerate=WHOLE)}, 'strength': 0.5}
            | {'targets': ('drums',)},
            r"strength: 0\.5; 'drums' has no sound to start from",
        ),
        ({'given': {'bass': SOUND}, 'seconds': 1.5}, r"given 'bass': 1\.00 s; allowed is the len"),
    ],
)
def test_what_cannot_be_made_is_refused(values, said):
    with pytest.raises(BadInput, match=said):
        make_parts(Request(**{'seconds': 1.0} | values), TRACKS)
