"""A server of the tiny composer, for tests and for looking at the page.

  python -m tests.jen1composer.serving.tiny_server --port=8123 [--folder=DIR] [--step_s=0.02]
      [--limits='{"queue": 2}'] [--token=TOKEN] [--host=127.0.0.1]
      [--control=1]

It says `listening` when it answers. `--step_s` lets every step take so long, as a real one does.
"""

import argparse
import dataclasses
import json
import tempfile
import time
from collections.abc import Callable

from jen1composer.generation.composer import Composer, Composition
from jen1composer.generation.request import Request
from jen1composer.serving import server
from jen1composer.serving.engine import Engine, StepProgress
from jen1composer.serving.jobs import Flag
from jen1composer.serving.limits import Limits
from jen1composer.serving.service import Service
from jen1composer.serving.store import Store
from launch import command
from tests.jen1composer import tiny_composer


def composer(control: bool) -> Composer:
    """Its window lasts a second and a half, so that there is something to see."""
    made = tiny_composer.composer(spans=True, control=control)
    frames = round(1.5 * 48_000 / made.spec.hop_samples / 8) * 8
    return dataclasses.replace(made, spec=dataclasses.replace(made.spec, window_frames=frames))


@dataclasses.dataclass(frozen=True)
class Slow:
    """Composes with an engine; each step takes `step_s` longer than it has to."""

    engine: Engine
    step_s: float

    def __call__(
        self, request: Request, *, cancelled: Flag, on_progress: Callable[[StepProgress], None]
    ) -> Composition:
        def step(done: StepProgress) -> None:
            cancelled.check()
            time.sleep(self.step_s)
            on_progress(done)

        return self.engine.compose(request, cancelled=cancelled, on_progress=step)


def main() -> None:
    command.use_compilation_cache()
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--port', type=int, default=8123)
    parser.add_argument('--host', default='127.0.0.1')
    parser.add_argument('--folder')
    parser.add_argument('--step_s', type=float, default=0.02)
    parser.add_argument('--limits', type=json.loads, default={})
    parser.add_argument('--token')
    parser.add_argument('--control', type=int, default=0)
    args = parser.parse_args()
    tiny = composer(bool(args.control))
    with Store(args.folder or tempfile.mkdtemp()) as store, Engine(tiny) as engine:
        service = Service(
            composer=tiny,
            compose=Slow(engine, args.step_s),
            store=store,
            limits=Limits(**args.limits),
        )
        server.serve(
            server.make_app(service, token=args.token, warm_steps=2),
            service,
            host=args.host,
            port=args.port,
            token=args.token,
            on_start=lambda: print(f'listening at http://{args.host}:{args.port}', flush=True),
        )


if __name__ == '__main__':
    main()
