"""Muon: the averaged gradient of a matrix, with its singular values made alike.

Jordan et al. 2024 (kellerjordan.github.io/posts/muon). With G the Nesterov average of a matrix's
gradients and X_0 = G / |G| (Frobenius), whose singular values lie in 0 .. 1, five steps of

(1) X_(k+1) = p(A_k) X_k,   A_k = X_k X_k^T,   p(A) = 3.4445 - 4.775 A + 2.0315 A^2

bring every singular value near one, hence X_5 near U V^T of G = U S V^T. A matrix that is taller
than wide is worked on from its other side, so that A_k is of the smaller side m, the larger being
n. All p(A_k) commute, being polynomials in A_0, so (1) needs the small matrices alone:

(2) Q_0 = 1,   Q_(k+1) = Q_k p(A_k),   A_(k+1) = p(A_k) A_k p(A_k),   X_5 = Q_5 X_0

(1) takes 20 m^2 n + 10 m^3 operations and (2) takes 4 m^2 n + 34 m^3, which is less from n = 1.5 m
on. (2) is taken there, in full float32 on any device: p multiplies the errors of A near zero, where
the quiet directions are, by 3.4445^2 a step, which the rounding of a shorter format does not bear.

What `optax.contrib.muon` does is the same to rounding, and so is its state, whose checkpoints
serve. It maps (1) over stacks, of one matrix mostly, and a CPU takes two to three times as long
over such batched products as over plain ones. Elsewhere many small products may be what costs most
(launch/train_cases.py; not timed apart), so off the CPU all matrices of one shape or its transpose
are one stack.
"""

from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import optax
from optax import contrib

COEFFICIENTS = (3.4445, -4.7750, 2.0315)
STEPS = 5
EPSILON = 1e-8
GRAM_FROM = 1.5  # n / m, from which (2) is less work than (1)

PyTree = Any
# Parameters -> for each of them how many matrices it holds: 1 or, of a stack, its first axis; or 0.
Count = Callable[[PyTree], PyTree]


def orthogonalized(x: jax.Array) -> jax.Array:
    """X_5 for `[rows, columns]`, float32; zeros for zeros."""
    rows, columns = x.shape
    if rows > columns:
        # Transposed in memory: a CPU is slow at products that would read it so.
        return orthogonalized(jax.lax.optimization_barrier(x.T)).T
    a, b, c = COEFFICIENTS
    x = x / (jnp.linalg.norm(x) + EPSILON)
    if columns < GRAM_FROM * rows:
        for _ in range(STEPS):  # (1)
            gram = x @ x.T
            x = a * x + (b * gram + c * (gram @ gram)) @ x
        return x

    def product(left: jax.Array, right: jax.Array) -> jax.Array:
        return jnp.matmul(left, right, precision='highest')

    gram = product(x, x.T)
    total = identity = jnp.eye(rows, dtype=x.dtype)
    for step in range(STEPS):  # (2)
        p = a * identity + b * gram + c * product(gram, gram)
        total = p if step == 0 else product(total, p)
        if step + 1 < STEPS:
            gram = product(p, product(gram, p))
    return product(total, x)


def one_by_one(matrices: Sequence[jax.Array]) -> list[jax.Array]:
    """X_5 of each."""
    return [orthogonalized(x) for x in matrices]


def together(matrices: Sequence[jax.Array]) -> list[jax.Array]:
    """X_5 of each, of matrices of one shape or its transpose, as one stack."""
    wide = [x if x.shape[0] <= x.shape[1] else x.T for x in matrices]
    made = jax.vmap(orthogonalized)(jnp.stack(wide))
    return [y if y.shape == x.shape else y.T for x, y in zip(matrices, made, strict=True)]


def directions(matrices: Sequence[jax.Array]) -> list[jax.Array]:
    """X_5 of each, in the way that the platform is quick at."""
    by_shape: dict[Any, list[int]] = defaultdict(list)
    for i, x in enumerate(matrices):
        by_shape[x.dtype, *sorted(x.shape)].append(i)
    made = list(matrices)
    for places in by_shape.values():
        group = [matrices[i] for i in places]
        found = jax.lax.platform_dependent(group, cpu=one_by_one, default=together)
        for i, x in zip(places, found, strict=True):
            made[i] = x
    return made


def muon(
    learning_rate: optax.Schedule,
    *,
    count: Count,
    momentum: float,
    weight_decay: float,
    rms: float,
    b1: float,
    b2: float,
) -> optax.GradientTransformation:
    """Muon for matrices, and AdamW with Nesterov momentum, without decay, for what is none.

    Args:
        learning_rate: of both.
        count: which weights are matrices, each from all its axes but the last to the last one; of
            a stack the first axis counts them.
        momentum: decay of the average of gradients.
        weight_decay: of the matrices.
        rms: root mean square of an update at a learning rate of one.
        b1, b2: of AdamW.
    """

    def labels(params: PyTree) -> PyTree:
        return jax.tree.map(lambda number: 'muon' if number else 'adam', count(params))

    matrices = optax.chain(
        _directions(momentum, rms, count),
        optax.identity(),  # saved states have a place for the factor of `rms`
        optax.add_decayed_weights(weight_decay),
        optax.scale_by_learning_rate(learning_rate),
    )
    others = optax.adamw(learning_rate, b1=b1, b2=b2, eps=EPSILON, weight_decay=0.0, nesterov=True)
    return optax.partition({'muon': matrices, 'adam': others}, labels)


def _directions(momentum: float, rms: float, count: Count) -> optax.GradientTransformation:
    """Gradients to steps of the size `rms`, with the state that optax has for it."""
    like_optax = contrib.scale_by_muon(COEFFICIENTS, STEPS, momentum, EPSILON)

    def update(
        grads: PyTree, state: contrib.MuonState, params: PyTree = None
    ) -> tuple[PyTree, contrib.MuonState]:
        del params
        done = optax.safe_increment(jnp.asarray(state.count))
        mu = optax.tree.update_moment(grads, state.mu, momentum, 1)
        ahead = optax.tree.bias_correction(mu, momentum, optax.safe_increment(done))
        now = optax.tree.bias_correction(grads, momentum, done)
        average = jax.tree.map(lambda m, g: momentum * m + (1 - momentum) * g, ahead, now)

        leaves, structure = jax.tree.flatten(average)
        numbers = jax.tree.leaves(count(average))
        stacks = [g.reshape(n, -1, g.shape[-1]) for g, n in zip(leaves, numbers, strict=True)]
        made = iter(directions([x for stack in stacks for x in stack]))
        steps = [
            rms * max(stack.shape[1:]) ** 0.5 * jnp.stack([next(made) for _ in stack])
            for stack in stacks
        ]
        shaped = [x.reshape(g.shape) for x, g in zip(steps, leaves, strict=True)]
        return jax.tree.unflatten(structure, shaped), contrib.MuonState(
            count=done, mu=mu, ns_coeffs=state.ns_coeffs
        )

    return optax.GradientTransformation(like_optax.init, update)
