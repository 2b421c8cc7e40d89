"""Which source `--source=` names."""

from collections.abc import Callable, Mapping, Sequence

from data_pipeline.sources.freedoom import fetch_freedoom
from data_pipeline.sources.listing import open_root
from data_pipeline.sources.midi_folder import MidiFolder
from data_pipeline.sources.moisesdb import Moisesdb
from data_pipeline.sources.musdb import Musdb
from data_pipeline.sources.scores import fetch_font, read_font
from data_pipeline.sources.slakh import Slakh
from data_pipeline.sources.source import Source
from data_pipeline.sources.stems import RULES, Rule, Stems
from jen1composer.errors import BadInput

DATA_SETS: Mapping[str, Callable[..., Source]] = {
    'slakh': Slakh,
    'musdb': Musdb,
    'moisesdb': Moisesdb,
}
FOLDERS = ('stems', 'midi', *DATA_SETS)


def open_source(spec: str, *, roles: Sequence[Rule] = RULES, font: str = '') -> Source:
    """The source that `--source=` names.

    Args:
        spec: 'freedoom', or a kind of folder and the folder, such as 'stems:DIR'.
        roles: (regular expression, track or None), the rules of 'stems:DIR'.
        font: a SoundFont for 'midi:DIR'; by default the packaged one.

    Raises BadInput for a source that there is not, for rules that make no sense, for a font that
    cannot be read, and if what is to be downloaded cannot be had.
    """
    kind, _, folder = spec.partition(':')
    if spec == 'freedoom':
        return fetch_freedoom()
    if kind not in FOLDERS or not folder:
        allowed = ', '.join(f'{name}:DIR' for name in FOLDERS)
        raise BadInput(f'--source={spec}: unknown; allowed are freedoom, {allowed}')
    open_root(kind, folder)  # Before anything is downloaded for it.
    if kind == 'stems':
        return Stems(folder=folder, rules=tuple(roles))
    if kind == 'midi':
        return MidiFolder(folder=folder, font=read_font(font) if font else fetch_font())
    return DATA_SETS[kind](folder=folder)
