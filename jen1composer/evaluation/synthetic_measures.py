"""How far generated tracks are from a known law (`synthetic_law`).

With r_k the reading of track k (the likeliest z, from that track alone), N sets, and y samples of
the law:

(1) joint coherence        share of sets whose generated tracks have the same r in all factors
(2) conditional coherence  share of generated tracks whose r is the z of the set that was given
(3) coverage               total variation .5 sum_z |share of sets with r_k = z - p(z)|, mean over k
(4) energy distance        2 E|x - y| - E|x - x'| - E|y - y'| over whole sets, x' another than x; 0
                           for the law itself, and it sees blur as well as what (1) to (3) read

(1) and (2) alone are satisfied by one set made again and again; (3) is not. (3) of N samples of the
law itself is not 0, so it is told beside theirs. (4) is an unbiased estimate, which can be below 0.
"""

import numpy as np
from scipy.spatial.distance import cdist, pdist

from jen1composer.evaluation.synthetic_law import FACTORS, SyntheticLaw


def joint_coherence(law: SyntheticLaw, x: np.ndarray) -> dict[str, float]:
    """Equation (1), for each factor and for 'all', of sets [set, track, frame, 4]."""
    read = law.values[law.read(x)]  # [set, track, factor]
    return _shares((read == read[:, :1]).all(axis=1))


def conditional_coherence(
    law: SyntheticLaw, x: np.ndarray, z: np.ndarray, generated: np.ndarray
) -> dict[str, float]:
    """Equation (2); `z` is [set, 3], and bool `generated` [set, track] says which tracks count."""
    read = law.values[law.read(x)]
    return _shares((read == z[:, None])[generated])


def coverage(law: SyntheticLaw, x: np.ndarray) -> float:
    """Equation (3), of sets [set, track, frame, 4]."""
    read = law.read(x)
    shares = [np.bincount(of, minlength=len(law.odds)) / len(of) for of in read.T]
    return float(np.mean([0.5 * np.abs(share - law.odds).sum() for share in shares]))


def energy_distance(x: np.ndarray, y: np.ndarray) -> float:
    """Equation (4), of two arrays of samples [sample, ...], two or more of each."""
    x, y = (np.asarray(a, np.float64).reshape(len(a), -1) for a in (x, y))
    return float(2 * cdist(x, y).mean() - pdist(x).mean() - pdist(y).mean())


def _shares(agrees: np.ndarray) -> dict[str, float]:
    """The share of rows of bool [row, factor] that agree, for each factor and in all of them."""
    each = zip(FACTORS, agrees.mean(axis=0).tolist(), strict=True)
    return {**dict(each), 'all': float(agrees.all(axis=1).mean())}
