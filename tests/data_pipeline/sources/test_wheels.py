"""Wheels: the cache is used, and only the pinned content is accepted."""

import hashlib
import pathlib
import zipfile

import pytest

from data_pipeline.sources.wheels import Wheel, fetch, member
from jen1composer.errors import BadInput

WHEEL = Wheel(name='no-such-package-xyz', version='1.0', pip_options=('--no-index',))
CONTENT = b'notes'


@pytest.fixture
def cache(tmp_path: pathlib.Path) -> pathlib.Path:
    with zipfile.ZipFile(tmp_path / 'no_such_package_xyz-1.0-py3-none-any.whl', 'w') as archive:
        archive.writestr('package/data.bin', CONTENT)
    return tmp_path


def test_a_kept_wheel_is_not_downloaded(cache: pathlib.Path):
    assert fetch(WHEEL, cache).name == 'no_such_package_xyz-1.0-py3-none-any.whl'


def test_a_failed_download_is_one_line_and_leaves_nothing(tmp_path: pathlib.Path):
    with pytest.raises(BadInput, match=r'no-such-package-xyz==1\.0: pip could not') as error:
        fetch(WHEEL, tmp_path)
    assert '\n' not in str(error.value)
    assert not list(tmp_path.iterdir())


def test_only_the_pinned_content_is_read(cache: pathlib.Path):
    wheel = fetch(WHEEL, cache)
    assert member(wheel, 'package/data.bin', hashlib.sha256(CONTENT).hexdigest()) == CONTENT
    with pytest.raises(BadInput, match='SHA-256'):
        member(wheel, 'package/data.bin', hashlib.sha256(b'other').hexdigest())
    with pytest.raises(BadInput, match=r'cannot read package/none\.bin'):
        member(wheel, 'package/none.bin', '')


def test_a_broken_wheel_is_refused(cache: pathlib.Path):
    wheel = fetch(WHEEL, cache)
    wheel.write_bytes(wheel.read_bytes()[:40])
    with pytest.raises(BadInput, match='downloaded again'):
        member(wheel, 'package/data.bin', '')
