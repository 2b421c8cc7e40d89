"""Tables of an evaluation whose tasks are all subsets of the tracks."""

import itertools

from jen1composer.evaluation import systems
from jen1composer.tracks import TRACKS
from launch.evaluation_report import LEVELS, system_words, tables


def scores_of(tracks, subsets):
    """Every figure is 1 between 0 and 2."""
    interval = [1.0, 0.0, 2.0]
    tasks = systems.tasks(tracks, subsets)
    found = {'samples': 9, 'width': 4, 'short': False, 'interval': interval}
    makers = {
        track: [*systems.BASELINES, *(t.system for t in tasks if track in t.targets)]
        for track in tracks
    }
    coherence = {
        'mean': dict.fromkeys((*systems.ANSWERS, *systems.WHOLE), interval),
        'each_minus': dict.fromkeys(systems.ANSWERS[1:], interval),
    }
    measures = ('together', 'rhythm', 'harmony', 'chroma_cosine', 'irs', 'cbs', 'cbd')
    level = dict.fromkeys(LEVELS, interval)
    mixes = [mix.name for mix in systems.mixes(tracks, subsets)]
    return {
        'coherence': dict.fromkeys(measures, coherence),
        'frechet': {track: dict.fromkeys(makers[track], found) for track in tracks}
        | {'mix': dict.fromkeys(mixes, found)},
        'levels': {track: dict.fromkeys(makers[track], level) for track in tracks},
    }


def test_every_table_has_every_subset_that_makes_one_of_its_tracks():
    given = [
        names
        for count in range(1, len(TRACKS) - 1)
        for names in itertools.combinations(TRACKS, count)
    ]
    wanted = [f'made for {" and ".join(names)} given' for names in given]
    for table in tables(scores_of(TRACKS, subsets=True)):
        rows = {row[0]: row[1:] for row in table.rows}
        if table.header[1:] != list(TRACKS):
            continue
        assert [name for name in rows if name in wanted] == wanted
        for names, words in zip(given, wanted, strict=True):
            missing = [t for t, cell in zip(TRACKS, rows[words], strict=True) if cell == '–']
            assert missing == list(names)  # what is given is not made


def test_rows_of_mixes_have_names_of_their_own():
    (mixes,) = (t for t in tables(scores_of(TRACKS, subsets=True)) if 'mixes' in t.title)
    names = [row[0] for row in mixes.rows]
    assert len(set(names)) == len(names) == len(systems.mixes(TRACKS, subsets=True))
    assert not any('_' in name for name in names)


def test_every_table_says_which_way_is_better():
    for table in tables(scores_of(TRACKS, subsets=False)):
        said = ('better', 'best', 'Less', 'As above')
        assert any(word in table.text for word in said), table.title
    assert system_words(systems.JOINT) == 'made all at once'
