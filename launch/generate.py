"""Makes music with a trained composer: stems and mix as FLAC.

  python -m launch.generate --prompt="dark driving rock" --out=song
  python -m launch.generate --checkpoint=demo/composer --targets=melody,instrument \\
      --given=bass=mine/bass.wav,drums=mine/drums.wav --out=song
  python -m launch.generate --checkpoint=demo/composer --edit=bass=song/bass.flac \\
      --regenerate=bass=4-8 --given=drums=song/drums.flac --out=mended
  python -m launch.generate --checkpoint=demo/composer --edit=bass=song/bass.flac --seconds=20 \\
      --begin=bass=5 --out=longer
  python -m launch.generate --checkpoint=demo/composer --variation=melody=song/melody.flac \\
      --strength=.5 --given=bass=song/bass.flac --out=varied
  python -m launch.generate --checkpoint=demo/composer --bpm=120 --key="A minor" \\
      --chords="Am F C G" --control_guidance=1.5 --out=song

A track that is not mentioned is generated if none is named with --targets, --edit or --variation,
else left out. A track of --edit is kept as it is, but for the seconds to --regenerate and for those
of the piece that its file does not reach: these are made, so it is continued past its end, and
before its start where it is to --begin later. One of --variation is made anew all through, from
what it is, at --strength. Files of any rate, mono or stereo, are taken, but no path with a comma; a
given track comes back as it is. Only where a file that is given or edited is above full scale is
its track made quieter as a whole, and piece.json warns of it. What is longer than the composer was
trained on is made in windows, each continuing the last.
"""

import json

from absl import flags

from launch import command

_CHECKPOINT = flags.DEFINE_string(
    'checkpoint', None, "Workdir of train_composer, or an export; if not given, the package's."
)
_PROMPT = flags.DEFINE_string('prompt', '', 'Words for the music.')
_TARGETS = flags.DEFINE_list('targets', [], 'Tracks to make.')
_GIVEN = flags.DEFINE_list('given', [], 'Tracks to build on, as TRACK=FILE.')
_MARGINAL = flags.DEFINE_list('marginal', [], 'Tracks to leave out.')
_EDIT = flags.DEFINE_list('edit', [], 'Tracks to keep in part and make in part, as TRACK=FILE.')
_BEGIN = flags.DEFINE_list('begin', [], 'Where in the piece an --edit begins, TRACK=SECOND.')
_REGENERATE = flags.DEFINE_list(
    'regenerate', [], 'Seconds of the piece of an --edit to make anew, TRACK=FROM-TO.'
)
_VARIATION = flags.DEFINE_list('variation', [], 'Tracks to vary, as TRACK=FILE; see --strength.')
_STRENGTH = flags.DEFINE_float(
    'strength', 1.0, 'How far from what is there: 0 leaves it, 1 makes it as if it were not.'
)
_SECONDS = flags.DEFINE_float(
    'seconds', None, 'Length; if not given 5, or what the sound to edit or vary lasts.'
)
_STEPS = flags.DEFINE_integer('steps', 50, 'Steps of the sampler.')
_SAMPLER = flags.DEFINE_string(
    'sampler', 'dpmpp_2m', 'ddpm, ddim, euler, heun, dpmpp_2m or dpmpp_2m_sde.'
)
_BPM = flags.DEFINE_float('bpm', None, 'Tempo, of a composer that was trained with control.')
_KEY = flags.DEFINE_string('key', '', "Key, such as 'A minor', likewise.")
_CHORDS = flags.DEFINE_string(
    'chords', '', "Chords, each a bar of four beats or CHORD:BEATS, repeated; 'Am F C G:8'."
)
_CONTROL_GUIDANCE = flags.DEFINE_float(
    'control_guidance', None, 'Scale on tempo, key and chords; 1, as if not given, is none.'
)
_GUIDANCE = flags.DEFINE_float('guidance', None, 'Scale on the prompt; 1 is none. If not given 3.')
_GIVEN_GUIDANCE = flags.DEFINE_list(
    'given_guidance', [], 'Scale on the given tracks, or TRACK=SCALE,...; 1, as if not given, none.'
)
_GUIDANCE_INTERVAL = flags.DEFINE_string(
    'guidance_interval', '0-1', 'Diffusion times between which the scales count, LOW-HIGH.'
)
_RESCALE = flags.DEFINE_float(
    'rescale', 0.0, 'How far large scales are kept from being loud, 0 to 1.'
)
_SEED = flags.DEFINE_integer('seed', 0, 'The same seed gives the same music.')
_TEXT_ENCODER = flags.DEFINE_string(
    'text_encoder', None, 'Where the T5 that the composer was trained with lies now, if it moved.'
)
_OUT = flags.DEFINE_string('out', None, 'Folder to write.')


def main(argv: list[str]) -> None:
    del argv
    from jen1composer.generation.composer import Composer
    from jen1composer.generation.request import Request
    from jen1composer.tracks import parse_tracks
    from launch import requests
    from launch.pieces import write_piece

    command.use_compilation_cache()
    out = command.folder('--out', _OUT.value)
    composer = Composer.load(_CHECKPOINT.value, text_encoder=_TEXT_ENCODER.value)
    tracks = composer.spec.tracks
    edits = requests.make_edits(
        requests.read_sounds('--edit', _EDIT.value, tracks),
        requests.parse_numbers('--begin', _BEGIN.value, tracks),
        requests.parse_spans('--regenerate', _REGENERATE.value, tracks),
        requests.read_sounds('--variation', _VARIATION.value, tracks),
    )
    seconds = requests.seconds_of(edits) if _SECONDS.value is None else _SECONDS.value
    request = Request(
        prompt=_PROMPT.value,
        targets=parse_tracks('--targets', _TARGETS.value, tracks),
        edits=edits,
        given=requests.read_sounds('--given', _GIVEN.value, tracks),
        marginal=parse_tracks('--marginal', _MARGINAL.value, tracks),
        strength=_STRENGTH.value,
        seed=_SEED.value,
        num_steps=_STEPS.value,
        sampler=_SAMPLER.value,
        bpm=_BPM.value,
        key=_KEY.value,
        chords=_CHORDS.value,
        control_guidance=_CONTROL_GUIDANCE.value,
        text_guidance=_GUIDANCE.value,
        given_guidance=requests.parse_scales('--given_guidance', _GIVEN_GUIDANCE.value, tracks),
        guidance_interval=requests.parse_interval('--guidance_interval', _GUIDANCE_INTERVAL.value),
        guidance_rescale=_RESCALE.value,
        **({} if seconds is None else {'seconds': seconds}),
    )
    composition = composer.compose(request, command.report_progress('windows'))
    print(json.dumps(write_piece(out, composition, request), indent=1))


if __name__ == '__main__':
    flags.mark_flags_as_required(['out'])
    command.run(main)
