"""Which of two systems listeners prefer, how surely, and how far they agree.

A listener's score of a pair is x = 1 where they prefer B, 0 where A, 1/2 where neither, and missing
where they did not answer.

(1) RPR, the relative preference ratio of B over A, is the mean of all scores; 1/2 is a draw. Ties
    count half: left out, two who differ would decide for ninety-eight who cannot tell.
(2) Its interval, with several listeners: listeners and pairs are drawn anew, both with replacement,
    and (1) is taken over the scores of who and what was drawn, each as often as its listener and
    its pair were (Owen 2007, the pigeonhole bootstrap, rather too wide than too narrow). The
    interval leaves out half of 1 - level at either end.
(3) With one listener, or one pair, what was drawn does not vary enough. Then Wilson's interval of n
    answers: with p the ratio and z the normal quantile,

    (p + z^2/2n +- z sqrt(p(1-p)/n + z^2/4n^2)) / (1 + z^2/n)

    It holds for this listener or pair alone.
(4) Agreement is Krippendorff's alpha for nominal values, 1 - D_o / D_e: with o[c, k] the number of
    times that two listeners gave c and k to one pair, each ordered couple of them counted
    1 / (m - 1) of the m who answered it, n_c its sums and n their total,

    alpha = 1 - (n - 1) sum over c != k of o[c, k] / sum over c != k of n_c n_k

    1 is full agreement, 0 that of chance (Krippendorff 2011, Computing Krippendorff's
    Alpha-Reliability).
"""

import dataclasses
import math
import statistics

import numpy as np

LEVEL = 0.95
DRAWS = 10_000
BLOCK = 500  # draws at a time


@dataclasses.dataclass(frozen=True, kw_only=True)
class Preference:
    """How much B is preferred over A.

    Attributes:
        ratio: equation (1).
        low, high: its interval.
        method: 'bootstrap' (2) or 'wilson' (3).
        answers, for_a, for_b, ties: how many there are.
    """

    ratio: float
    low: float
    high: float
    method: str
    answers: int
    for_a: int
    for_b: int
    ties: int


def preference(scores: np.ndarray, *, seed: int, level: float = LEVEL) -> Preference | None:
    """Equations (1) to (3).

    Args:
        scores: `[listener, pair]` of 0, 1/2 and 1, NaN where there is no answer.
        seed: of the bootstrap.
        level: of the interval.

    Returns:
        None where there is no answer at all.
    """
    scores = np.asarray(scores, np.float64)
    if not np.isin(scores[~np.isnan(scores)], (0, 0.5, 1)).all():
        raise ValueError('a score is 0, 1/2, 1 or NaN')
    answered = ~np.isnan(scores)
    scores = scores[answered.any(axis=1)][:, answered.any(axis=0)]
    if not scores.size:
        return None
    given = scores[~np.isnan(scores)]
    several = min(scores.shape) > 1
    low, high = (
        bootstrap_interval(scores, seed=seed, level=level)
        if several
        else wilson_interval(float(given.mean()), len(given), level)
    )
    return Preference(
        ratio=float(given.mean()),
        low=low,
        high=high,
        method='bootstrap' if several else 'wilson',
        answers=len(given),
        for_a=int((given == 0).sum()),
        for_b=int((given == 1).sum()),
        ties=int((given == 0.5).sum()),
    )


def bootstrap_interval(
    scores: np.ndarray, *, seed: int, level: float = LEVEL, draws: int = DRAWS
) -> tuple[float, float]:
    """Equation (2) of `[listener, pair]`, NaN where there is no answer."""
    listeners, pairs = scores.shape
    there = ~np.isnan(scores)
    values = np.where(there, scores, 0)
    ratios = []
    for first in range(0, draws, BLOCK):
        rng = np.random.default_rng((seed, first))
        size = min(BLOCK, draws - first)
        who = rng.multinomial(listeners, np.full(listeners, 1 / listeners), size)
        what = rng.multinomial(pairs, np.full(pairs, 1 / pairs), size)
        counted = np.einsum('DL,LP,DP->D', who, there.astype(float), what, optimize=True)
        summed = np.einsum('DL,LP,DP->D', who, values, what, optimize=True)
        ratios.append(summed[counted > 0] / counted[counted > 0])
    tail = (1 - level) / 2
    low, high = np.quantile(np.concatenate(ratios), (tail, 1 - tail))
    return float(low), float(high)


def wilson_interval(ratio: float, answers: int, level: float = LEVEL) -> tuple[float, float]:
    """Equation (3)."""
    z = statistics.NormalDist().inv_cdf((1 + level) / 2)
    middle = ratio + z**2 / (2 * answers)
    spread = z * math.sqrt(ratio * (1 - ratio) / answers + z**2 / (4 * answers**2))
    scale = 1 + z**2 / answers
    return max(0.0, (middle - spread) / scale), min(1.0, (middle + spread) / scale)


def krippendorff_alpha(values: np.ndarray) -> float | None:
    """Equation (4) of `[listener, pair]`, any numbers as names of values, NaN where there is none.

    None where no pair has two answers, or all answers are one value: nothing could disagree.
    """
    values = np.asarray(values, np.float64)
    names = np.unique(values[~np.isnan(values)])
    counts = (values[:, :, None] == names).sum(axis=0).astype(float)  # [pair, value]
    answers = counts.sum(axis=1)
    counts = counts[answers > 1]
    others = counts.sum(axis=1, keepdims=True) - 1
    together = (counts / others).T @ counts - np.diag((counts / others).sum(axis=0))  # o[c, k]
    of_value = together.sum(axis=1)
    total = of_value.sum()
    expected = total**2 - np.square(of_value).sum()
    if expected <= 0:
        return None
    observed = total - np.trace(together)
    return float(1 - (total - 1) * observed / expected)
