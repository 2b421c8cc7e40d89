"""Rules: for each logical axis, the mesh axes it is split over.

A layer names the logical axes of its weights and features (`models.layers`); the rules say what
becomes of each name. So the same network trains under every strategy, and comparing two of them
changes one word of a config. Features, `[batch, frame, ...]`, have

    batch       examples
    frame       what runs along time: frames, or samples
    inner       channels inside a block, made by its first matrix and used up by its last
    heads       attention heads

and a weight has, beside `inner` and `heads`,

    channel     channels of the stream that blocks add to: split where the weight is stored, and
                gathered where it is used; features are never split along them

So `channel` is FSDP (ZeRO-3): memory shrinks, bytes are moved. `inner` and `heads` are tensor
parallelism (Megatron-LM, arXiv 1909.08053): a block's first matrix makes its own share of the inner
features, its last one adds up what all shares give.
"""

import dataclasses
import itertools

from jen1composer.errors import BadInput, require

MeshAxes = str | tuple[str, ...] | None

# Logical axes that meet in one array; no two of them may be split over the same mesh axis.
MEETING = (
    ('batch', 'frame', 'inner'),
    ('batch', 'frame', 'heads'),
    ('channel', 'inner'),
    ('channel', 'heads'),
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Rules:
    """One field per logical axis; None leaves that axis whole.

    Raises BadInput where two axes that meet in one array are on one mesh axis, naming both.
    """

    # of features
    batch: MeshAxes = ('data', 'fsdp')
    frame: MeshAxes = None

    # of features, and of the weights that make them
    inner: MeshAxes = None
    heads: MeshAxes = None

    # of weights
    channel: MeshAxes = None
    norm: MeshAxes = None  # scales and biases

    # Below this size a weight stays whole: gathering it costs more than holding it.
    whole_below_bytes: int = 256 * 1024
    most_whole: float = 0.25  # share of all weights that may stay whole above it

    def __post_init__(self) -> None:
        for group in MEETING:
            for one, other in itertools.combinations(group, 2):
                for axis in set(self.axes(one)) & set(self.axes(other)):
                    raise BadInput(
                        f'Rules: {one} and {other} are both split over {axis}, and meet in one '
                        'array; allowed is a mesh axis for each'
                    )
        require(self.whole_below_bytes >= 0, 'whole_below_bytes', self.whole_below_bytes, 'is >= 0')
        require(0 <= self.most_whole <= 1, 'most_whole', self.most_whole, 'is 0 to 1')

    def axes(self, name: str | None) -> tuple[str, ...]:
        """The mesh axes over which the logical axis `name` is split."""
        wanted = getattr(self, name) if name else None
        return (wanted,) if isinstance(wanted, str) else tuple(wanted or ())
