"""What was measured, as scores: report.json, tables on the terminal, and the page."""

import dataclasses
import json
from typing import Any

from etils import epath

from jen1composer.evaluation import scores as scoring
from jen1composer.evaluation import systems
from jen1composer.evaluation.embedder import WordEmbedder
from jen1composer.evaluation.measuring import Ears, heard_together
from jen1composer.evaluation.page import render
from jen1composer.evaluation.prompt_scores import prompt_scores
from jen1composer.evaluation.sounds import Sounds
from jen1composer.evaluation.verdicts import verdicts
from jen1composer.tracks import SAMPLE_RATE
from jen1composer.training.files import write_whole
from launch.evaluation_page import make_page, write_pieces
from launch.evaluation_report import as_text, tables, verdict_table
from launch.evaluation_run import Evaluation, Measured, distances


def write_results(
    evaluation: Evaluation,
    sounds: Sounds,
    ears: Ears,
    measured: Measured,
) -> epath.Path:
    """Writes report.json and index.html beside the sounds, prints tables; returns the page."""
    excerpts, seed = evaluation.excerpts, evaluation.sampling.seed
    together = {
        mix.name: heard_together(mix, measured.stems)
        for mix in systems.mixes(evaluation.tracks, evaluation.subsets)
    }
    scores: dict[str, Any] = {
        'coherence': scoring.coherence_scores(excerpts, together, evaluation.tracks, seed),
        'frechet': distances(evaluation, sounds, ears, measured),
        'levels': scoring.level_scores(excerpts, measured.stems, seed),
    }
    if ears.tagger is not None:
        scores['tags'] = scoring.tag_scores(excerpts, measured.stems, measured.training, seed)
    if isinstance(ears.embedder, WordEmbedder):
        texts = ears.embedder.text([excerpt.prompt for excerpt in excerpts])
        scores['prompts'] = prompt_scores(excerpts, measured.mixes, texts, seed)
    found = verdicts(scores)
    report = {
        'question': evaluation.question,
        'embedder': {'name': ears.embedder.name, 'fingerprint': ears.embedder.fingerprint},
        'verdicts': [dataclasses.asdict(verdict) for verdict in found],
        **scores,
    }
    write_whole(sounds.folder / 'report.json', (json.dumps(report, indent=1) + '\n').encode())
    for table in [verdict_table(found), *tables(scores)]:
        print(as_text(table))
    seconds = evaluation.num_samples / SAMPLE_RATE
    songs = len({excerpt.song for excerpt in excerpts})
    composer, splits = evaluation.composer, ' and '.join(evaluation.question['splits'])
    about = (
        f'{len(excerpts)} excerpts of {seconds:.2f} s from {songs} songs that were held out '
        f'({splits}), made anew in {evaluation.sampling.num_steps} steps by a composer of '
        f'{composer.num_parameters / 1e6:.1f} million parameters after {composer.step:,} steps of '
        f'its last training, and heard by {ears.embedder.name}. Intervals are of 95 % over songs.'
    )
    pieces = write_pieces(sounds, excerpts, evaluation.tracks)
    page = sounds.folder / 'index.html'
    write_whole(page, render(make_page(scores, found, about, pieces)).encode())
    return page
