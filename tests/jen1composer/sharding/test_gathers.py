"""Shards are cast to bfloat16 before they are gathered, in the step of a run as it is lowered.

What is compiled for a CPU does not tell: it has no bfloat16 collectives and widens what it gathers.
"""

import dataclasses
import re

import jax
import pytest

from jen1composer.training.program import make_program
from tests.jen1composer.sharding import equality

PLACED = re.compile(
    r'(%\w+) = sdy\.sharding_constraint (%\w+) <@\w+, \[(.*?)\]> : tensor<([\dx]+)x(\w+)>'
)


def gathers(text: str) -> list[tuple[str, str]]:
    """(shape, type) of what is placed along an axis that splits weights, and then whole."""
    placed = {found[1]: found for found in PLACED.finditer(text)}
    return [
        (whole[4], whole[5])
        for whole in placed.values()
        if '"' not in whole[3] and whole[2] in placed and '"fsdp"' in placed[whole[2]][3]
    ]


def lowered(dtype: str, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setattr(equality, 'UNET', dataclasses.replace(equality.UNET, dtype=dtype))
    cell = equality.Cell('composer', 'fsdp', 'fsdp=8')
    program = make_program(equality.recipe(cell, equality.layout_of(cell)))
    shapes = jax.tree.map(
        lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=program.batch),
        equality.batch(cell.stage, 0),
    )
    return program.step.lower(program.abstract, shapes).as_text()


def test_weights_are_gathered_in_what_they_are_computed_with(monkeypatch):
    found = gathers(lowered('bfloat16', monkeypatch))
    assert len(found) > 20
    width = equality.UNET.channels[0]
    # The network of the times and its last layer compute in float32, whatever the others do.
    expected = {f'{width}x{width}', f'32x{width}', f'4x{width}x2'}
    assert {shape for shape, dtype in found if dtype != 'bf16'} == expected
    assert {dtype for _, dtype in gathers(lowered('float32', monkeypatch))} == {'f32'}
