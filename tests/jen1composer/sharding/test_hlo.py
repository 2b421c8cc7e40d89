"""A program's text: what is called, and how often a loop runs."""

import jax
import jax.numpy as jnp
import pytest

from jen1composer.sharding.hlo import Module

# A loop as the compiler for TPUs writes it: nothing says how often it runs but its condition.
LOOP = """HloModule jit_f, is_scheduled=true

%fused (p: f32[4]) -> f32[4] {{
  %p = f32[4]{{0}} parameter(0)
  ROOT %wanted.1 = f32[4]{{0}} negate(%p)
}}

%body (b: (s32[], f32[4])) -> (s32[], f32[4]) {{
  %b = (s32[]{{:T(128)}}, f32[4]{{0}}) parameter(0)
  %x = f32[4]{{0}} get-tuple-element(%b), index=1
  %fusion.1 = f32[4]{{0}} fusion(%x), kind=kLoop, calls=%fused
}}

%condition (c: (s32[], f32[4])) -> pred[] {{
  %limit = s32[]{{:T(128)}} constant(12)
  %c = (s32[]{{:T(128)}}, f32[4]{{0}}) parameter(0)
  %i = s32[]{{:T(128)}} get-tuple-element(%c), index=0
  ROOT %lt.1 = pred[]{{:T(512)}} compare(%i, {limit}), direction=LT
}}

%apart (q: f32[4]) -> f32[4] {{
  %q = f32[4]{{0}} parameter(0)
}}

ENTRY %main (a: f32[4]) -> f32[4] {{
  %a = f32[4]{{0}} parameter(0)
  %first = s32[]{{:T(128)}} constant({first})
  %copied = s32[]{{:T(128)}} copy(%first)
  %carried = (s32[]{{:T(128)}}, f32[4]{{0}}) tuple(%copied, %a)
  %while.1 = (s32[], /*index=1*/f32[4]) while(%carried), condition=%condition, body=%body{more}
}}
"""


def loop(first: int = 0, limit: str = '%limit', more: str = '') -> tuple[Module, str]:
    module = Module.parse(LOOP.format(first=first, limit=limit, more=more))
    return module, module.entry.by_name['while.1']


def test_calls_are_followed_to_what_is_wanted():
    module, line = loop()
    assert [one.name for one in module.called_by(line)] == ['condition', 'body']
    assert module.holding(lambda one: 'negate(' in one) == {'fused', 'body', 'main'}
    assert module.holding(lambda one: 'divide(' in one) == set()


@pytest.mark.parametrize(
    ('first', 'limit', 'more', 'trips'),
    [
        (0, '%limit', '', 12),
        (1, '%limit', '', 11),  # one was taken out before the loop
        (13, '%limit', '', 0),
        (0, '%i', '', None),
        (0, '%i', ', backend_config={"known_trip_count":{"n":"5"}}', 5),
    ],
)
def test_trips_are_read_or_unknown(first, limit, more, trips):
    module, line = loop(first, limit, more)
    assert module.trips(line, module.entry) == trips


def test_what_is_no_loop_runs_once():
    module, _ = loop()
    body = module.computations['body']
    assert module.trips(body.by_name['fusion.1'], body) == 1


def test_a_text_without_an_entry_is_refused():
    with pytest.raises(ValueError, match='ENTRY'):
        Module.parse('HloModule nothing')


def test_the_loop_of_a_real_program_is_read():
    def scanned(x):
        return jax.lax.scan(lambda h, _: (jnp.tanh(h @ h), None), x, length=7)[0]

    shape = jax.ShapeDtypeStruct((16, 16), jnp.float32)
    module = Module.parse(jax.jit(scanned).lower(shape).compile().as_text())
    loops = [
        module.trips(line, computation)
        for computation in module.computations.values()
        for line in computation.lines
        if ' while(' in line
    ]
    assert loops == [7]
