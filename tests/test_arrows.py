"""The shape of the house: which folder may know which, how long a file may be, what lies on top.

Imports are read from the source, so those inside functions count as well.

    launch -> configs, data_pipeline, jen1composer
    data_pipeline -> jen1composer.{errors, tracks, harmony, diffusion.batch}
    jen1composer: evaluation, serving -> generation -> training -> models, sharding -> diffusion
                  -> tracks, harmony -> errors
"""

import ast
import pathlib
import subprocess
from collections.abc import Iterator

import pytest

ROOT = pathlib.Path(__file__).parents[1]
PACKAGES = ('configs', 'data_pipeline', 'jen1composer', 'launch', 'tests')

# From the top down: a part may import what stands below its line, and nothing beside it.
LAYERS = (
    ('jen1composer.evaluation', 'jen1composer.serving'),
    ('jen1composer.generation',),
    ('jen1composer.training',),
    ('jen1composer.models', 'jen1composer.sharding'),
    ('jen1composer.diffusion',),
    ('jen1composer.tracks', 'jen1composer.harmony'),
    ('jen1composer.errors',),
)
ALLOWED = (
    {
        'launch': PACKAGES[:-1],
        'configs': ('configs', 'jen1composer.tracks'),
        'data_pipeline': (
            'data_pipeline',
            'jen1composer.errors',
            'jen1composer.tracks',
            'jen1composer.harmony',
            'jen1composer.diffusion.batch',
        ),
        'jen1composer': (),  # The package's own __init__.py.
    }
    | {
        part: (part, *(lower for layer in LAYERS[depth + 1 :] for lower in layer))
        for depth, layer in enumerate(LAYERS)
        for part in layer
    }
)

PURE = ('tracks', 'harmony', 'diffusion', 'models', 'sharding')
IMPURE = ('absl', 'etils', 'grain', 'io', 'ml_collections', 'orbax', 'os', 'pathlib', 'safetensors')


def is_in(module: str, part: str) -> bool:
    return module == part or module.startswith(part + '.')


def sources(*packages: str) -> Iterator[tuple[str, pathlib.Path]]:
    """The modules of `packages`: dotted name, file."""
    for package in packages:
        for path in sorted((ROOT / package).rglob('*.py')):
            parts = path.relative_to(ROOT).with_suffix('').parts
            yield '.'.join(parts).removesuffix('.__init__'), path


def imports(path: pathlib.Path) -> Iterator[tuple[int, str]]:
    """What `path` imports: line, dotted name (of the module, or of the thing taken from it)."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            module = '.' * node.level + (node.module or '')
            yield from ((node.lineno, f'{module}.{alias.name}') for alias in node.names)


def may_import(module: str, imported: str) -> bool:
    """Whether `module` may import `imported`; packages of others are everybody's."""
    if not any(is_in(imported, package) for package in PACKAGES):
        return not imported.startswith('.')
    part = max((part for part in ALLOWED if is_in(module, part)), key=len)
    return any(is_in(imported, allowed) for allowed in ALLOWED[part])


def test_arrows_point_one_way():
    wrong = [
        f'{path.relative_to(ROOT)}:{line} imports {imported}'
        for module, path in sources(*PACKAGES[:-1])
        for line, imported in imports(path)
        if not may_import(module, imported)
    ]
    assert not wrong, '\n'.join(wrong)


@pytest.mark.parametrize(
    ('module', 'imported', 'allowed'),
    [
        ('launch.generate', 'jen1composer.generation.composer', True),
        ('launch.generate', 'tests.gaussian', False),
        ('data_pipeline.windows', 'jen1composer.diffusion.batch.Batch', True),
        ('data_pipeline.windows', 'jen1composer.diffusion.loss', False),
        ('data_pipeline.windows', 'launch.command', False),
        ('jen1composer.training.step', 'jen1composer.models.unet.UNet', True),
        ('jen1composer.models.unet', 'jen1composer.training.step', False),
        ('jen1composer.models.unet', 'jen1composer.sharding.mesh', False),
        ('jen1composer.models.unet', 'jen1composer.models.layers', True),
        ('jen1composer.models.unet', '.layers', False),
        ('jen1composer.models.unet', 'flax.linen', True),
        ('jen1composer', 'jen1composer.tracks', False),
    ],
)
def test_arrows_are_read_rightly(module, imported, allowed):
    assert may_import(module, imported) == allowed


def test_the_mathematics_touches_no_file_and_no_flag():
    wrong = [
        f'{path.relative_to(ROOT)}:{line} imports {imported}'
        for module, path in sources('jen1composer')
        if any(is_in(module, f'jen1composer.{part}') for part in PURE)
        for line, imported in imports(path)
        if any(is_in(imported, impure) for impure in IMPURE)
    ]
    assert not wrong, '\n'.join(wrong)


def test_the_library_defines_no_flags():
    wrong = [
        f'{path.relative_to(ROOT)}:{line} imports {imported}'
        for _, path in sources('jen1composer', 'data_pipeline')
        for line, imported in imports(path)
        if any(is_in(imported, of_commands) for of_commands in ('absl.app', 'absl.flags'))
    ]
    assert not wrong, '\n'.join(wrong)


def test_no_file_is_long():
    lengths = {path: len(path.read_text().splitlines()) for _, path in sources(*PACKAGES)}
    assert len(lengths) > 50
    long = {str(path.relative_to(ROOT)): n for path, n in lengths.items() if n > 500}
    assert not long


def test_only_the_house_is_on_top():
    tracked = subprocess.run(['git', 'ls-files'], cwd=ROOT, capture_output=True, text=True)
    if tracked.returncode:
        pytest.skip('not a git checkout')
    top = {line.split('/')[0] for line in tracked.stdout.splitlines()}
    files = {'.ci', '.gitignore', 'LICENSE', 'NOTICE', 'README.md', 'pyproject.toml'}
    assert top <= {*PACKAGES, *files}
