"""A blind listening test between two folders of sound, in the browser.

  python -m launch.listen --a=baseline --b=ours --out=listening
  python -m launch.listen --a=baseline --b=ours --out=listening --pairs=20 --port=8010
  python -m launch.listen --out=listening --report

Sounds of one path below both folders are a pair, and so are folders of one path with mix.flac in
them. Both sides of a pair are brought to one loudness; every listener hears all pairs in an order
and on sides of their own, some of them twice, and says which they prefer. Answers lie in
OUT/answers.jsonl, each as it is given. At the end, or by --report, OUT/report.json and report.html
say how much B is preferred over A, with an interval, and how far listeners agree with each other
and with themselves. Anybody on another machine needs a token: --host=0.0.0.0 --token_file=FILE.
"""

import pathlib

from absl import flags

from jen1composer.errors import BadInput
from launch import command
from launch.serve_options import token_of

_A = flags.DEFINE_string('a', None, 'Folder of the one system: what B is compared with.')
_B = flags.DEFINE_string('b', None, 'Folder of the other.')
_OUT = flags.DEFINE_string('out', None, 'Folder of the test; one that was begun goes on.')
_PAIRS = flags.DEFINE_integer('pairs', None, 'How many, drawn by the seed; if not given, all.', 1)
_SEED = flags.DEFINE_integer('seed', 0, 'Of pairs, orders and sides.', 0)
_REPORT = flags.DEFINE_bool('report', False, 'Only report what has been answered.')
_HOST = flags.DEFINE_string('host', '127.0.0.1', 'Address to listen at.')
_PORT = flags.DEFINE_integer('port', 8010, 'Port to listen at.', 1, 65535)
_TOKEN_FILE = flags.DEFINE_string('token_file', None, 'File with the token of listeners.')


def main(argv: list[str]) -> None:
    del argv
    out = pathlib.Path(command.folder('--out', _OUT.value))
    a, b = _A.value, _B.value
    if not _REPORT.value and (a is None or b is None):
        missing = '--a' if a is None else '--b'
        raise BadInput(f'{missing}: is missing; needed are both folders, or --report')
    token = token_of(_TOKEN_FILE.value)
    from jen1composer.serving.listening.prepared import open_experiment, prepare
    from launch.listening_report import write_report

    if _REPORT.value or a is None or b is None:
        print(write_report(open_experiment(out)))
        return
    try:
        from jen1composer.serving.listening import app
        from jen1composer.serving.listening.answers import Answers
        from jen1composer.serving.server import check_address
    except ModuleNotFoundError as error:
        line = f"{error.name} is not installed; needed is pip install 'jen1composer[serve]'"
        raise BadInput(line) from error
    check_address(_HOST.value, token)
    test = prepare(
        out,
        a,
        b,
        limit=_PAIRS.value,
        seed=_SEED.value,
        progress=lambda pairs: command.progress(pairs, 'pairs'),
    )
    address = f'http://{_HOST.value}:{_PORT.value}'
    with Answers(test.answers) as answers:
        listening = app.Listening(test=test, answers=answers)
        app.serve(
            app.make_app(listening, token=token),
            host=_HOST.value,
            port=_PORT.value,
            on_start=lambda: print(f'{address} (Ctrl-C ends it)', flush=True),
        )
    print(write_report(test))


if __name__ == '__main__':
    flags.mark_flags_as_required(['out'])
    command.run(main)
