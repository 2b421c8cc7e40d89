"""The synthetic subject of an ablation: the law's latents as batches, and what is asked of a run.

A step's batch is a function of (seed, step), the tasks are those that the curriculum draws for
(seed, example), and the index that keys an example's noise holds the seed as well:

(1) index = seed 2^24 + step x batch + slot

so that seeds differ in all that is drawn, and one compiled step serves them all. A prompt is one
token that tells the key; some sets have none. The prefix of a task has a token for each target.
"""

import dataclasses
from collections.abc import Iterator, Mapping

import numpy as np
from ml_collections import ConfigDict

from data_pipeline.curriculum import Curriculum
from jen1composer.diffusion.batch import Batch, Task, Text
from jen1composer.errors import require
from jen1composer.evaluation.synthetic_law import Sets, SyntheticLaw
from jen1composer.tracks import Role

SEED_BITS, INDEX_BITS = 8, 24
TEXT_WIDTH = 16


@dataclasses.dataclass(frozen=True, kw_only=True)
class Words:
    """Random token states that stand for a text encoder's: the same in every run."""

    keys: np.ndarray  # [key, width]
    tracks: np.ndarray  # [track, width]

    @classmethod
    def of(cls, law: SyntheticLaw) -> 'Words':
        rng = np.random.default_rng(0)
        sizes = len(law.keys), law.num_tracks
        keys, tracks = (rng.standard_normal((n, TEXT_WIDTH)).astype(np.float32) for n in sizes)
        return cls(keys=keys, tracks=tracks)

    def text(self, z: np.ndarray, roles: np.ndarray, prompted: np.ndarray) -> Text:
        """Of sets with `z` [set, 3] and `roles` [set, track]; `prompted` [set] have a prompt."""
        states = np.broadcast_to(self.tracks, (*roles.shape, TEXT_WIDTH))
        return Text(
            prompt=self.keys[z[:, :1]],
            prompt_mask=np.ones((len(z), 1), bool),
            use_prompt=prompted,
            prefix=states,
            prefix_mask=roles == Role.TARGET,
        )


@dataclasses.dataclass(frozen=True, kw_only=True)
class SyntheticBatches:
    """`batches(step)` of a run with `seed`; `p_prompt` of the examples have a prompt."""

    law: SyntheticLaw
    curriculum: Curriculum
    batch: int
    seed: int
    p_prompt: float

    def __post_init__(self) -> None:
        require(0 <= self.seed < 1 << SEED_BITS, 'seeds', self.seed, 'are 0 to 255')
        last = self.batch * self.curriculum.total_steps
        require(last < 1 << INDEX_BITS, 'examples', last, f'are below {1 << INDEX_BITS}')

    def __call__(self, first_step: int) -> Iterator[Batch]:
        for step in range(first_step, self.curriculum.total_steps):
            yield self.at(step)

    def at(self, step: int) -> Batch:
        """The batch of `step`."""
        rng = np.random.default_rng((self.seed, step))
        sets = self.law.sample(rng, self.batch)
        prompted = rng.random(self.batch) < self.p_prompt
        examples = range(step * self.batch, (step + 1) * self.batch)
        roles = np.stack([self.curriculum.draw_roles(self.seed, i, step) for i in examples])
        index = (self.seed << INDEX_BITS) + np.array(examples)  # (1)
        return make_batch(sets, roles, Words.of(self.law).text(sets.z, roles, prompted), index)


def make_batch(sets: Sets, roles: np.ndarray, text: Text, index: np.ndarray) -> Batch:
    """A batch in which nothing is shown of targets and nothing is causal."""
    return Batch(
        latents=sets.x,
        task=Task(
            roles=roles.astype(np.int32),
            visible=np.zeros(sets.x.shape[:3], bool),
            causal=np.zeros(len(roles), bool),
        ),
        text=text,
        index=index.astype(np.uint32),
    )


def make_law(section: ConfigDict | Mapping) -> SyntheticLaw:
    """The law of a config's section `law`; raises BadInput for a key that it does not have."""
    known = [field.name for field in dataclasses.fields(SyntheticLaw)]
    for name in section:
        require(name in known, '--config.law', name, f'are {", ".join(known)}')
    return SyntheticLaw(**section)
