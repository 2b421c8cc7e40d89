"""Serves a composer: the studio's page, and all it does over HTTP.

  python -m launch.serve
  python -m launch.serve --model=exported --port=8080 --sessions=/var/lib/jen1composer
  python -m launch.serve --model=exported --host=0.0.0.0 --token_file=token.txt

The page is at the address that is printed; /openapi.json describes the rest. Requests share one
batch of --slots rows. Sessions lie in --sessions: killed at any moment, every finished action is
there, and what was being made is made again at the next start. SIGTERM lets what runs finish for
--grace_s seconds.

Other machines reach it only at another --host than this machine's own, which needs a token: from
--token_file, or the environment's JEN1COMPOSER_TOKEN. Clients send `Authorization: Bearer TOKEN`; a
browser opens http://HOST:PORT/?token=TOKEN once. Put a proxy in front that speaks TLS.
"""

from absl import flags

from jen1composer.errors import BadInput
from launch import command
from launch.serve_options import check_seconds, parse_samplers, sessions_folder, token_of

_MODEL = flags.DEFINE_string(
    'model', None, "Workdir of train_composer, or an export; if not given, the package's."
)
_HOST = flags.DEFINE_string('host', '127.0.0.1', 'Address to listen at.')
_PORT = flags.DEFINE_integer('port', 8000, 'Port to listen at.', 1, 65535)
_SESSIONS = flags.DEFINE_string(
    'sessions',
    None,
    'Folder of sessions; if not given, jen1composer in the data folder of the user.',
)
_TOKEN_FILE = flags.DEFINE_string('token_file', None, 'File with the token of clients.')
_SLOTS = flags.DEFINE_integer(
    'slots', 8, 'Rows of the batch that requests share; one with a prompt takes 2.', 2, 1024
)
_SECONDS = flags.DEFINE_float('seconds', 60.0, 'The most of a piece, and of a file that is sent.')
_STEPS = flags.DEFINE_integer('steps', 100, 'The most of the sampler.', 1)
_SAMPLERS = flags.DEFINE_list(
    'samplers', ['dpmpp_2m'], 'Those that clients may name; each compiles a program of its own.'
)
_QUEUE = flags.DEFINE_integer('queue', 32, 'Jobs that may wait.', 1)
_JOB_S = flags.DEFINE_float('job_s', 600.0, 'Seconds that a job may take.')
_GRACE_S = flags.DEFINE_float('grace_s', 30.0, 'Seconds that jobs get to finish on SIGTERM.')
_TEXT_ENCODER = flags.DEFINE_string(
    'text_encoder', None, 'Where the T5 that the composer was trained with lies now, if it moved.'
)


def main(argv: list[str]) -> None:
    del argv
    token = token_of(_TOKEN_FILE.value)
    check_seconds('seconds', _SECONDS.value, 0.01, 600)
    check_seconds('job_s', _JOB_S.value, 1, 86_400)
    check_seconds('grace_s', _GRACE_S.value, 0, 3600)
    command.use_compilation_cache()
    from jen1composer.generation.composer import Composer
    from jen1composer.serving.engine import Engine
    from jen1composer.serving.limits import Limits
    from jen1composer.serving.store import Store
    from jen1composer.tracks import SAMPLE_RATE

    try:
        from jen1composer.serving import server, service
    except ModuleNotFoundError as error:
        line = f"{error.name} is not installed; needed is pip install 'jen1composer[serve]'"
        raise BadInput(line) from error
    server.check_address(_HOST.value, token)
    limits = Limits(
        seconds=_SECONDS.value,
        upload_s=_SECONDS.value,
        steps=_STEPS.value,
        samplers=parse_samplers(_SAMPLERS.value),
        slots=_SLOTS.value,
        queue=_QUEUE.value,
        workers=2 * _SLOTS.value,  # codec and words are beside the batch
        job_s=_JOB_S.value,
        grace_s=_GRACE_S.value,
    )
    composer = Composer.load(_MODEL.value, text_encoder=_TEXT_ENCODER.value)
    window = composer.spec.window_frames * composer.spec.hop_samples / SAMPLE_RATE
    check_seconds('seconds', _SECONDS.value, window, 600)
    address = f'http://{_HOST.value}:{_PORT.value}'
    with (
        Store(sessions_folder(_SESSIONS.value)) as store,
        Engine(composer, slots=_SLOTS.value) as engine,
    ):
        work = service.Service(
            composer=composer, compose=engine.compose, store=store, limits=limits
        )
        work.metrics.watch('rows_running', 'Rows in the batch', lambda: engine.load.running)
        work.metrics.watch('rows_waiting', 'Rows that wait', lambda: engine.load.waiting)
        app = server.make_app(work, token=token)
        server.serve(
            app,
            work,
            host=_HOST.value,
            port=_PORT.value,
            token=token,
            on_start=lambda: print(f'{address} (Ctrl-C ends it)', flush=True),
        )


if __name__ == '__main__':
    command.run(main)
