"""The laws of the engine, with random weights: what must hold whatever was learnt."""

import concurrent.futures
import threading

import numpy as np
import pytest

from jen1composer.errors import BadInput, RunFailed
from jen1composer.generation.request import WHOLE, Edit, Request
from jen1composer.serving import slot_step
from jen1composer.serving.engine import Closed, Engine
from jen1composer.serving.slots import Cancelled
from tests.jen1composer import tiny_codec, tiny_composer

SECONDS = 0.02  # two windows and a bit
NUM_SAMPLES = 960


@pytest.fixture(scope='module')
def composer():
    return tiny_composer.composer(spans=True)


@pytest.fixture
def engine(composer):
    with Engine(composer, slots=6) as engine:
        yield engine


def sound(seed):
    return tiny_codec.sound(NUM_SAMPLES, 2, seed=seed)


def request(**values):
    return Request(**{'prompt': 'rock', 'seconds': SECONDS, 'num_steps': 4, 'seed': 1} | values)


def requests():
    """Of every kind, of 1 to 4 evaluations a step, and of several lengths and numbers of steps."""
    return [
        request(),
        request(prompt='', seed=2, num_steps=7),
        request(prompt='slow jazz', seed=3, given={'bass': sound(1)}, seconds=0.01),
        request(
            seed=4,
            given={'bass': sound(1), 'drums': sound(2)},
            given_guidance=1.5,
            guidance_rescale=0.5,
            guidance_interval=(0.2, 0.8),
        ),
        request(prompt='', seed=5, edits={'melody': Edit(audio=sound(3)[:480])}, num_steps=3),
        request(seed=6, edits={'melody': Edit(audio=sound(4), regenerate=WHOLE)}, strength=0.5),
        request(seed=7, sampler='ddpm', targets=('drums',)),
        request(seed=8, sampler='heun', num_steps=3, marginal=('bass',)),
        request(seed=9, sampler='dpmpp_2m_sde', given={'bass': sound(5)}, given_guidance=2.0),
    ]


def compose_all(engine, asked):
    """All at a time, begun in the order of `asked`."""
    with concurrent.futures.ThreadPoolExecutor(len(asked)) as threads:
        return list(threads.map(engine.compose, asked))


def assert_equal(one, two):
    assert set(one.takes) == set(two.takes)
    for name, take in one.takes.items():
        np.testing.assert_array_equal(take.latents, two.takes[name].latents)
        np.testing.assert_array_equal(take.audio, two.takes[name].audio)


def snr_db(true, other):
    error = np.mean(np.square(np.float64(other) - true))
    return 10 * np.log10(np.mean(np.square(np.float64(true))) / max(error, 1e-300))


def test_the_same_seed_is_the_same_music_whatever_else_is_there_and_that_of_compose(
    composer, engine
):
    asked = requests()
    alone = [engine.compose(one) for one in asked]
    for order in (range(len(asked)), reversed(range(len(asked)))):
        order = list(order)
        together = compose_all(engine, [asked[k] for k in order])
        for k, piece in zip(order, together, strict=True):
            assert_equal(piece, alone[k])
    for k in (3, 5, 7, 8):  # a program for each compiles
        one, piece = asked[k], alone[k]
        reference = composer.compose(one)
        for name, take in piece.takes.items():
            assert snr_db(reference.takes[name].audio, take.audio) > 80
            assert snr_db(reference.takes[name].latents, take.latents) > 80


def test_what_is_given_and_kept_comes_back_untouched(engine):
    bass, melody = sound(1), sound(2)
    asked = request(
        given={'bass': bass}, edits={'melody': Edit(audio=melody, regenerate=((0.01, 0.015),))}
    )
    pieces = compose_all(engine, [asked, request(seed=5), request(seed=6)])
    np.testing.assert_array_equal(pieces[0].takes['bass'].audio, bass)
    changed = (pieces[0].takes['melody'].audio != melody).any(axis=1)
    np.testing.assert_array_equal(np.flatnonzero(changed), np.arange(480, 720))


def test_one_program_serves_every_guidance_prompt_length_and_number_of_steps(composer):
    slot_step.step.clear_cache()
    with Engine(composer, slots=6) as engine:
        compose_all(engine, [one for one in requests() if one.sampler == 'dpmpp_2m'])
    assert slot_step.step._cache_size() == 1


def test_rows_join_and_leave_between_steps(engine):
    """One that comes while a long one is made does not wait for its end."""
    begun, enough = threading.Event(), threading.Event()
    long = request(prompt='', num_steps=100_000, seconds=0.01)
    with concurrent.futures.ThreadPoolExecutor() as threads:
        future = threads.submit(
            engine.compose, long, cancelled=enough, on_progress=lambda _: begun.set()
        )
        assert begun.wait(60)
        for seed in range(3):
            engine.compose(request(seed=seed, num_steps=2))
        assert not future.done()
        enough.set()
        with pytest.raises(Cancelled):
            future.result(60)


def test_progress_counts_every_step_and_says_what_is_left(engine):
    seen = []
    engine.compose(request(num_steps=20, seconds=0.01), on_progress=seen.append)
    assert [progress.done for progress in seen] == list(range(21))
    assert {progress.total for progress in seen} == {20}
    assert (seen[0].left_s, seen[-1].left_s) == (None, 0.0)
    assert all(progress.left_s > 0 for progress in seen[2:-1])


def test_progress_goes_on_over_windows(engine):
    seen = []
    engine.compose(request(seconds=0.05), on_progress=seen.append)
    assert [progress.done for progress in seen] == list(range(len(seen)))
    assert seen[-1].share == 1
    assert len(seen) == seen[-1].total + 1 > 4 * 3


def test_cancelled_work_frees_its_slots_and_those_that_wait_go_on(engine):
    flags = [threading.Event() for _ in range(4)]
    begun = threading.Barrier(4, timeout=60)

    def endless(flag):
        def on_progress(progress):
            if progress.done == 1:
                begun.wait()

        long = request(prompt='', num_steps=100_000, seconds=0.01)
        engine.compose(long, cancelled=flag, on_progress=on_progress)

    with concurrent.futures.ThreadPoolExecutor() as threads:
        futures = [threads.submit(endless, flag) for flag in flags[:3]]
        begun.wait()
        assert engine.load.taken == 3
        waits = threads.submit(
            engine.compose, request(given={'bass': sound(1), 'drums': sound(2)}, given_guidance=2.0)
        )
        never = threads.submit(engine.compose, request(), cancelled=flags[3])
        while engine.load.waiting < 2:
            pass
        assert not waits.done()
        flags[3].set()  # before it ever had a slot
        with pytest.raises(Cancelled):
            never.result(60)
        flags[0].set()
        waits.result(60)
        for flag in flags:
            flag.set()
        for future in futures:
            with pytest.raises(Cancelled):
                future.result(60)
    assert (engine.load.running, engine.load.waiting, engine.load.taken) == (0, 0, 0)


def test_what_the_one_who_asks_raises_frees_its_slots(engine):
    def stop(progress):
        if progress.done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        engine.compose(request(num_steps=100_000, seconds=0.01), on_progress=stop)
    engine.compose(request())
    assert engine.load.running == 0


def test_an_error_is_told_to_the_rows_that_it_held_and_the_engine_lives_on(engine, monkeypatch):
    alone = engine.compose(request())
    slots = engine._by_solver['dpmpp_2m']
    run, calls = slots._run, []

    def out_of_memory(*arguments):
        calls.append(1)
        if len(calls) == 3:
            raise MemoryError('RESOURCE_EXHAUSTED: 7 GiB\nand a long trace')
        return run(*arguments)

    monkeypatch.setattr(slots, '_run', out_of_memory)
    with pytest.raises(RunFailed, match=r'^a step of the sampler failed: RESOURCE_EXHAUSTED'):
        engine.compose(request())
    assert_equal(engine.compose(request()), alone)


def test_what_is_not_finite_is_told_to_its_own_row_alone(engine):
    alone = engine.compose(request())
    spoiled = request(edits={'bass': Edit(audio=1e38 * sound(1), regenerate=WHOLE)}, strength=0.5)
    with concurrent.futures.ThreadPoolExecutor() as threads:
        bad = threads.submit(engine.compose, spoiled)
        good = threads.submit(engine.compose, request())
        with pytest.raises(RunFailed, match='not finite'):
            bad.result(60)
        assert_equal(good.result(60), alone)


def test_closing_finishes_what_is_under_way_or_refuses_it(composer):
    begun = threading.Event()
    with concurrent.futures.ThreadPoolExecutor() as threads:
        for finish_s, steps in ((60.0, 20), (0.0, 100_000)):
            begun.clear()
            engine = Engine(composer, slots=2)
            asked = request(num_steps=steps)  # two slots, so the second one waits
            first = threads.submit(engine.compose, asked, on_progress=lambda _: begun.set())
            second = threads.submit(engine.compose, asked)
            assert begun.wait(60)
            while engine._under_way < 2:
                pass
            engine.close(finish_s)
            for future in (first, second):
                if finish_s:
                    assert future.result(60).num_samples == NUM_SAMPLES
                else:
                    with pytest.raises(Closed):
                        future.result(60)
            with pytest.raises(Closed):
                engine.compose(request())


@pytest.mark.parametrize(
    ('values', 'said'),
    [
        ({'sampler': 'magic'}, "sampler: 'magic'; allowed are ddpm"),
        ({'targets': ('lute',)}, "unknown track 'lute'"),
        (
            {'given': {'bass': sound(0), 'drums': sound(1)}, 'given_guidance': 2.0},
            'guidance: asks for 4 evaluations a step; allowed are 2, the slots of the engine',
        ),
    ],
)
def test_what_cannot_be_made_is_refused(composer, values, said):
    with Engine(composer, slots=2) as engine, pytest.raises(BadInput, match=said):
        engine.compose(request(**values))


def test_a_row_of_another_composer_is_refused(composer, engine):
    rows = []

    def keep(row):
        rows.append(row)
        return row.clean

    other = tiny_composer.wider(composer)
    other.compose(request(), make_row=keep)
    with pytest.raises(BadInput, match='row: shapes'):
        engine.make_row(rows[0])
    with pytest.raises(BadInput, match='slots: 0'):
        Engine(composer, slots=0)
