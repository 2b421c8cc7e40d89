"""Mixtures: exact shares, tied to no slot; each window of each data set once in its epoch."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_pipeline.latents import Latents
from data_pipeline.mixture import BLOCK, Mixture, read_sources
from data_pipeline.windows import Windows
from jen1composer.errors import BadInput
from tests.data_pipeline import latent_folder as small


@pytest.fixture(scope='module')
def latents(tmp_path_factory):
    folder = tmp_path_factory.mktemp('mixture')
    return small.write(folder / 'latents', small.prepare(folder / 'data'))


@pytest.fixture(scope='module')
def parts(latents):
    """Data sets of 25, 13 and 5 windows."""
    return [
        Windows(latents, ['train'], 8),
        Windows(latents, ['validation'], 8),
        Windows(latents, ['train'], small.CLIP_FRAMES),
    ]


def sources(mixture, count):
    return np.array([mixture.place(i)[0] for i in range(count)])


@given(st.lists(st.floats(0.01, 9), min_size=1, max_size=3), st.integers(0, 40))
def test_counts_are_within_one_of_the_weights_where_blocks_end(parts, weights, block):
    mixture = Mixture(parts[: len(weights)], weights, 3)
    counts = mixture.counts(block * BLOCK)
    assert counts.sum() == block * BLOCK
    shares = np.array(weights) / np.sum(weights)
    assert np.abs(counts - shares * block * BLOCK).max() <= 1 + 1e-6
    if len(weights) > 1:  # and so many do come
        drawn = [mixture.place(i)[0] for i in range(block * BLOCK, (block + 1) * BLOCK)]
        found = np.bincount(drawn, minlength=len(weights))
        np.testing.assert_array_equal(found, mixture.counts((block + 1) * BLOCK) - counts)


def test_shares_do_not_drift_however_far(parts):
    mixture = Mixture(parts, [0.1, 0.2, 0.7], 0)
    far = 2**32 // BLOCK * BLOCK
    counts = mixture.counts(far)
    assert all(abs(c - w * far) <= 1 for c, w in zip(counts, (0.1, 0.2, 0.7), strict=True))


def test_a_position_is_the_number_of_earlier_examples_of_its_data_set(parts):
    mixture = Mixture(parts, [5, 2, 1], 1)
    seen = [0, 0, 0]
    for i in range(5 * BLOCK):
        part, position = mixture.place(i)
        assert position == seen[part]
        seen[part] += 1


def test_the_shares_are_those_of_every_slot_host_and_step(parts):
    """Chi-square of data set against slot, host and step: 4 sigma of its distribution."""
    batch, weights = 16, np.array([3, 1])
    drawn = sources(Mixture(parts[:2], weights.tolist(), 5), 100 * BLOCK)
    index = np.arange(len(drawn))
    slot, step = index % batch, index // batch
    for group in (slot, slot // 4, step % 10, step % 16):  # 16 steps are a block
        table = np.array([np.bincount(drawn[group == g], minlength=2) for g in np.unique(group)])
        expected = table.sum(axis=1, keepdims=True) * weights / weights.sum()
        freedom = len(table) - 1
        chi_square = ((table - expected) ** 2 / expected).sum()
        assert chi_square < freedom + 4 * np.sqrt(2 * freedom)
    runs = np.diff(np.flatnonzero(drawn))  # and there is no period in it
    assert len(np.unique(runs)) > 8


def test_each_window_comes_once_in_an_epoch_of_its_data_set_and_epochs_differ(parts):
    mixture = Mixture(parts, [2, 1, 1], 9)
    drawn = [[], [], []]
    for i in range(4 * BLOCK):
        windows, window = mixture[i]
        drawn[parts.index(windows)].append(window)
    for windows, shown in zip(parts, drawn, strict=True):
        epochs = [shown[b : b + len(windows)] for b in range(0, len(shown), len(windows))]
        everything = set(windows)
        for epoch in epochs[:-1]:
            assert len(epoch) == len(windows)
            assert set(epoch) == everything
        assert len({tuple(epoch) for epoch in epochs}) > len(epochs) / 2 > 3  # 5 have 120 orders


def test_data_sets_of_one_size_are_permuted_apart(latents):
    twice = [Windows(latents, ['train'], 8) for _ in range(2)]
    mixture = Mixture(twice, [1, 1], 0)
    size = len(twice[0])
    orders = [[], []]
    for i in range(8 * size):
        windows, window = mixture[i]
        orders[twice.index(windows)].append(window)
    epochs = [tuple(order[b : b + size]) for order in orders for b in range(0, 3 * size, size)]
    assert len(set(epochs)) == 6


def test_an_example_is_a_function_of_seed_and_index(parts):
    one, again, other = (Mixture(parts, [1, 2, 3], seed) for seed in (4, 4, 5))
    indices = [0, 7, BLOCK - 1, BLOCK, 10**6, 2**32 - 1]
    backwards = [again[i][1] for i in reversed(indices)]
    assert [one[i][1] for i in indices] == backwards[::-1]
    assert [one[i][1] for i in range(99)] != [other[i][1] for i in range(99)]
    assert (sources(one, 99) != sources(other, 99)).any()


def test_one_data_set_alone_is_its_permutation_and_beside_others_keeps_it(parts):
    alone, mixed = Mixture.alone(parts[0], 6), Mixture(parts[:2], [1, 1], 6)
    assert sources(alone, 5).tolist() == [0] * 5
    shown = [
        window for windows, window in map(mixed.__getitem__, range(300)) if windows is parts[0]
    ]
    assert shown == [alone[i][1] for i in range(len(shown))]
    assert len(shown) > 100


@pytest.mark.parametrize(
    ('field', 'value'),
    [
        ('autoencoder_fingerprint', 'other'),
        ('text_fingerprint', 'other'),
        ('hop_samples', 1920),
        ('channels', 5),
        ('max_tokens', 13),
        ('tracks', ('bass',)),
    ],
)
def test_what_does_not_fit_together_is_named_with_both_folders(latents, field, value):
    other = Latents(latents.folder)
    other.manifest = dataclasses.replace(other.manifest, **{field: value})
    other.folder = other.folder / 'elsewhere'
    with pytest.raises(BadInput, match=rf'/latents and .*/elsewhere cannot be mixed: {field} is'):
        Mixture([Windows(latents, ['train'], 8), Windows(other, ['train'], 8)], [1, 1], 0)


def test_prefixes_that_differ_and_weights_that_are_none_are_refused(latents, parts):
    other = Latents(latents.folder)
    other.text = dataclasses.replace(other.text, prefix=other.text.prefix + 1)
    with pytest.raises(BadInput, match='task prefixes are encoded differently'):
        Mixture([parts[0], Windows(other, ['train'], 8)], [1, 1], 0)
    for weight in (0, -1, float('nan'), float('inf')):
        with pytest.raises(BadInput, match='allowed are numbers above 0'):
            Mixture(parts[:2], [1, weight], 0)


def test_sources_are_folders_with_weights():
    assert read_sources('demo/latents') == [('demo/latents', 1)]
    assert read_sources('a:3,b:1') == [('a', 3), ('b', 1)]
    assert read_sources('gs://bucket/a:0.5, gs://bucket/b') == [
        ('gs://bucket/a', 0.5),
        ('gs://bucket/b', 1),
    ]
    for value in ('', 'a,', 'a:1,a:2'):
        with pytest.raises(BadInput, match=r'config.data.latents: .*such as a:3,b:1'):
            read_sources(value)


def test_a_folder_that_comes_twice_by_other_names_is_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / 'a').mkdir()
    (tmp_path / 'link').symlink_to('a')
    for value in ('a,a/', 'a,./a', f'a,{tmp_path}/a', 'a,link', 'gs://b/a,gs://b/a/'):
        with pytest.raises(BadInput, match=r'such as a:3,b:1, each once'):
            read_sources(value)
    assert read_sources('a,b/a') == [('a', 1), ('b/a', 1)]
