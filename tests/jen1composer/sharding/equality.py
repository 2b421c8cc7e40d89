"""Training a tiny network under a layout, and how far its gradients are from those of one device.

XLA can shard a convolution wrongly in a way that leaves the loss right and the gradient wrong by a
factor (see `sharding.layout`), so what is compared is every leaf of the gradient. The optimiser is
SGD, because Adam would turn a zero gradient's rounding into a step; with momentum, because its
trace after one step is the gradient itself.

Both stages have all that they can have: the composer's every second example is causal and has a
span to fill in, the autoencoder has its adversary, past the ramp.

    python -m tests.jen1composer.sharding.equality [cover]

prints the largest error per strategy and stage, 1 being what is allowed, over the grid or a part.
"""

import dataclasses
import functools
import sys
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import numpy as np
import optax
from jax.stages import Compiled

from jen1composer.models.autoencoder import Autoencoder, AutoencoderConfig
from jen1composer.models.discriminator import Discriminators
from jen1composer.models.layers import ANYWHERE, Placement
from jen1composer.models.unet import UNet
from jen1composer.sharding.layout import Layout
from jen1composer.sharding.strategies import STRATEGIES, strategy
from jen1composer.training.adversary import (
    AUTOENCODER,
    DISCRIMINATOR,
    Adversary,
    AdversaryConfig,
    two_optimizers,
)
from jen1composer.training.autoencoder_losses import AutoencoderLossConfig
from jen1composer.training.autoencoder_step import AutoencoderTaskConfig, init_params, make_loss
from jen1composer.training.composer_step import DiffusionConfig, make_composer_loss
from jen1composer.training.program import Program, Recipe, make_program
from jen1composer.training.state import PyTree, TrainState, initial_state
from tests import tiny
from tests.jen1composer.tiny_adversary import TINY
from tests.jen1composer.tiny_codec import sound

STAGES = ('autoencoder', 'composer')
REMATS = ('none', 'block', 'full')
BATCH = 32  # over eight devices in four parts
STEPS = 3

# Where a strategy has several mesh axes, all are larger than one.
MESHES = {
    'dp': ('data=8',),
    'fsdp': ('fsdp=8', 'data=2,fsdp=4'),
    'tp': ('data=2,tensor=4', 'tensor=8'),
    'fsdp_tp': ('data=2,fsdp=2,tensor=2', 'fsdp=2,tensor=4'),
    'hybrid': ('data=2,fsdp=4',),
    'sp': ('data=2,fsdp=2,sequence=2', 'data=2,sequence=4'),
}

UNET = dataclasses.replace(
    tiny.UNET,
    channels=(16, 32),
    spans=True,
    norm_groups=4,
    context_width=16,
    time_embedding='learned',
)
CODEC = AutoencoderConfig(
    strides=(8, 2),
    channels=(8, 16),
    encoder_blocks=(0, 1),
    decoder_blocks=(0, 1),
    latent_channels=4,
    bands=2,
    band_corner_hz=5000.0,
)
JUDGES = dataclasses.replace(TINY, period_channels=(8, 8), spectrum_channels=8)
SGD = optax.sgd(0.05, momentum=0.9)


class Cell(NamedTuple):
    """What is trained, and how; the mesh '' is one device."""

    stage: str
    strategy: str
    mesh: str = ''
    accumulate: int = 1
    remat: str = 'none'

    @property
    def alone(self) -> 'Cell':
        """The same on one device; nothing of the composer's should depend on the last two."""
        accumulate = self.accumulate if self.stage == 'autoencoder' else 1
        return Cell(self.stage, 'dp', '', accumulate)


class Trained(NamedTuple):
    """By the names of the leaves."""

    gradient: dict[str, np.ndarray]  # of the first step
    params: dict[str, np.ndarray]  # after the last
    hlo: str  # of the step


def recipe(cell: Cell, layout: Layout) -> Recipe:
    place = layout if cell.mesh else ANYWHERE
    make = _autoencoder if cell.stage == 'autoencoder' else _composer
    settings: dict[str, Any] = make(cell, place)
    return Recipe(ema_decay=0.9, layout=layout, accumulate=cell.accumulate, **settings)


def _composer(cell: Cell, place: Placement) -> dict[str, Any]:
    config = dataclasses.replace(UNET, remat=cell.remat)
    return {
        'init_params': lambda: tiny.init_boxed(config),
        'loss_fn': make_composer_loss(UNet(config, place), DiffusionConfig(), 0),
        'optimizer': SGD,
    }


def _autoencoder(cell: Cell, place: Placement) -> dict[str, Any]:
    del cell
    weights = AdversaryConfig(
        adversarial=1.0, feature_matching=1.0, counts_from=0, ramp_steps=1, learns_from=0
    )
    adversary = Adversary(model=Discriminators(JUDGES, place), config=weights)
    task = AutoencoderTaskConfig(losses=AutoencoderLossConfig(sizes=(64,)))
    model = Autoencoder(CODEC, place)
    return {
        'init_params': lambda: init_params(model, 0, adversary),
        'loss_fn': make_loss(model, task, 0, adversary),
        'optimizer': two_optimizers(SGD, SGD),
        'networks': (AUTOENCODER, DISCRIMINATOR),
    }


def batch(stage: str, step: int) -> PyTree:
    if stage == 'composer':
        roles = tiny.ROLES * (BATCH // len(tiny.ROLES))
        return tiny.mixed(
            tiny.make_batch(roles, num_frames=16, seed=step, first_index=BATCH * step)
        )
    index = np.arange(BATCH * step, BATCH * (step + 1), dtype=np.uint32)
    return {'waveform': sound(BATCH, 256, 2, seed=step), 'index': index}


@functools.cache
def start(stage: str) -> TrainState:
    """Past the ramp of the adversary, with no weight at zero."""
    cell = Cell(stage, 'dp')
    made = recipe(cell, layout_of(cell))
    shapes = nn.unbox(jax.eval_shape(made.init_params))
    nothing = jax.tree.map(lambda leaf: np.zeros(leaf.shape, leaf.dtype), shapes)
    params = tiny.randomised(nothing, scale=0.3)
    state = initial_state(lambda: params, made.optimizer)
    return dataclasses.replace(jax.device_get(state), step=np.asarray(9, np.int32))


def layout_of(cell: Cell) -> Layout:
    if not cell.mesh:
        return strategy('dp').layout(devices=jax.devices()[:1])
    chosen = strategy(cell.strategy)
    rules = dataclasses.replace(chosen.rules, whole_below_bytes=0, most_whole=1.0)
    return dataclasses.replace(chosen, rules=rules).layout(cell.mesh)


def compiled(cell: Cell) -> tuple[Program, Compiled]:
    """The very program that a run has, and its step; not kept, since a process may hold few."""
    program = make_program(recipe(cell, layout_of(cell)))
    shapes = jax.tree.map(
        lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=program.batch),
        batch(cell.stage, 0),
    )
    # Compiled quickly rather than well: how arrays are split is decided before.
    lowered = program.step.lower(program.abstract, shapes)
    return program, lowered.compile({'xla_backend_optimization_level': 0})


@functools.cache
def trained(cell: Cell) -> Trained:
    """What comes of three steps."""
    program, step = compiled(cell)
    shardings = jax.tree.map(lambda leaf: leaf.sharding, program.abstract)
    state = jax.device_put(start(cell.stage), shardings)
    state, _ = step(state, jax.device_put(batch(cell.stage, 0), program.batch))
    gradient = by_name(_trace(cell.stage, state))
    for number in range(1, STEPS):
        state, _ = step(state, jax.device_put(batch(cell.stage, number), program.batch))
    return Trained(gradient, by_name(state.params), step.as_text())


def _trace(stage: str, state: TrainState) -> PyTree:
    if stage == 'composer':
        return state.opt_state[0].trace
    inner = state.opt_state.inner_states
    return {
        name: optax.tree.get(inner[name], 'trace')[name] for name in (AUTOENCODER, DISCRIMINATOR)
    }


def by_name(tree: PyTree) -> dict[str, np.ndarray]:
    leaves = jax.tree_util.tree_leaves_with_path(tree)
    return {jax.tree_util.keystr(path): np.asarray(leaf) for path, leaf in leaves}


def worst(found: dict, true: dict) -> float:
    """The largest of max |difference| / (1e-5 max |leaf| + 1e-7) over the leaves; 1 is allowed."""
    assert found.keys() == true.keys()
    return max(
        np.abs(found[name] - leaf).max() / (1e-5 * np.abs(leaf).max() + 1e-7)
        for name, leaf in true.items()
    )


def errors(cell: Cell) -> tuple[float, float]:
    """How far a cell is from one device: its gradient, and its parameters after all steps."""
    found, true = trained(cell), trained(cell.alone)
    return worst(found.gradient, true.gradient), worst(found.params, true.params)


def grid() -> list[Cell]:
    """Every strategy on every mesh, in both stages, whole and in parts, with each remat."""
    return [
        Cell(stage, name, mesh, accumulate, remat)
        for stage in STAGES
        for name in STRATEGIES
        for mesh in MESHES[name]
        for accumulate in (1, 4)
        for remat in (REMATS if stage == 'composer' else ('none',))
    ]


def cover() -> list[Cell]:
    """A part of the grid in which any two settings meet: accumulation changes from cell to cell."""
    cells = []
    for row, name in enumerate(STRATEGIES):
        parts = (1, 4, 1)[row % 2 :]
        cells.append(Cell('autoencoder', name, MESHES[name][-1], parts[0]))
        for column, remat in enumerate(REMATS):
            cells.append(Cell('composer', name, MESHES[name][0], parts[column % 2], remat))
    return cells


def main(cells: list[Cell]) -> None:
    table: dict[tuple[str, str], list[tuple[float, float]]] = {}
    for cell in cells:
        found = errors(cell)
        table.setdefault((cell.strategy, cell.stage), []).append(found)
        print(*cell, *(f'{value:.3f}' for value in found), flush=True)
    for (name, stage), found in table.items():
        gradient, params = (max(values) for values in zip(*found, strict=True))
        print(f'{name:8} {stage:12} gradient {gradient:.3f} parameters {params:.3f}')


if __name__ == '__main__':
    jax.config.update('jax_num_cpu_devices', 8)
    main(cover() if sys.argv[1:] == ['cover'] else grid())
