"""A track that is silent is seldom asked for.

Of 4,944 windows of Freedoom's training songs, 5.12 s each, the melody is silent by (2) in 48 %, the
bass in 15, drums in 9, the instrument in 3. A model that is asked for a track whatever sounds
learns that, and is silent as often; but who asks for a track wants to hear it. With z_0 the latent
of digital silence,

(1) frame j of track k is silent   |z_kj - z_0| < NEAR |z_0|
(2) track k is silent              more than half of its frames are
(3) of the silent targets   each stays one with probability `keep`; of the rest as many as there are
                            sounding tracks that are not asked for exchange roles with one of these
(4) those that are left     are marginalised, the last tracks first to be left, if another target
                            sounds or stays

so as many tracks are asked for as before wherever enough of them sound. Without the exchange a
track that is the only one asked for stayed silent: as often as ever where the others are given. The
mixture of tasks is another then: were the four silent independently of each other, configs/tonal.py
would ask for all four tracks in .19 of its examples (.50 before), and .35 of what is given would be
silent (.19), which tells something too. Ours; the papers do not speak of it.
"""

import dataclasses

import numpy as np

from data_pipeline.streams import stream
from jen1composer.diffusion.batch import Task
from jen1composer.errors import require
from jen1composer.tracks import Role

NEAR = 0.2


@dataclasses.dataclass(frozen=True, kw_only=True)
class Silence:
    """What silence is like, and how often it is asked for."""

    latent: np.ndarray  # z_0, float32 [channel]
    keep: float

    def __post_init__(self) -> None:
        require(0 <= self.keep <= 1, 'curriculum.silent_targets', self.keep, 'is 0 to 1')

    def tracks(self, latents: np.ndarray) -> np.ndarray:
        """(2) of `[track, frame, channel]`: bool [track]."""
        away = np.linalg.norm(latents.astype(np.float32) - self.latent, axis=-1)  # (1)
        return (away < NEAR * np.linalg.norm(self.latent)).mean(axis=-1) > 0.5

    def seldom_asked(self, task: Task, latents: np.ndarray, seed: int, index: int) -> Task:
        """(3, 4): the task of example `index` on the window `latents`, without a batch axis."""
        draw = stream(seed, index, 'silence')
        targets, silent = task.roles == Role.TARGET, self.tracks(latents)
        unwanted = np.flatnonzero(targets & silent & (draw.random(len(targets)) >= self.keep))
        instead = draw.permutation(np.flatnonzero(~targets & ~silent))[: len(unwanted)]

        out, left = unwanted[: len(instead)], unwanted[len(instead) :]
        order = np.arange(len(targets))
        order[out], order[instead] = instead, out
        roles, visible = task.roles[order], task.visible[order]  # (3)
        if len(left) < targets.sum():
            roles[left], visible[left] = Role.MARGINAL, False  # (4)
        return dataclasses.replace(task, roles=roles, visible=visible)
