"""Serves a composer on many machines: launch.serve as a Ray Serve deployment.

  python -m launch.serve_ray --model=exported --replicas=2
  python -m launch.serve_ray --model=gs://BUCKET/exported --replicas=4 --tpus=4 --address=auto \\
      --host=0.0.0.0 --token_file=token.txt --sessions=/mnt/sessions

Without --address a cluster of this machine alone is begun; `auto` is the one that this machine is
part of. One replica speaks HTTP and has the sessions, the others make music, with --tpus or --gpus
each. Needs pip install 'jen1composer[serve,ray]'; it ends by Ctrl-C or SIGTERM.
"""

import functools
import signal
import threading

from absl import flags

from jen1composer.errors import BadInput
from launch import command
from launch.serve_options import sessions_folder, token_of

_MODEL = flags.DEFINE_string('model', None, 'Workdir of train_composer, or folder of export.')
_ADDRESS = flags.DEFINE_string('address', None, 'Of the Ray cluster; if not given, one is begun.')
_HOST = flags.DEFINE_string('host', '127.0.0.1', 'Address to listen at.')
_PORT = flags.DEFINE_integer('port', 8000, 'Port to listen at.', 1, 65535)
_SESSIONS = flags.DEFINE_string('sessions', None, 'Folder of sessions, see launch.serve.')
_TOKEN_FILE = flags.DEFINE_string('token_file', None, 'File with the token of clients.')
_REPLICAS = flags.DEFINE_integer('replicas', 2, 'Makers of music.', 1)
_SLOTS = flags.DEFINE_integer('slots', 8, 'Rows of the batch of each, at least 2.', 2, 1024)
_TPUS = flags.DEFINE_integer('tpus', 0, 'TPU chips of each.', 0)
_GPUS = flags.DEFINE_float('gpus', 0.0, 'GPUs of each.', 0)
_CPUS = flags.DEFINE_float('cpus', 1.0, 'CPUs of each.', 0)


def main(argv: list[str]) -> None:
    del argv
    from jen1composer.generation.composer import Composer

    try:
        import ray
        from ray import serve

        from jen1composer.serving import ray_app, server
    except ModuleNotFoundError as error:
        line = f"{error.name} is not installed; needed is pip install 'jen1composer[serve,ray]'"
        raise BadInput(line) from error
    token = token_of(_TOKEN_FILE.value)
    server.check_address(_HOST.value, token)
    load = functools.partial(Composer.load, _MODEL.value)
    load()  # what is wrong with it is said here, in one line
    resources = {'num_cpus': _CPUS.value, 'num_gpus': _GPUS.value}
    ray.init(address=_ADDRESS.value, logging_level='warning', include_dashboard=False)
    serve.start(http_options={'host': _HOST.value, 'port': _PORT.value})
    serve.run(
        ray_app.make_application(
            load,
            folder=sessions_folder(_SESSIONS.value),
            token=token,
            replicas=_REPLICAS.value,
            slots=_SLOTS.value,
            resources=resources | ({'TPU': _TPUS.value} if _TPUS.value else {}),
        ),
        name=ray_app.APP,
    )
    ended = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ended.set())
    print(f'http://{_HOST.value}:{_PORT.value} (Ctrl-C ends it)', flush=True)
    ended.wait()
    serve.shutdown()
    ray.shutdown()


if __name__ == '__main__':
    flags.mark_flags_as_required(['model'])
    command.run(main)
