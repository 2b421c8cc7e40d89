"""Batches for the composer: what is shown and what is asked of it, example by example.

Song and task are separate. For example i, which belongs to step s (`order`),

(1) its window is entry i of the mixture of all data sets' windows (`mixture`);
(2) its task (roles, what is shown, mode) is drawn by the curriculum from (seed, i), with the
    weights of step s;
(3) where the window begins, which prompt and which version of the song it has, are draws of their
    own for (seed, i) (`windows`);
(4) a target that is silent there may give its place to a track that sounds (`silence`).

So a batch is a function of its step, and neither hosts, threads nor worker processes change it.
"""

import dataclasses
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import grain
import jax
import numpy as np

from data_pipeline.curriculum import Curriculum
from data_pipeline.kinds import Kind
from data_pipeline.mixture import Mixture
from data_pipeline.order import Order
from data_pipeline.silence import Silence
from data_pipeline.streams import stream
from data_pipeline.windows import Window, Windows
from jen1composer.diffusion.batch import Batch, Task, Text
from jen1composer.errors import BadInput, require
from jen1composer.tracks import task_id


class StepBatches(grain.MapDataset[Batch]):
    """Element s is this host's part of the batch of step s."""

    def __init__(
        self,
        mixture: Mixture,
        curriculum: Curriculum,
        order: Order,
        silence: Silence | None = None,
    ):
        """Raises BadInput where the windows are too short for the spans of the curriculum."""
        super().__init__()
        curriculum.kinds.check(mixture.num_frames)
        self._mixture = mixture
        self._curriculum = curriculum
        self._order = order
        self._silence = silence

    def __len__(self) -> int:
        return self._order.total_steps

    def __getitem__(self, step: Any) -> Any:
        if isinstance(step, slice):
            return self.slice(step)
        seed, indices = self._order.seed, self._order.indices(step)

        def examples() -> Iterator[Batch]:
            for index in indices:
                windows, window = self._mixture[index]  # (1)
                task = self._curriculum.draw(seed, index, step, windows.num_frames)  # (2)
                yield example(windows, window, task, index, seed, self._silence)

        return stack(examples(), len(indices))


def example(
    windows: Windows,
    window: Window,
    task: Task,
    index: int,
    seed: int | None,
    silence: Silence | None = None,
) -> Batch:
    """One example, like `task` without a batch axis.

    Where `seed` is None the window is not moved, of its song's prompts and versions it has the
    first, and its task is `task` whatever is silent.
    """
    tables = windows.latents.text
    row = windows.prompt_row(window, seed, index)
    offset, version = 0, 0
    if seed is not None:  # (3)
        offset, version = windows.jitter(seed, index), windows.version(seed, index)
    latents = windows.view(window, offset, version)
    if seed is not None and silence is not None:  # (4)
        task = silence.seldom_asked(task, latents, seed, index)
    targets = task_id(task.roles.tolist())
    return Batch(
        latents=latents,
        task=task,
        text=Text(
            prompt=tables.prompt[row],
            prompt_mask=tables.prompt_mask[row],
            use_prompt=np.array(bool(windows.latents.prompts[row])),  # As generation has it.
            prefix=tables.prefix[targets],
            prefix_mask=tables.prefix_mask[targets],
            control=windows.control(window, offset),
        ),
        index=np.array(index, np.uint32),
    )


def stack(examples: Iterable[Batch], count: int) -> Batch:
    """`count` examples as a batch, each put in its place as it comes.

    What an example was read from is let go before the next one is read.
    """
    stacked: list[np.ndarray] = []
    structure = None
    for row, one in enumerate(examples):
        leaves, structure = jax.tree.flatten(one)
        stacked = stacked or [np.empty((count, *leaf.shape), leaf.dtype) for leaf in leaves]
        for whole, leaf in zip(stacked, leaves, strict=True):
            whole[row] = leaf
    return jax.tree.unflatten(structure, stacked)


def batches(
    mixture: Mixture,
    curriculum: Curriculum,
    order: Order,
    *,
    first_step: int,
    threads: int = 2,
    workers: int = 0,
    silence: Silence | None = None,
) -> Iterator[Batch]:
    """This host's batches of steps first_step, first_step + 1, ..., read ahead.

    Args:
      mixture: of windows.
      curriculum: what is asked.
      order: which examples.
      first_step: where to begin.
      threads: that read, in each process.
      workers: processes that read, beside this one; 0 reads in this one. They need absl's flags to
        be parsed, as a command has them.
      silence: which targets give their place to others; None: none does.

    Raises BadInput for a negative number of workers.
    """
    require(workers >= 0, 'workers', workers, 'is 0 or more')
    ahead = grain.ReadOptions(num_threads=threads, prefetch_buffer_size=2 * threads)
    remaining = StepBatches(mixture, curriculum, order, silence).slice(slice(first_step, None))
    read = remaining.to_iter_dataset(ahead)
    if workers:
        read = read.mp_prefetch(grain.MultiprocessingOptions(num_workers=workers))
    return iter(read)


def fixed_batches(
    mixture: Mixture,
    curriculum: Curriculum,
    *,
    batch: int,
    num_batches: int,
    seed: int,
    kind: Kind = Kind.TEXT,
    p_causal: float = 0.0,
) -> list[Batch]:
    """The same batches every time, for validation: windows evenly spread, tasks of the last stage.

    All tasks are of one kind, text in both directions unless told otherwise: losses of different
    kinds are not to be compared. Windows, roles and noise are the same whatever the kind; example
    indices count from 0, so the noise is the same every time too.

    Raises BadInput where the windows are too short for the spans of `kind`.
    """
    of_kind = dataclasses.replace(curriculum, kinds=curriculum.kinds.only(kind, p_causal))
    count = batch * num_batches
    last_step = sum(stage.steps for stage in curriculum.stages)
    return _stacked(
        [(windows, windows[position]) for windows, position in _spread(mixture, count)],
        [of_kind.draw(seed, i, last_step, mixture.num_frames) for i in range(count)],
        batch,
    )


def stranger_batches(mixture: Mixture, batches: Sequence[Batch], *, seed: int) -> list[Batch]:
    """For each example of `fixed_batches` the same task with latents of another song.

    It is one of the same data set. Raises BadInput where there is only one song in it.
    """
    batch = len(batches[0].index)
    count = batch * len(batches)
    chosen = []
    for i, (windows, position) in enumerate(_spread(mixture, count)):
        begin, end = windows.span(windows.row_of(position))
        others = len(windows) - (end - begin)
        if not others:
            raise BadInput(f'{windows.latents.folder}: one song; allowed is two or more')
        other = int(stream(seed, i, 'jitter').integers(others))
        chosen.append((windows, windows[other if other < begin else other + end - begin]))
    tasks = [
        Task(roles=roles, visible=visible, causal=causal)
        for task in (b.task for b in batches)
        for roles, visible, causal in zip(task.roles, task.visible, task.causal, strict=True)
    ]
    return _stacked(chosen, tasks, batch)


def _spread(mixture: Mixture, count: int) -> list[tuple[Windows, int]]:
    """`count` windows of a mixture, those of each data set evenly spread over it."""
    places = [mixture.place(i) for i in range(count)]
    counts = np.bincount([part for part, _ in places])
    return [
        (mixture.parts[part], position * len(mixture.parts[part]) // int(counts[part]))
        for part, position in places
    ]


def _stacked(
    places: Sequence[tuple[Windows, Window]], tasks: Sequence[Task], batch: int
) -> list[Batch]:
    def examples(begin: int) -> Iterator[Batch]:
        for i in range(begin, begin + batch):
            windows, window = places[i]
            yield example(windows, window, tasks[i], i, seed=None)

    return [stack(examples(begin), batch) for begin in range(0, len(places), batch)]
