"""Batches for the composer: a random-access mixture over task types, on top of seeded windows.

Song and task are separate. Example i belongs to step s = i // global batch;

(1) its window is entry i of a seeded permutation of all windows, reshuffled every epoch (Grain);
(2) its task (roles, what is shown, mode) is drawn by the curriculum from (seed, i) with the
    weights of step s;
(3) host h of H reads the slots h x B/H .. (h + 1) x B/H - 1 of every step.

So the position is the step alone: nothing has to be saved to resume, and the number of hosts may
change between runs. Grain's own `MapDataset.mix` takes fixed weights and repeats a pattern that
ties tasks to batch slots, hence our own dataset.
"""

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any, cast

import grain
import jax
import numpy as np

from data_pipeline.curriculum import Curriculum
from data_pipeline.kinds import Kind
from data_pipeline.streams import stream
from data_pipeline.windows import Window, Windows
from jen1composer.diffusion.batch import Batch, Task, Text
from jen1composer.errors import BadInput, require
from jen1composer.tracks import task_id

MAX_INDEX = 2**32  # an example index is keyed as uint32


@dataclasses.dataclass(frozen=True, kw_only=True)
class Order:
    """Which examples there are, and which of them this host reads."""

    seed: int
    global_batch: int
    total_steps: int
    host: int = 0
    hosts: int = 1

    def __post_init__(self) -> None:
        require(0 <= self.seed < 2**31, 'seed', self.seed, f'are 0 to {2**31 - 1}')
        require(self.global_batch >= 1, 'batch', self.global_batch, 'is 1 or more')
        if self.global_batch % self.hosts:
            raise BadInput(
                f'batch: {self.global_batch}; allowed are multiples of {self.hosts} hosts'
            )
        if self.global_batch * self.total_steps > MAX_INDEX:
            raise BadInput(
                f'total_steps: {self.total_steps} of batch {self.global_batch}; '
                f'allowed are {MAX_INDEX} examples'
            )

    @property
    def host_batch(self) -> int:
        return self.global_batch // self.hosts

    def example_index(self, position: int) -> int:
        """Equation (3): the `position`-th example this host reads -> its index among all."""
        step, slot = divmod(position, self.host_batch)
        return step * self.global_batch + self.host * self.host_batch + slot


class TaskMixture(grain.MapDataset[Batch]):
    """Element p is the host's p-th example: a `Batch` of one, without its batch axis."""

    def __init__(self, windows: Windows, curriculum: Curriculum, order: Order):
        """Raises BadInput where the windows are too short for the spans of the curriculum."""
        curriculum.kinds.check(windows.num_frames)
        # grain's stubs want a RandomAccessDataSource; `Windows` is one by its two methods.
        source = grain.MapDataset.source(cast(Any, windows))
        permutation = source.shuffle(seed=order.seed).repeat()  # (1)
        super().__init__(permutation)
        self._windows = windows
        self._curriculum = curriculum
        self._order = order

    def __len__(self) -> int:
        return self._order.host_batch * self._order.total_steps

    def __getitem__(self, position: Any) -> Any:
        if isinstance(position, slice):
            return self.slice(position)
        order = self._order
        index = order.example_index(position)
        step, num_frames = index // order.global_batch, self._windows.num_frames
        task = self._curriculum.draw(order.seed, index, step, num_frames)  # (2)
        window = cast(Window, self._parent[index])
        return example(self._windows, window, task, index, order.seed)


def example(windows: Windows, window: Window, task: Task, index: int, seed: int | None) -> Batch:
    """One example, like `task` without a batch axis; not jittered where `seed` is None."""
    tables = windows.latents.text
    row, targets = windows.prompt_row(window), task_id(task.roles.tolist())
    return Batch(
        latents=windows.read(window, 0 if seed is None else windows.jitter(seed, index)),
        task=task,
        text=Text(
            prompt=tables.prompt[row],
            prompt_mask=tables.prompt_mask[row],
            use_prompt=np.array(bool(windows.prompt(window))),  # As generation has it.
            prefix=tables.prefix[targets],
            prefix_mask=tables.prefix_mask[targets],
        ),
        index=np.array(index, np.uint32),
    )


def batches(
    windows: Windows, curriculum: Curriculum, order: Order, *, first_step: int, threads: int = 2
) -> Iterator[Batch]:
    """This host's batches of steps first_step, first_step + 1, ..., read ahead by threads."""
    dataset = TaskMixture(windows, curriculum, order)
    remaining = dataset.slice(slice(first_step * order.host_batch, None))
    stacked = remaining.batch(order.host_batch, drop_remainder=True)
    options = grain.ReadOptions(num_threads=threads, prefetch_buffer_size=4 * threads)
    return iter(stacked.to_iter_dataset(options))


def fixed_batches(
    windows: Windows,
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
        windows,
        [windows[i * len(windows) // count] for i in range(count)],
        [of_kind.draw(seed, i, last_step, windows.num_frames) for i in range(count)],
        batch,
    )


def stranger_batches(windows: Windows, batches: Sequence[Batch], *, seed: int) -> list[Batch]:
    """For each example of `fixed_batches` the same task with latents of another song.

    Raises BadInput where there is only one song.
    """
    batch = len(batches[0].index)
    count = batch * len(batches)
    chosen = []
    for i in range(count):
        song = windows[i * len(windows) // count].song
        others = [place for place in windows.places if place.song != song]
        if not others:
            raise BadInput(f'{windows.latents.folder}: one song; allowed is two or more')
        chosen.append(others[stream(seed, i, 'jitter').integers(len(others))])
    tasks = [
        Task(roles=roles, visible=visible, causal=causal)
        for task in (b.task for b in batches)
        for roles, visible, causal in zip(task.roles, task.visible, task.causal, strict=True)
    ]
    return _stacked(windows, chosen, tasks, batch)


def _stacked(
    windows: Windows, places: Sequence[Window], tasks: Sequence[Task], batch: int
) -> list[Batch]:
    singles = [
        example(windows, place, task, i, seed=None)
        for i, (place, task) in enumerate(zip(places, tasks, strict=True))
    ]
    return [
        jax.tree.map(lambda *leaves: np.stack(leaves), *singles[start : start + batch])
        for start in range(0, len(singles), batch)
    ]
