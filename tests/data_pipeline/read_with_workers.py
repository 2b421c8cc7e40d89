"""Prints a hash of every batch that worker processes read, as a command would have them.

python -m tests.data_pipeline.read_with_workers WORKERS
"""

import hashlib
import pathlib
import sys
import tempfile

import jax
from absl import app

from data_pipeline.batches import batches
from data_pipeline.curriculum import Curriculum, Stage
from data_pipeline.mixture import Mixture
from data_pipeline.order import Order, begun
from data_pipeline.windows import Windows
from jen1composer.diffusion.batch import Batch
from tests.data_pipeline import latent_folder as small


def main(argv: list[str]) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        prepared = small.prepare(folder / 'data', {'a': ['rock', 'loud']})
        latents = small.write(folder / 'latents', prepared)
        parts = [Windows(latents, [split], 8) for split in ('train', 'validation')]
        curriculum = Curriculum(num_tracks=4, stages=(Stage(steps=1, shares=(1, 1, 1, 1)),))
        order = Order(seed=7, segments=begun(4), total_steps=9)
        for workers in map(int, argv[1:]):
            read = batches(
                Mixture(parts, [1, 2], 7), curriculum, order, first_step=2, workers=workers
            )
            print(*(digest(batch) for batch in read))


def digest(batch: Batch) -> str:
    leaves = b''.join(leaf.tobytes() for leaf in jax.tree.leaves(batch))
    return hashlib.sha256(leaves).hexdigest()


if __name__ == '__main__':
    app.run(main, argv=sys.argv)
