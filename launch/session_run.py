"""A session worked on by a command: opened or begun, each action saved when it is done."""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import IO, Any

from etils import epath

from jen1composer.errors import BadInput
from jen1composer.generation.actions import Action, Set
from jen1composer.generation.composer import Composer
from jen1composer.generation.mixdown import mixdown
from jen1composer.generation.packaged import packaged_composer
from jen1composer.generation.session import Session, session_to_json
from jen1composer.generation.session_folder import (
    LOCK,
    NAME,
    lock_session,
    open_session,
    save_session,
)
from jen1composer.generation.session_steps import apply, plan
from jen1composer.generation.stems import KINDS, encode_sound, fit_full_scale, write_stems
from jen1composer.tracks import SAMPLE_RATE, TRACKS, parse_tracks
from jen1composer.training.files import write_whole
from launch import command
from launch.session_actions import parse_actions, upload
from launch.session_table import table


class SessionRun:
    """The session of a folder; `session` is the present one."""

    def __init__(
        self, folder: epath.Path, session: Session, checkpoint: str | None, text_encoder: str | None
    ) -> None:
        self.session = session
        self._folder = folder
        self._checkpoint = checkpoint
        self._text_encoder = text_encoder
        self._composer: Composer | None = None
        self._lock: IO[bytes] | None = None  # held as long as this is

    @staticmethod
    def start(
        folder: epath.PathLike,
        *,
        checkpoint: str | None = None,
        text_encoder: str | None = None,
        tracks: Sequence[str] = (),
        settings: Mapping[str, Any],
    ) -> 'SessionRun':
        """Opens the session of `folder`, or begins one where there is none.

        `settings` are those fields of `actions.Set` that are to be other than they are. A new one
        has the lanes `tracks`, or else those of the checkpoint. Raises BadInput for a
        folder with something else in it, or for other `tracks` than a session has.
        """
        folder = epath.Path(folder)
        if (folder / NAME).exists():
            lock = lock_session(folder)
            session = open_session(folder, lost_ok=True)
            if tracks and tuple(tracks) != session.tracks:
                raise BadInput(
                    f'--tracks: {",".join(tracks)}; the session in {folder} has '
                    f'{",".join(session.tracks)}, which stay'
                )
            run = SessionRun(folder, session, checkpoint, text_encoder)
            run._lock = lock
            run.act(Set(**settings))
            return run
        if folder.exists() and any(path.name != LOCK for path in folder.iterdir()):
            raise BadInput(f'--session={folder}: holds no session, and is not empty')
        said = {name: value for name, value in settings.items() if value is not None}
        session = Session.new(tuple(tracks) or TRACKS, **said)
        run = SessionRun(folder, session, checkpoint, text_encoder)
        if checkpoint is not None and not tracks:
            run.session = Session.new(run._composer_there().spec.tracks, **said)
        return run

    def upload(self, entries: Iterable[str]) -> None:
        """TRACK=FILE, each."""
        for entry in entries:
            track, equals, path = entry.partition('=')
            if not (track and equals and path):
                raise BadInput(f'--upload={entry}: allowed is TRACK=FILE,...')
            parse_tracks('--upload', [track], self.session.tracks)
            self.act(upload(track, path))

    def do(self, text: str) -> None:
        """What one --do asks for."""
        for action in parse_actions(text, self.session):
            try:
                self.act(action)
            except BadInput as error:
                raise BadInput(f'--do={text}: {error}') from error

    def act(self, action: Action) -> None:
        """One action, with what is composed for it; saved if it changed something."""
        made = None
        if plan(self.session, action, controlled=True) is not None:  # refuses before it loads
            composer = self._matching_composer()
            request = plan(self.session, action, controlled=composer.spec.model.control)
            assert request is not None
            progress = command.report_progress(f'{action.do}: windows')
            made = composer.compose(request, progress)
        after = apply(self.session, action, made)
        if after != self.session:
            self._save(after)
        self.session = after

    def stems(self, folder: str, kind: str, lufs: float | None) -> str:
        """Writes stems and mix; returns where `stems.json` is."""
        write_stems(folder, self.session, kind=kind, loudness_lufs=lufs)
        return f'{folder}/stems.json'

    def report(self, written: Mapping[str, Any]) -> str:
        """The table; what it says, and what was written, is in `lanes.json`."""
        self._save(self.session)
        said = session_to_json(self.session)
        text = json.dumps(said | {'written': written}, indent=1) + '\n'
        write_whole(self._folder / 'lanes.json', text.encode())
        return table(said)

    def _save(self, session: Session) -> None:
        """A new session's folder begins here, so that what was refused has left nothing."""
        if self._lock is None:
            self._lock = lock_session(self._folder)
        save_session(self._folder, session, after=self.session)

    def _matching_composer(self) -> Composer:
        """The composer; raises BadInput where it makes other tracks than the session has."""
        composer = self._composer_there()
        its, lanes = composer.spec.tracks, self.session.tracks
        if its != lanes:
            raise BadInput(
                f'--checkpoint={self._checkpoint or packaged_composer()}: makes '
                f'{", ".join(its)}; the session has '
                f'{", ".join(lanes)}'
            )
        return composer

    def _composer_there(self) -> Composer:
        if self._composer is None:
            command.use_compilation_cache()
            self._composer = Composer.load(self._checkpoint, text_encoder=self._text_encoder)
        return self._composer


def mix_kind(path: str | None) -> str:
    """The kind of file that the ending of --mix asks for."""
    kind = (path or '.flac').rpartition('.')[2].lower()
    if kind not in KINDS:
        raise BadInput(f'--mix={path}: allowed is a file that ends in .flac or .wav')
    return kind


def write_mix(path: str, session: Session, lufs: float | None) -> dict[str, Any]:
    """Writes the mix; a FLAC is made quieter where it would clip, by a gain that is returned."""
    audio, gain = mixdown(session, lufs), 1.0
    kind = mix_kind(path)
    if kind == 'flac':
        audio, gain = fit_full_scale(audio)
    try:
        write_whole(path, encode_sound(audio, SAMPLE_RATE, kind))
    except OSError as error:
        raise BadInput(f'--mix={path}: {error.strerror}; allowed is a file') from error
    return {'file': path, 'gain': round(gain, 4)}
