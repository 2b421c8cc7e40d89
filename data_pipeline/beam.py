"""One thing to many items, as an Apache Beam pipeline: in this process, or on a cluster.

Items and results travel as lines of JSON in files, never inside the pipeline's graph, so that a
million of them are no larger a program than ten. What is big (sound) does not travel, `work` reads
and writes it where it lies; what `work` itself holds, such as a SoundFont, is part of the graph:

    items.jsonl -> read -> reshuffle -> work -> results-*.jsonl

Without other options Beam's direct runner does it here, in threads: the libraries that render,
resample and compress let go of Python's lock. With options any runner does it (Flink, Spark,
Dataflow, ...), if all its workers see the folders.
"""

import argparse
import functools
import json
import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from etils import epath

from data_pipeline.work import Item, Run
from jen1composer.errors import BadInput

# Shows how many of `total` are done: (done so far, description, total).
Progress = Callable[[Iterator[int], str, int], None]


def here(num_workers: int) -> tuple[str, ...]:
    """Options for the direct runner with threads."""
    return (
        '--runner=DirectRunner',
        f'--direct_num_workers={num_workers}',
        '--direct_running_mode=multi_threading',
    )


def on_beam(scratch: epath.PathLike, *, options: Sequence[str], progress: Progress) -> Run:
    """A `Run` on Beam.

    Args:
        scratch: a folder that all workers see; it is made for each work, and removed after it.
        options: of Beam, such as '--runner=FlinkRunner'.
        progress: shows how far the work is.

    Raises BadInput where Beam is not installed or does not know its options. The `Run` raises it
    where the work does; what else the work raises comes as the runner tells it.
    """
    _beam()
    _options(options)
    return functools.partial(
        _map_items, scratch=epath.Path(scratch), options=tuple(options), progress=progress
    )


def _map_items(
    work: Callable[[Item], Item],
    items: Sequence[Item],
    *,
    count_done: Callable[[], int],
    description: str,
    scratch: epath.Path,
    options: Sequence[str],
    progress: Progress,
) -> list[Item]:
    beam = _beam()
    if scratch.exists():
        scratch.rmtree()
    scratch.mkdir(parents=True)
    lines = [json.dumps(item) for item in items]
    (scratch / 'items.jsonl').write_text(''.join(f'{line}\n' for line in lines))

    pipeline = beam.Pipeline(options=_options(options))
    _ = (
        pipeline
        | beam.io.ReadFromText(str(scratch / 'items.jsonl'))
        | beam.Reshuffle()
        | beam.Map(functools.partial(_line_to_line, work))
        | beam.io.WriteToText(str(scratch / 'results'), file_name_suffix='.jsonl')
    )
    _run(pipeline, count_done, description, len(lines), progress)
    results = [
        json.loads(line)
        for path in sorted(scratch.glob('results-*.jsonl'))
        for line in path.read_text().splitlines()
    ]
    if len(results) != len(lines):
        raise OSError(f'{scratch}: {len(results)} results of {len(lines)} items; is the disk full?')
    scratch.rmtree()
    for result in results:
        if 'refused' in result:
            raise BadInput(result['refused'])
    return [result['done'] for result in results]


def _line_to_line(work: Callable[[Item], Item], line: str) -> str:
    """`work`, from JSON to JSON. Runners turn what is raised into text, BadInput must come back."""
    try:
        return json.dumps({'done': work(json.loads(line))})
    except BadInput as error:
        return json.dumps({'refused': str(error)})


def _run(
    pipeline: Any,
    count_done: Callable[[], int],
    description: str,
    total: int,
    progress: Progress,
) -> None:
    """Runs the pipeline in a thread, and shows how far it is from this one."""
    failed: list[BaseException] = []

    def run() -> None:
        try:
            pipeline.run().wait_until_finish()
        except BaseException as error:
            failed.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()

    def counts() -> Iterator[int]:
        while thread.is_alive():
            yield count_done()
            thread.join(timeout=0.5)

    progress(counts(), description, total)
    thread.join()
    if failed:
        raise failed[0]


def _options(options: Sequence[str]) -> Any:
    """The options as Beam's; raises BadInput for those that it does not know."""
    from apache_beam.options.pipeline_options import PipelineOptions
    from apache_beam.runners.runner import create_runner

    parser: Any = argparse.ArgumentParser(exit_on_error=False, allow_abbrev=False)
    for section in PipelineOptions.__subclasses__():
        section._add_argparse_args(parser)
    try:
        known, unknown = parser.parse_known_args(list(options))
        if unknown:
            raise ValueError(f'{unknown[0]} is not one of them')
        create_runner(known.runner or 'DirectRunner')
    except (argparse.ArgumentError, ValueError, ImportError) as error:
        raise BadInput(
            f'--beam={" ".join(options)}: {error}; allowed are options of Apache Beam'
        ) from error
    return PipelineOptions(list(options))


def _beam() -> Any:
    logging.disable(logging.WARNING)  # It warns of Google's packages, which are not needed.
    try:
        import apache_beam
    except ImportError as error:
        raise BadInput(
            'package apache-beam: not installed, and data is prepared with it; needed is '
            "pip install 'jen1composer[beam]', or bash launch/setup.sh"
        ) from error
    finally:
        logging.disable(logging.NOTSET)
    return apache_beam
