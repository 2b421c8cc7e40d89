"""Composes step by step: a session of lanes with takes, in a folder.

  python -m launch.session --session=song --checkpoint=demo/composer --prompt="dark rock" \\
      --do="compose seed=3" --do=keep:bass,drums --do="compose seed=4"
  python -m launch.session --session=song --upload=melody=mine/melody.wav --do=gain:melody:-3
  python -m launch.session --session=song --checkpoint=demo/composer \\
      --do="regenerate:bass:1-2.5 seed=5" --do=continue:5 --mix=song.flac --lufs=-14 --stems=stems
  python -m launch.session --session=song --undo

What each --do may be, several in their order, in short or as JSON:

  compose[:TRACK,...]                       makes lanes, or all that are not kept; kept ones are
                                            listened to
  regenerate:TRACK[:FROM-TO,...]            makes one lane anew, or seconds of it
  vary:TRACK[:STRENGTH]                     from what it is, at a strength of 0 to 1
  continue:SECONDS[:end|start[:TRACK,...]]  makes the piece longer
  upload:TRACK:FILE                         sound of your own, of any rate and length
  keep:TRACK,...   open:TRACK,...           locks lanes, opens them
  select:TRACK:TAKE                         another take; the beginning of its id is enough
  gain:TRACK:DB    mute, unmute, solo, unsolo:TRACK,...
  prompt:WORDS     tempo:BPM   key:KEY   seconds:S
  undo, redo
  forget                                    frees room: every step, and takes that are not heard
  '{"do": "compose", "tracks": ["drums"], "seed": 3}'

What is composed takes words such as seed=3 steps=20 guidance=2 behind it. A new folder becomes a
new session; --prompt, --tempo, --key and --seconds are set in one that is there too. After them
comes --undo or --redo, then --upload, then each --do, saved when it is done; then --mix, --stems.
An uploaded sound is heard resampled, cut or padded with silence to the piece, and kept as it came.
Prints a table, and writes SESSION/lanes.json.
"""

import json

from absl import flags

from launch import command

_SESSION = flags.DEFINE_string('session', None, 'Folder of the session.')
_CHECKPOINT = flags.DEFINE_string(
    'checkpoint', None, "Workdir of train_composer, or an export; if not given, the package's."
)
_TEXT_ENCODER = flags.DEFINE_string(
    'text_encoder', None, 'Where the T5 that the composer was trained with lies now, if it moved.'
)
_PROMPT = flags.DEFINE_string('prompt', None, 'Words for the music.')
_SECONDS = flags.DEFINE_float('seconds', None, 'Length of the piece; of a new one 5.12.')
_TEMPO = flags.DEFINE_float('tempo', None, 'Beats a minute; 0 for none.')
_KEY = flags.DEFINE_string('key', None, "Such as 'F# minor'; empty for none.")
_CHORDS = flags.DEFINE_string(
    'chords', None, "Such as 'Am F C G', a bar each; needs --tempo; empty for none."
)
_TRACKS = flags.DEFINE_list('tracks', [], "A new session's lanes, if not those of --checkpoint.")
_UNDO = flags.DEFINE_bool('undo', False, 'Takes the last step back.')
_REDO = flags.DEFINE_bool('redo', False, 'Takes what was undone up again.')
_UPLOAD = flags.DEFINE_list('upload', [], 'Sounds of your own, as TRACK=FILE.')
_DO = flags.DEFINE_multi_string('do', [], 'An action; may be given several times.')
_MIX = flags.DEFINE_string('mix', None, 'File for the mix, .flac or .wav.')
_LUFS = flags.DEFINE_float('lufs', None, 'Loudness of the mix; if not given, as the lanes add up.')
_STEMS = flags.DEFINE_string('stems', None, 'Folder for stems and mix, ready for a DAW.')
_KIND = flags.DEFINE_enum('kind', 'flac', ['flac', 'wav'], 'Of the files in --stems.')


def main(argv: list[str]) -> None:
    del argv
    from jen1composer.generation.actions import Redo, Undo
    from launch.session_run import SessionRun, mix_kind, write_mix

    folder = command.folder('--session', _SESSION.value)
    stems = None if _STEMS.value is None else command.folder('--stems', _STEMS.value)
    mix_kind(_MIX.value)  # before the work
    settings = {
        'prompt': _PROMPT.value,
        'seconds': _SECONDS.value,
        'tempo_bpm': _TEMPO.value,
        'key': _KEY.value,
        'chords': _CHORDS.value,
    }
    run = SessionRun.start(
        folder,
        checkpoint=_CHECKPOINT.value,
        text_encoder=_TEXT_ENCODER.value,
        tracks=_TRACKS.value,
        settings=settings,
    )
    for action in [*[Undo()] * _UNDO.value, *[Redo()] * _REDO.value]:
        run.act(action)
    run.upload(_UPLOAD.value)
    for text in _DO.value:
        run.do(text)
    written: dict[str, object] = {}
    if _MIX.value is not None:
        written['mix'] = write_mix(_MIX.value, run.session, _LUFS.value)
    if stems is not None:
        written['stems'] = run.stems(stems, _KIND.value, _LUFS.value)
    print(run.report(written))
    print(json.dumps({'json': f'{folder}/lanes.json', **written}))


if __name__ == '__main__':
    flags.mark_flag_as_required('session')
    command.run(main)
