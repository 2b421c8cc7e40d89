"""Tags tell tracks apart where they differ, whatever the scale of the rest."""

import numpy as np
import pytest

from jen1composer.errors import BadInput
from jen1composer.evaluation.track_tags import fit, tag_vector

TRACKS = ('bass', 'drums', 'melody')
CENTRES = np.random.default_rng(0).normal(size=(3, 12))


def stems(count, seed, mixing=None):
    rng = np.random.default_rng(seed)
    noise = 0.4 * rng.normal(size=(3, count, 12))
    noise[..., 0] *= 100  # a tag that says nothing and is loud about it
    drawn = CENTRES[:, None] + noise
    return dict(zip(TRACKS, drawn if mixing is None else drawn @ mixing, strict=True))


def heard_rightly(rule, by_track):
    return np.mean([np.array(rule.heard(x)) == track for track, x in by_track.items()])


def test_stems_are_heard_as_what_they_are_and_a_loud_tag_is_not_listened_to():
    rule = fit(stems(40, 0))
    assert (rule.tracks, rule.counts) == (TRACKS, (40, 40, 40))
    assert heard_rightly(rule, stems(200, 1)) > 0.95
    centres = np.stack([x.mean(axis=0) for x in stems(40, 0).values()])
    nearest = [
        np.argmin(np.square(x[:, None] - centres).sum(axis=-1), axis=1) == track
        for track, x in enumerate(stems(200, 1).values())
    ]
    assert np.mean(nearest) < 0.6  # which the nearest mean without equation (2) is


def test_with_many_stems_it_does_not_depend_on_the_scales_of_tags():
    mixing = np.random.default_rng(3).normal(size=(12, 12))
    plain, mixed = fit(stems(20_000, 0)), fit(stems(20_000, 0, mixing))
    tested = stems(300, 1)
    agreeing = [
        plain.heard(tested[track]) == mixed.heard(tested[track] @ mixing) for track in TRACKS
    ]
    assert all(agreeing)


def test_labels_that_mean_nothing_are_heard_by_chance():
    rng = np.random.default_rng(0)
    rule = fit({track: rng.normal(size=(40, 12)) for track in TRACKS})
    share = heard_rightly(rule, {track: rng.normal(size=(500, 12)) for track in TRACKS})
    assert 0.25 < share < 0.42


def test_a_vector_is_the_mean_of_log_odds_and_always_finite():
    p = np.array([[0.5, 0.2], [0.5, 0.8]], np.float32)
    np.testing.assert_allclose(tag_vector(p), [0, 0], atol=1e-6)
    np.testing.assert_allclose(tag_vector(p[:1]), [0, np.log(0.25)], rtol=1e-6)
    assert np.isfinite(tag_vector(np.array([[0.0, 1.0]], np.float32))).all()


def test_bad_input_is_named():
    x = np.eye(3)
    with pytest.raises(BadInput, match=r"tags: tracks: \['bass'\]; allowed are two and more"):
        fit({'bass': x})
    with pytest.raises(BadInput, match=r"tags: stems: \{'bass': 3, 'drums': 1\}; allowed are two"):
        fit({'bass': x, 'drums': x[:1]})
    with pytest.raises(BadInput, match=r'about the mean of their track: 0\.0; allowed is above 0'):
        fit({'bass': 0 * x, 'drums': 0 * x + 1})
