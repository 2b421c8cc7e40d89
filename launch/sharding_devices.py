"""What `--devices` names: devices that are here, simulated, or of a TPU pod that is not there.

    cpu:8          eight simulated devices of this host, which share its cores
    gpu, tpu       the accelerators that are here; gpu:2 the first two of them
    v5e:4x4        a TPU topology, compiled for ahead of time and not run
    2xv5e:4x4      two slices of it, joined by a data-centre network

For the first and the last JAX must be told before it starts: `environment` is what it must find.
`require` asks for them in a process of its own, as does

    python -m launch.sharding_devices DEVICES

so that the process that compares holds no accelerator which those that measure need.
"""

import dataclasses
import importlib.util
import os
import pathlib
import re
import subprocess
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING

from jen1composer.errors import BadInput

if TYPE_CHECKING:
    import jax

ALLOWED = 'cpu:8, gpu, gpu:2, tpu, v4:2x2x1, v5e:4x4, v5p:2x2x4, v6e:16x16, 2xv5e:4x4 (two slices)'
MOST_SIMULATED = 64
ROOT = pathlib.Path(__file__).parents[1]
_TOPOLOGY = re.compile(r'(?:(\d+)x)?(v\d+[a-z]?:\d+(?:x\d+)+)')
_HERE = re.compile(r'(cpu|gpu|tpu)(?::(\d+))?')

# A libtpu without a TPU must not look for one, nor hold the lock that lets one process have it.
_NO_TPU = {
    'JAX_PLATFORMS': 'cpu',
    'TPU_SKIP_MDS_QUERY': '1',
    'TPU_WORKER_HOSTNAMES': 'localhost',
    'TPU_LOG_DIR': 'disabled',
    'ALLOW_MULTIPLE_LIBTPU_LOAD': '1',
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Devices:
    """What a text like those above says.

    Attributes:
        text: as it was given.
        platform: cpu, gpu or tpu.
        count: how many; 0 is all that are here.
        topology: its name, of a pod that is not there; else ''.
        slices: of that topology.
    """

    text: str
    platform: str
    count: int = 0
    topology: str = ''
    slices: int = 1

    @classmethod
    def parse(cls, text: str) -> 'Devices':
        """Raises BadInput for what names no devices, or needs what is not installed."""
        if topology := _TOPOLOGY.fullmatch(text):
            found = importlib.util.find_spec('libtpu')
            if found is None or found.origin is None:  # an emptied folder is a namespace
                raise BadInput(
                    f'--devices={text}: needs the TPU compiler, libtpu; '
                    "pip install 'jen1composer[tpu]' brings it"
                )
            slices = int(topology[1] or 1)
            if slices < 1:
                raise BadInput(f'--devices={text}: {slices} slices; allowed are 1 or more')
            return cls(text=text, platform='tpu', topology=topology[2], slices=slices)
        here = _HERE.fullmatch(text)
        if here is None:
            raise BadInput(f'--devices={text}: allowed are {ALLOWED}')
        count = int(here[2]) if here[2] else (1 if here[1] == 'cpu' else 0)
        if (here[2] and count < 1) or (here[1] == 'cpu' and count > MOST_SIMULATED):
            raise BadInput(f'--devices={text}: allowed are 1 to {MOST_SIMULATED} devices')
        return cls(text=text, platform=here[1], count=count)

    @property
    def is_here(self) -> bool:
        """Whether a step can be run on them, rather than only compiled."""
        return not self.topology

    @property
    def is_simulated(self) -> bool:
        """They share the cores of one host, so that more of them are not faster."""
        return self.platform == 'cpu'

    @property
    def alone(self) -> 'Devices':
        """One device of the same kind, to compare with."""
        return Devices(text=f'{self.platform}:1', platform=self.platform, count=1)

    @property
    def environment(self) -> Mapping[str, str]:
        """Variables that JAX must find when it starts."""
        if self.topology:
            return _NO_TPU
        if self.platform == 'cpu':
            return {'JAX_PLATFORMS': 'cpu', 'JAX_NUM_CPU_DEVICES': str(self.count)}
        return {}

    def require(self) -> None:
        """Raises BadInput where `find` would; this process asks for no device."""
        child = subprocess.run(
            [sys.executable, '-m', 'launch.sharding_devices', self.text],
            cwd=ROOT,
            env=os.environ | dict(self.environment),
            stdin=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
        if child.returncode:
            lines = child.stderr.strip().splitlines()
            told = [line for line in lines if line.startswith('error: --devices')]
            last = (told or lines or [f'exit status {child.returncode}'])[-1]
            raise BadInput(last.removeprefix('error: ') if told else f'{self._flag}: {last[:200]}')

    @property
    def _flag(self) -> str:
        return f'--devices={self.text}'

    def find(self) -> 'list[jax.Device]':
        """The devices, in a process that was started in `environment`; raises BadInput."""
        import jax

        if self.topology:
            return self._of_topology()
        try:
            found = jax.devices(self.platform)
        except RuntimeError as error:
            raise BadInput(f'{self._flag}: JAX finds no {self.platform} here') from error
        if len(found) < self.count:
            raise BadInput(f'{self._flag}: there are {len(found)} here')
        return list(found[: self.count] if self.count else found)

    def _of_topology(self) -> 'list[jax.Device]':
        from jax.experimental import topologies

        slices = {'num_slices': self.slices} if self.slices > 1 else {}
        try:
            found = topologies.get_topology_desc(
                platform='tpu', topology_name=self.topology, **slices
            )
        except Exception as error:  # it raises one of several, by jax's version
            reason = str(error).strip().splitlines()[0]
            raise BadInput(f'{self._flag}: no such topology: {reason}') from error
        return list(found.devices)


def main(argv: list[str]) -> None:
    try:
        Devices.parse(argv[1]).find()
    except BadInput as error:
        print(f'error: {error}', file=sys.stderr)
        sys.exit(2)


if __name__ == '__main__':
    main(sys.argv)
