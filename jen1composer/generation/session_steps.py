"""What actions do: from a session to what is to be composed for it, and on to the next session.

    request = plan(session, action)                 None where nothing is to be composed
    session = apply(session, action, composition)   of that request, where there is one

Of every lane, with "what is heard" the take that is current, padded with silence to the piece:

(1) compose     a kept lane with a take is given as it is heard; what is asked for is made, or else
                every lane that is not kept; the rest is left out
(2) regenerate  the lane is made, or spans of what is heard of it; every other lane with a take is
                given
(3) vary        the lane is made from what is heard of it; the others as in (2)
(4) continue    the piece becomes longer; lanes that go on keep what is heard, and what they do not
                reach is made. A take that reaches over the longer piece, as an upload may, is given
                instead; so are the other lanes with a take, silent where they are
(5) upload      the lane hears the sound from the start of the piece on, and is kept

A kept lane is never made anew: (1) to (3) refuse to, in (4) what is heard of it stays and goes on.
A take is added, never changed, so nothing that was made is lost but by undo and forget. Both
functions are pure: the same session, action and composition give the same session.
"""

import dataclasses
import json
from collections.abc import Collection, Iterator
from typing import Any, TypeVar

from jen1composer.errors import BadInput
from jen1composer.generation.actions import (
    Action,
    Compose,
    Composed,
    Continue,
    Forget,
    Keep,
    Mix,
    Redo,
    Regenerate,
    Select,
    Set,
    Undo,
    Upload,
    Vary,
    action_to_json,
)
from jen1composer.generation.composer import Composition
from jen1composer.generation.lane_takes import About, LaneTake, made_take, uploaded_take
from jen1composer.generation.request import WHOLE, Edit, Request
from jen1composer.generation.session import Lane, Piece, Session
from jen1composer.tracks import SAMPLE_RATE, parse_tracks

T = TypeVar('T', Lane, Piece)


def plan(session: Session, action: Action, *, controlled: bool = False) -> Request | None:
    """What the composer is to make for `action`; None where it makes nothing.

    Tempo and key are always said in words. A composer that is `controlled`, trained to be told
    them, is told them in numbers too; another one is not, and refuses chords, which no word says.

    Raises BadInput, naming the field or the track, where the action cannot be done.
    """
    if not isinstance(action, Composed):
        return None
    piece = _reframed(session.piece, action)
    edits, targets, strength = _made(session.piece, piece, action)
    if not targets and not edits:
        return None
    given = {
        lane.track: take.heard(piece.start, piece.num_samples)
        for lane, take in _listened(piece, action, {*targets, *edits})
    }
    if piece.chords and not controlled:
        raise BadInput(f'chords: {piece.chords!r}; this composer was trained without control')
    told: dict[str, Any] = {}
    if controlled:
        told = {'bpm': piece.tempo_bpm, 'key': piece.key or '', 'chords': piece.chords or ''}
    return Request(
        **told,
        control_guidance=action.control_guidance,
        prompt=piece.words,
        targets=targets,
        edits=edits,
        given=given,
        seconds=piece.seconds,
        strength=strength,
        seed=action.seed,
        num_steps=action.steps,
        sampler=action.sampler,
        text_guidance=action.guidance,
        given_guidance=action.given_guidance,
    )


def apply(session: Session, action: Action, composition: Composition | None = None) -> Session:
    """The session after `action`.

    Args:
        session: before it.
        action: what is done.
        composition: what was made of `plan(session, action)`; None where that is None.

    Raises BadInput, naming the field or the track, where the action cannot be done.
    """
    request = plan(session, action, controlled=True)  # what is told changes no step
    if (request is None) != (composition is None):
        raise ValueError('a composition is needed just where the plan is a request')
    match action:
        case Undo():
            return session.undo()
        case Redo():
            return session.redo()
        case Forget():
            return session.forget()
    asked = json.dumps(action_to_json(action), sort_keys=True)
    if isinstance(action, Composed):
        piece = _reframed(session.piece, action)
        if request is not None and composition is not None:
            piece = _with_takes(piece, request, composition, action, asked)
        return session.step(piece, asked)
    return session.step(_changed(session.piece, action, asked), asked)


def _changed(piece: Piece, action: Action, asked: str) -> Piece:
    """The piece after an action for which nothing is composed."""
    match action:
        case Upload():
            about = About(
                how='upload', asked=asked, start=piece.start, name=action.name, rate=action.rate
            )
            lane = piece.lane(action.track).with_take(uploaded_take(action.audio, about))
            return piece.with_lane(dataclasses.replace(lane, kept=True))
        case Keep():
            lane = piece.lane(action.track)
            return piece.with_lane(dataclasses.replace(lane, kept=action.kept))
        case Select():
            lane = piece.lane(action.track)
            for take in lane.takes:
                if take.id == action.take:
                    return piece.with_lane(lane.with_take(take))
            allowed = ', '.join(take.id for take in lane.takes) or 'none yet'
            raise BadInput(f'take: {action.take!r}; allowed of {lane.track!r} are {allowed}')
        case Mix():
            return piece.with_lane(_replaced(piece.lane(action.track), action))
        case Set():
            seconds = action.seconds
            changed = dataclasses.replace(
                piece, num_samples=piece.num_samples if seconds is None else _samples(seconds)
            )
            changed = _replaced(changed, action, but=('seconds',))
            return dataclasses.replace(
                changed,
                tempo_bpm=changed.tempo_bpm or None,
                key=changed.key or None,
                chords=changed.chords or None,
            )
    raise TypeError(f'{action} is no action')


def _replaced(value: T, action: Action, but: tuple[str, ...] = ('track',)) -> T:
    """`value` with the fields of `action` that are not None."""
    fields = {field.name: getattr(action, field.name) for field in dataclasses.fields(action)}
    said = {name: v for name, v in fields.items() if v is not None and name not in but}
    return dataclasses.replace(value, **said)


def _reframed(piece: Piece, action: Composed) -> Piece:
    """The piece as long as it is after `action`, with the lanes as they are before it."""
    if not isinstance(action, Continue):
        return piece
    more = _samples(action.seconds)
    return dataclasses.replace(
        piece,
        start=piece.start - (more if action.side == 'start' else 0),
        num_samples=piece.num_samples + more,
    )


def _made(
    before: Piece, piece: Piece, action: Composed
) -> tuple[dict[str, Edit], tuple[str, ...], float]:
    """Edits, targets that are no edits, and the strength; `piece` is `before`, reframed."""
    match action:
        case Compose():
            names = _named(action.tracks, piece) or tuple(
                lane.track for lane in piece.lanes if not lane.kept
            )
            if not names:
                raise BadInput('compose: every lane is kept; allowed are lanes that are open')
            lanes = [_open(piece.lane(name), action) for name in names]
            if action.strength == 1:
                return {}, names, 1.0
            return {lane.track: _anew(lane, piece, action) for lane in lanes}, (), action.strength
        case Regenerate():
            lane = _open(piece.lane(action.track), action)
            if not action.spans:
                return {}, (lane.track,), 1.0
            audio = _current(lane, action).heard(piece.start, piece.num_samples)
            edit = Edit(audio=audio, regenerate=action.spans, called=action.do)
            return {lane.track: edit}, (), 1.0
        case Vary():
            lane = _open(piece.lane(action.track), action)
            return {lane.track: _anew(lane, piece, action)}, (), action.strength
        case Continue():
            names = _named(action.tracks, piece) or tuple(
                lane.track for lane in piece.lanes if lane.current
            )
            if not names:
                raise BadInput('continue: no lane has a take yet; compose or upload one first')
            takes = {name: _current(piece.lane(name), action) for name in names}
            found = {name: _going_on(take, before, piece) for name, take in takes.items()}
            return {name: edit for name, edit in found.items() if edit}, (), 1.0
    raise TypeError(f'{action} composes nothing')


def _listened(
    piece: Piece, action: Composed, made: Collection[str]
) -> Iterator[tuple[Lane, LaneTake]]:
    """The lanes that are given, with what is heard of them."""
    for lane in piece.lanes:
        listened = lane.kept or not isinstance(action, Compose)
        if lane.current and listened and lane.track not in made:
            yield lane, lane.current


def _with_takes(
    piece: Piece, request: Request, composition: Composition, action: Composed, asked: str
) -> Piece:
    """The piece with what was made as the takes that are heard."""
    made = {*request.targets, *request.edits}
    given = tuple((lane.track, take.id) for lane, take in _listened(piece, action, made))
    for lane in piece.lanes:
        if lane.track not in made:
            continue
        take = composition.takes[lane.track]
        if len(take.audio) != piece.num_samples:
            raise ValueError('the composition is of another request')
        source = lane.current.id if lane.current and lane.track in request.edits else None
        about = About(
            how=action.do,
            asked=asked,
            start=piece.start,
            holes=take.holes,
            words=request.prompt,
            prompt=piece.prompt,
            seed=request.seed,
            source=source,
            given=given,
            trained_steps=composition.step,
        )
        piece = piece.with_lane(lane.with_take(made_take(take.audio, about)))
    return piece


def _named(tracks: tuple[str, ...], piece: Piece) -> tuple[str, ...]:
    return parse_tracks('tracks', tracks, [lane.track for lane in piece.lanes])


def _open(lane: Lane, action: Action) -> Lane:
    if lane.kept:
        raise BadInput(
            f'{action.do}: track {lane.track!r} is kept; allowed are lanes that are open'
        )
    return lane


def _current(lane: Lane, action: Action) -> LaneTake:
    if lane.current is None:
        raise BadInput(
            f'{action.do}: track {lane.track!r} has no take yet; compose or upload one first'
        )
    return lane.current


def _anew(lane: Lane, piece: Piece, action: Action) -> Edit:
    audio = _current(lane, action).heard(piece.start, piece.num_samples)
    return Edit(audio=audio, regenerate=WHOLE, called=action.do)


def _going_on(take: LaneTake, before: Piece, piece: Piece) -> Edit | None:
    """What goes on from `before` to the longer `piece`; None where the take reaches that far."""
    end = piece.start + piece.num_samples
    first = max(piece.start, min(before.start, take.about.start))
    last = min(end, max(before.start + before.num_samples, take.about.start + len(take.audio)))
    if (first, last) == (piece.start, end):
        return None
    audio = take.heard(first, last - first)
    return Edit(audio=audio, start_s=(first - piece.start) / SAMPLE_RATE, called='continue')


def _samples(seconds: float) -> int:
    return round(seconds * SAMPLE_RATE)
