"""A bucket that is a folder: real gs:// addresses, through etils and fsspec, without a network.

As in an object store there are no folders but those that something lies in, and objects do not
grow: gcsfs takes mode 'a' for 'w'.
"""

import pathlib
from typing import Any

import fsspec
import pytest
from etils.epath import backend
from fsspec.implementations.dirfs import DirFileSystem
from fsspec.implementations.local import LocalFileSystem


@pytest.fixture
def bucket(tmp_path, monkeypatch):
    """The address gs://bucket, and the folder that it stands for."""
    root = tmp_path / 'objects'

    class Bucket(DirFileSystem):
        protocol = ('gs', 'gcs')
        cachable = False

        def __init__(self, **_: Any):
            super().__init__(path=str(root), fs=LocalFileSystem())

        @classmethod
        def _strip_protocol(cls, path: str) -> str:
            return path.removeprefix('gs://').rstrip('/')

        def _join(self, path: Any) -> Any:
            paths = [path] if isinstance(path, str) else path
            joined = [str(root / self._strip_protocol(p)) for p in paths]
            return joined[0] if isinstance(path, str) else joined

        def open(self, path: str, mode: str = 'rb', **kwargs: Any) -> Any:
            if 'a' in mode:
                raise ValueError(f'{path}: to append to an object is to replace it')
            if 'w' in mode:
                pathlib.Path(self._join(path)).parent.mkdir(parents=True, exist_ok=True)
            return super().open(path, mode=mode, **kwargs)

        def mkdir(self, path: str, *_: Any, **__: Any) -> None:
            pass

        makedirs = mkdir

    fsspec.register_implementation('gcs', Bucket, clobber=True)
    of_addresses = backend.fsspec_backend
    monkeypatch.setattr(of_addresses, '_get_filesystem', lambda name: fsspec.filesystem(name))
    yield 'gs://bucket', root / 'bucket'
    fsspec.register_implementation('gcs', 'gcsfs.GCSFileSystem', clobber=True)
