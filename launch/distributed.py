"""Several processes as one run: who they are, and how JAX is told.

One process of several is found, in this order,

1. by flags: --coordinator=HOST:PORT --processes=N --process=I, the same but for I in each;
2. under Open MPI's mpirun, by OMPI_COMM_WORLD_SIZE and its like;
3. in a job step of SLURM (srun), by SLURM_STEP_NUM_TASKS and its like;
4. on a TPU slice, by what the machine knows of itself, which JAX reads.

Anything else is one process, for which nothing is done. What is found is a pure function of the
environment, `plan`; `begin` does it. Under 2 and 3 --coordinator alone says where process 0 is to
be reached, where that cannot be read there.

GPUs: a process takes all that it can see, unless others on its machine see the same ones. Then they
share those of CUDA_VISIBLE_DEVICES evenly, in order; where that is not set each takes one. A
process that was started by flags takes all.
"""

import dataclasses
import glob
import importlib.util
import os
import re
from collections.abc import Mapping
from typing import Any

from absl import flags

from jen1composer.errors import BadInput, RunFailed, require

_COORDINATOR = flags.DEFINE_string(
    'coordinator', None, 'HOST:PORT of process 0, where several processes are one run.'
)
_PROCESSES = flags.DEFINE_integer('processes', None, 'How many processes there are.')
_PROCESS = flags.DEFINE_integer('process', None, 'Which of them this is, from 0.')

# Ports that jobs take by their number, so that two on one machine do not meet.
FIRST_PORT, NUM_PORTS = 61440, 4096


@dataclasses.dataclass(frozen=True, kw_only=True)
class Start:
    """What one process of several tells `jax.distributed`; None is left to JAX to find out."""

    found_by: str  # flags, Open MPI, SLURM or TPU
    coordinator: str | None = None  # HOST:PORT
    processes: int | None = None
    process: int | None = None
    gpus: tuple[int, ...] | None = None  # of those that are visible here; None: all


def begin() -> Start | None:
    """Does what flags and environment say; before JAX has touched a device.

    Raises BadInput as `plan`, and RunFailed where the others are not reached.
    """
    start = plan(
        os.environ,
        coordinator=_COORDINATOR.value,
        processes=_PROCESSES.value,
        process=_PROCESS.value,
        tpu=has_tpu(),
    )
    if start is not None:
        initialize(start)
    return start


def plan(
    environment: Mapping[str, str],
    *,
    coordinator: str | None = None,
    processes: int | None = None,
    process: int | None = None,
    tpu: bool = False,
) -> Start | None:
    """What this process is of several, or None where it is alone.

    Args:
        environment: variables by name.
        coordinator: the flags, None where they were not given.
        processes: likewise.
        process: likewise.
        tpu: whether there are TPUs in this machine.

    Raises BadInput for flags that do not go together, variables that are not all there, and
    numbers of GPUs that cannot be shared.
    """
    if coordinator is not None:
        _check_address(coordinator)
    if processes is not None or process is not None:
        return _by_flags(coordinator, processes, process)
    if 'OMPI_COMM_WORLD_SIZE' in environment:
        alone = _number(environment, 'OMPI_COMM_WORLD_SIZE') == 1
        return None if alone else _by_open_mpi(environment, coordinator)
    if 'SLURM_STEP_NUM_TASKS' in environment:
        alone = _number(environment, 'SLURM_STEP_NUM_TASKS') == 1
        return None if alone else _by_slurm(environment, coordinator)
    if coordinator is not None:
        raise BadInput(
            f'--coordinator={coordinator}: neither Open MPI nor SLURM says which process this is; '
            'needed are --processes=N and --process=I'
        )
    if tpu and _may_have_neighbours(environment):
        return Start(found_by='TPU')
    return None


def initialize(start: Start) -> None:
    """Connects to the other processes; returns when all are there.

    Raises RunFailed where they are not, after JAX's five minutes.
    """
    import jax

    told: dict[str, Any] = {}
    if start.coordinator is not None:
        told = {
            'coordinator_address': start.coordinator,
            'num_processes': start.processes,
            'process_id': start.process,
            'local_device_ids': start.gpus,
            'cluster_detection_method': 'deactivate',  # it would give us one GPU under SLURM
        }
    try:
        jax.distributed.initialize(**told)
    except (RuntimeError, ValueError) as error:
        who = f'process {start.process} of {start.processes}' if told else 'this process'
        reason = ' '.join(str(error).split())[:200]
        raise RunFailed(
            f'{who} (found by {start.found_by}) did not meet the others at '
            f'{start.coordinator or "the coordinator"}: {reason}'
        ) from error


def is_first() -> bool:
    """Whether this is the process that prints, and writes what all would write alike."""
    import jax

    return jax.process_index() == 0


def meet(where: str) -> None:
    """Returns when all processes are here; with one process at once."""
    from jax.experimental import multihost_utils

    multihost_utils.sync_global_devices(where)


def has_tpu() -> bool:
    """Whether TPUs are in this machine and meant to be used; looks at files alone."""
    platforms = os.environ.get('JAX_PLATFORMS', 'tpu')
    chips = glob.glob('/dev/accel*') + glob.glob('/dev/vfio/[0-9]*')
    return 'tpu' in platforms and bool(chips) and importlib.util.find_spec('libtpu') is not None


def _by_flags(coordinator: str | None, processes: int | None, process: int | None) -> Start | None:
    if processes == 1 and process in (None, 0):
        return None
    given = {'coordinator': coordinator, 'processes': processes, 'process': process}
    missing = ' and '.join(f'--{name}' for name, value in given.items() if value is None)
    if processes is None or process is None or coordinator is None:
        there = ' '.join(f'--{name}={value}' for name, value in given.items() if value is not None)
        raise BadInput(f'{there}: without {missing}; allowed are all three or none')
    require(processes >= 1, '--processes', processes, 'is 1 or more')
    require(0 <= process < processes, '--process', process, f'is 0 to {processes - 1}')
    return Start(found_by='flags', coordinator=coordinator, processes=processes, process=process)


def _by_open_mpi(environment: Mapping[str, str], coordinator: str | None) -> Start:
    if coordinator is None:
        # 1531576320.0;tcp://10.96.0.1,10.148.0.1:34911: the job's number and mpirun's addresses.
        uri = environment.get('OMPI_MCA_orte_hnp_uri', '')
        read = re.match(r'(\d+)\..*?(?:tcp://([^,:]+)|tcp6://\[([^,\]]+))', uri)
        if read is None:
            raise BadInput(
                '--coordinator: missing; this Open MPI does not say where process 0 is, needed is '
                'its HOST:PORT'
            )
        host = read[2] or f'[{read[3]}]'
        coordinator = f'{host}:{_port(int(read[1]) >> 12)}'  # the lower bits are always 0
    processes = _number(environment, 'OMPI_COMM_WORLD_SIZE')
    locals_ = _number(environment, 'OMPI_COMM_WORLD_LOCAL_SIZE')
    local = _number(environment, 'OMPI_COMM_WORLD_LOCAL_RANK', below=locals_)
    return Start(
        found_by='Open MPI',
        coordinator=coordinator,
        processes=processes,
        process=_number(environment, 'OMPI_COMM_WORLD_RANK', below=processes),
        gpus=share_of_gpus(environment, local, locals_),
    )


def _by_slurm(environment: Mapping[str, str], coordinator: str | None) -> Start:
    if coordinator is None:
        job, step = _number(environment, 'SLURM_JOB_ID'), _number(environment, 'SLURM_STEP_ID')
        nodes = _text(environment, 'SLURM_STEP_NODELIST')
        coordinator = f'{first_host(nodes)}:{_port(job + step)}'
    listed = _text(environment, 'SLURM_STEP_TASKS_PER_NODE')
    counts = tasks_per_node(listed)
    require(bool(counts), 'SLURM_STEP_TASKS_PER_NODE', listed, "is a list such as '4(x2),3'")
    locals_ = counts[_number(environment, 'SLURM_NODEID', below=len(counts))]
    local = _number(environment, 'SLURM_LOCALID', below=locals_)
    processes = _number(environment, 'SLURM_STEP_NUM_TASKS')
    return Start(
        found_by='SLURM',
        coordinator=coordinator,
        processes=processes,
        process=_number(environment, 'SLURM_PROCID', below=processes),
        gpus=share_of_gpus(environment, local, locals_),
    )


def _may_have_neighbours(environment: Mapping[str, str]) -> bool:
    """Whether a TPU machine may be one of several: on GKE it says so, elsewhere JAX must ask."""
    hosts = environment.get('TPU_PROCESS_ADDRESSES') or environment.get('TPU_WORKER_HOSTNAMES')
    slices = environment.get('MEGASCALE_NUM_SLICES', '1')
    if hosts is not None:
        return ',' in hosts or slices != '1'
    return 'TPU_SKIP_MDS_QUERY' not in environment


def share_of_gpus(
    environment: Mapping[str, str], process: int, processes: int
) -> tuple[int, ...] | None:
    """Which of the GPUs that it sees `process`, of so many on one machine, takes; None: all.

    Raises BadInput where their number is known and cannot be split evenly.
    """
    visible = environment.get('CUDA_VISIBLE_DEVICES')
    if processes == 1:
        return None
    if visible is None:
        return (process,)
    count = len(visible.split(',')) if visible else 0
    if count <= 1:  # none, or this process's own
        return None
    if count % processes:
        raise BadInput(
            f'CUDA_VISIBLE_DEVICES={visible}: {count} GPUs for {processes} processes on this '
            'machine; allowed are as many for each'
        )
    share = count // processes
    return tuple(range(process * share, (process + 1) * share))


def first_host(nodes: str) -> str:
    """The first of a list as SLURM writes it: 'a[001-004,7],b' is a001 and so on."""
    first = re.split(r',(?![^\[]*\])', nodes)[0]
    return re.sub(r'\[(\w+)[^\]]*\]', r'\1', first)


def tasks_per_node(counts: str) -> list[int]:
    """A list as SLURM writes it: '4(x2),3' is 4, 4 and 3."""
    found: list[int] = []
    for count, times in re.findall(r'(\d+)(?:\(x(\d+)\))?', counts):
        found += [int(count)] * int(times or 1)
    return found


def _port(job: int) -> int:
    return FIRST_PORT + job % NUM_PORTS


def _text(environment: Mapping[str, str], name: str) -> str:
    value = environment.get(name, '')
    if not value:
        raise BadInput(
            f'{name}: missing beside others of its launcher; allowed are all of them, or '
            '--processes=1'
        )
    return value


def _number(environment: Mapping[str, str], name: str, below: int | None = None) -> int:
    value = _text(environment, name)
    if not value.isdecimal() or (below is not None and int(value) >= below):
        allowed = 'a number' if below is None else f'a number below {below}'
        raise BadInput(f'{name}={value}: set by the launcher of processes; allowed is {allowed}')
    return int(value)


def _check_address(address: str) -> None:
    host, _, port = address.rpartition(':')
    ok = host and port.isdecimal() and 0 < int(port) < 65536
    require(bool(ok), '--coordinator', address, 'is HOST:PORT')
