"""What a step needs of a device, and one that does not fit is refused before it runs."""

import dataclasses

import jax
import pytest

from jen1composer.sharding.costs import compiled_costs
from jen1composer.training import run as module
from jen1composer.training.memory import Memory, OutOfMemory, step_memory
from jen1composer.training.program import make_program
from jen1composer.training.run import run_training
from tests.jen1composer.training import toy

MEMORY = Memory(weights=1, optimizer=2, average=1, batch=4, temporaries=2**30)


def test_of_a_step_as_it_is_compiled():
    state, batch = toy.fresh_state(), jax.device_put(toy.batch_of(0))
    compiled = toy.make_step().lower(state, batch).compile()
    memory = step_memory(compiled, state, batch, batches=2)
    assert memory.temporaries == compiled_costs(compiled, 'cpu').temporary_bytes > 0
    assert memory.weights == memory.average == 4 * (15 + 5)
    assert memory.batch == 2 * 4 * 4 * 3
    assert memory.total == sum(dataclasses.astuple(memory))


def test_a_step_that_does_not_fit_is_refused_in_one_line():
    MEMORY.require_at_most(MEMORY.total)
    MEMORY.require_at_most(None)
    with pytest.raises(OutOfMemory, match=r'temporaries 1\.00 GiB; allowed is 1\.00 GiB') as raised:
        MEMORY.require_at_most(MEMORY.total - 1)
    assert '\n' not in str(raised.value)


def test_a_state_that_does_not_fit_is_refused_before_it_is_there(tmp_path, monkeypatch):
    """Else the allocator would say so, in its own words."""
    state = toy.fresh_state()
    held = sum(leaf.nbytes for leaf in jax.tree.leaves(state)) - state.step.nbytes
    monkeypatch.setattr(module, 'memory_limit', lambda device: held - 1)

    run = toy.whole_run(2)
    never = dataclasses.replace(make_program(run.recipe), begin=None)
    monkeypatch.setattr(module, 'make_program', lambda recipe: never)
    with pytest.raises(
        OutOfMemory, match=r'^the state alone takes .* of a device: weights .*less$'
    ):
        run_training(run, tmp_path)
    assert not list(tmp_path.iterdir())  # nothing is written either
    monkeypatch.undo()
    assert int(run_training(run, tmp_path).step) == 2
