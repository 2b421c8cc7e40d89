"""What is nearest: a baseline that generates nothing, but looks for what there is already.

(1) row(q) = the first k of largest cosine <q, k> / |q||k|

Among training songs by the embedding of their prompts, its stems laid beside given ones are what a
generator has to beat: real music of the kind that was asked for, that does not listen.
"""

import numpy as np

EQUAL = 1e-9  # sums in another order differ by less, other embeddings by more


def nearest(queries: np.ndarray, keys: np.ndarray) -> np.ndarray:
    """Equation (1): `[query, width]`, `[key, width]` -> int `[query]`, a row of `keys` each.

    A vector of zeros is as near to everything. Raises ValueError for no keys, or other widths.
    """
    if queries.ndim != 2 or keys.ndim != 2 or queries.shape[1] != keys.shape[1] or not len(keys):
        raise ValueError(f'cannot look for {queries.shape} in {keys.shape}')
    cosine = _unit(queries) @ _unit(keys).T  # [query, key]
    return (cosine >= cosine.max(axis=1, keepdims=True) - EQUAL).argmax(axis=1)


def _unit(vectors: np.ndarray) -> np.ndarray:
    vectors = np.asarray(vectors, np.float64)
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors / np.where(length > 0, length, 1)
