"""Whether a stem sounds like the track that was asked for, by the tags that musicnn gives it.

Of the windows of a stem, with probabilities p of tags,

(1) x = the mean over the windows of log(p / (1 - p)), [tag]

and of true stems of training songs, with the track c of each,

(2) m_c = mean of x over the stems of c; S = covariance of x about the m of its track, shrunk as
    `frechet` does, equations (3) and (4) there
(3) heard(x) = the c of the least (x - m_c)^T S^-1 (x - m_c)
(4) right = heard(x) is the track asked for; their share comes with an interval over songs

A linear discriminant, in short, of classes that are as likely as one another. It answers with one
of the tracks whatever it hears: white noise at -20 dB is drums, six times of six, at -40 dB mostly
instrument. So leave silent stems out, say how many they were, and read a share, over all tracks,
beside those of noise and of true stems of held-out songs, which is what can be had.
`launch.evaluate` measures all of them.

Of Freedoom (fitted on two excerpts of 5.12 s of each stem of 24 training songs, 170 of them not
silent; tested likewise on the 24 songs of validation and test, 168) it hears 87 % of true stems
rightly, between 81 and 93, by the tags of MTT: bass 92 %, drums 100, instrument 79, melody 72, of
which most errors are bass and instrument. The tags of MSD give 86 % (80 to 92), the embedding of
MSD, put in place of x, 89 (82 to 95), the nearest m_c without S only 85, 68 and 79. That a name
means what it says holds of drums alone, whose first tags are drums (59 %) and beat: a bass is
called guitar and piano, so tags are compared with what true stems are called, not with words.
"""

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np

from jen1composer.errors import require
from jen1composer.evaluation.frechet import moments

_FLOOR = 1e-6  # of a probability and of its complement: float32 may round them to 0


@dataclasses.dataclass(frozen=True, kw_only=True)
class TrackTags:
    """What the stems of each track are tagged like; made by `fit`.

    Attributes:
        tracks: their names, [track].
        means: `[track, tag]`, equation (2).
        precision: `[tag, tag]`, S^-1.
        counts: stems that it was fitted on, [track].
    """

    tracks: tuple[str, ...]
    means: np.ndarray
    precision: np.ndarray
    counts: tuple[int, ...]

    def heard(self, vectors: np.ndarray) -> list[str]:
        """Equation (3): `[stem, tag]` of `tag_vector` -> the track that each sounds like."""
        around = vectors[:, None] - self.means  # [stem, track, tag]
        distances = np.einsum('sct,tu,scu->sc', around, self.precision, around)
        return [self.tracks[track] for track in np.argmin(distances, axis=1)]


def tag_vector(probabilities: np.ndarray) -> np.ndarray:
    """Equation (1): `[window, tag]` of `Musicnn.hear` -> `[tag]` float64."""
    p = np.clip(np.asarray(probabilities, np.float64), _FLOOR, 1 - _FLOOR)
    return np.mean(np.log(p) - np.log1p(-p), axis=0)


def fit(vectors_by_track: Mapping[str, Sequence[np.ndarray]]) -> TrackTags:
    """Equation (2).

    Args:
      vectors_by_track: `tag_vector` of true stems of songs that are not judged, two a track or
        more; those of one song may be several.

    Raises:
      BadInput: fewer than two tracks, or than two stems of a track, or all of them alike.
    """
    require(len(vectors_by_track) > 1, 'tags: tracks', sorted(vectors_by_track), 'are two and more')
    counts = {track: len(vectors) for track, vectors in vectors_by_track.items()}
    require(min(counts.values()) > 1, 'tags: stems', counts, 'are two of each track and more')
    stacked = [np.stack([*vectors]) for vectors in vectors_by_track.values()]
    means = np.stack([vectors.mean(axis=0) for vectors in stacked])
    around = np.concatenate([x - mean for x, mean in zip(stacked, means, strict=True)])
    within = moments(around, shrink=True).covariance
    spread = float(np.trace(within))
    require(spread > 0, 'tags: spread of stems about the mean of their track', spread, 'is above 0')
    return TrackTags(
        tracks=tuple(vectors_by_track),
        means=means,
        precision=np.linalg.inv(within),
        counts=tuple(counts.values()),
    )
