"""What a process is of several, as a function of its environment."""

import pytest

from jen1composer.errors import BadInput
from launch.distributed import (
    FIRST_PORT,
    NUM_PORTS,
    Start,
    first_host,
    plan,
    share_of_gpus,
    tasks_per_node,
)

# As srun sets them for the last task of `srun --nodes=2 --ntasks=8`.
SLURM = {
    'SLURM_JOB_ID': '70003',
    'SLURM_STEP_ID': '2',
    'SLURM_STEP_NODELIST': 'gpu[017,021-022]',
    'SLURM_STEP_NUM_TASKS': '8',
    'SLURM_STEP_TASKS_PER_NODE': '4(x2)',
    'SLURM_NODEID': '1',
    'SLURM_PROCID': '7',
    'SLURM_LOCALID': '3',
}
# As mpirun of Open MPI 4 sets them for the second process of two on one machine.
OPEN_MPI = {
    'OMPI_MCA_orte_hnp_uri': '1531576320.0;tcp://10.96.0.1,10.148.0.1:34911',
    'OMPI_COMM_WORLD_SIZE': '2',
    'OMPI_COMM_WORLD_RANK': '1',
    'OMPI_COMM_WORLD_LOCAL_RANK': '1',
    'OMPI_COMM_WORLD_LOCAL_SIZE': '2',
}
FLAGS = {'coordinator': 'host:1234', 'processes': 4, 'process': 3}


def test_of_one_process_nothing_is_made_and_jax_is_not_asked():
    assert plan({}) is None
    assert plan({}, processes=1) is None
    assert plan({}, coordinator='host:1', processes=1, process=0) is None
    assert plan(SLURM | {'SLURM_STEP_NUM_TASKS': '1'}) is None
    assert plan(OPEN_MPI | {'OMPI_COMM_WORLD_SIZE': '1'}) is None
    assert plan({'SLURM_STEP_NUM_TASKS': '1'}) is None  # whatever else is there
    assert plan({'OMPI_COMM_WORLD_SIZE': '1'}) is None


def test_in_a_batch_script_of_slurm_before_srun_there_is_one_process():
    assert plan({'SLURM_JOB_ID': '7', 'SLURM_NTASKS': '8', 'SLURM_PROCID': '0'}) is None


def test_flags_say_who_a_process_is_whatever_the_environment_says():
    expected = Start(found_by='flags', coordinator='host:1234', processes=4, process=3)
    assert plan({}, **FLAGS) == plan(SLURM, **FLAGS) == plan(OPEN_MPI, **FLAGS) == expected


def test_in_a_step_of_slurm():
    assert plan(SLURM) == Start(
        found_by='SLURM',
        coordinator=f'gpu017:{FIRST_PORT + 70005 % NUM_PORTS}',
        processes=8,
        process=7,
        gpus=(3,),
    )
    assert plan(SLURM, coordinator='head:99').coordinator == 'head:99'


def test_under_open_mpi_also_where_its_daemons_run_in_a_step_of_slurm():
    expected = Start(
        found_by='Open MPI',
        coordinator=f'10.96.0.1:{FIRST_PORT + (1531576320 >> 12) % NUM_PORTS}',
        processes=2,
        process=1,
        gpus=(1,),
    )
    assert plan(OPEN_MPI) == plan(SLURM | OPEN_MPI) == expected
    six = {'OMPI_MCA_orte_hnp_uri': '4096.0;tcp6://[fe80::1,2620::2]:43370'}
    assert plan(OPEN_MPI | six).coordinator == f'[fe80::1]:{FIRST_PORT + 1}'


def test_an_open_mpi_that_names_no_address_needs_the_flag():
    newer = {k: v for k, v in OPEN_MPI.items() if 'uri' not in k}
    with pytest.raises(BadInput, match='--coordinator: missing'):
        plan(newer)
    assert plan(newer, coordinator='head:99').coordinator == 'head:99'


@pytest.mark.parametrize(
    ('environment', 'several'),
    [
        ({}, True),  # a TPU VM, which may be one of a slice: JAX asks the machine
        ({'TPU_SKIP_MDS_QUERY': '1'}, False),
        ({'TPU_WORKER_HOSTNAMES': 'localhost'}, False),
        ({'TPU_WORKER_HOSTNAMES': 'a-0,a-1', 'TPU_WORKER_ID': '1'}, True),
        ({'TPU_PROCESS_ADDRESSES': 'a:1,b:1'}, True),
        ({'TPU_WORKER_HOSTNAMES': 'a', 'MEGASCALE_NUM_SLICES': '2'}, True),
    ],
)
def test_on_a_tpu_jax_finds_the_others_where_there_may_be_some(environment, several):
    assert plan(environment, tpu=True) == (Start(found_by='TPU') if several else None)
    assert plan(environment, tpu=False) is None


@pytest.mark.parametrize(
    ('visible', 'processes', 'shares'),
    [
        ('0,1,2,3', 1, [None]),
        ('0,1,2,3', 4, [(0,), (1,), (2,), (3,)]),
        ('4,5,6,7', 2, [(0, 1), (2, 3)]),  # counted among those that are visible
        ('0', 4, [None] * 4),  # --gpus-per-task=1: each sees its own alone
        ('', 2, [None] * 2),
        (None, 2, [(0,), (1,)]),
        (None, 1, [None]),
    ],
)
def test_processes_of_one_machine_share_its_gpus(visible, processes, shares):
    environment = {} if visible is None else {'CUDA_VISIBLE_DEVICES': visible}
    assert [share_of_gpus(environment, i, processes) for i in range(processes)] == shares


@pytest.mark.parametrize(
    ('flags', 'said'),
    [
        ({'processes': 2}, '--processes=2: without --coordinator and --process; '),
        ({'process': 0}, '--process=0: without --coordinator and --processes; '),
        ({'process': 0, 'coordinator': 'a:1'}, '--coordinator=a:1 --process=0: without --proc'),
        ({'coordinator': 'a:1'}, '--coordinator=a:1: neither Open MPI nor SLURM'),
        (FLAGS | {'processes': 0}, '--processes: 0; allowed is 1 or more'),
        (FLAGS | {'process': 4}, '--process: 4; allowed is 0 to 3'),
        (FLAGS | {'process': -1}, '--process: -1; allowed is 0 to 3'),
        (FLAGS | {'coordinator': 'host'}, "--coordinator: 'host'; allowed is HOST:PORT"),
        (FLAGS | {'coordinator': ':80'}, "--coordinator: ':80'"),
        (FLAGS | {'coordinator': 'host:99999'}, "--coordinator: 'host:99999'"),
    ],
)
def test_flags_that_do_not_go_together_are_refused(flags, said):
    with pytest.raises(BadInput) as refused:
        plan({}, **flags)
    assert str(refused.value).startswith(said)
    assert '\n' not in str(refused.value)


def test_gpus_that_cannot_be_split_and_variables_that_are_no_numbers_are_refused():
    with pytest.raises(BadInput, match='CUDA_VISIBLE_DEVICES=0,1,2: 3 GPUs for 4 processes'):
        plan(SLURM | {'CUDA_VISIBLE_DEVICES': '0,1,2'})
    with pytest.raises(BadInput, match='SLURM_PROCID=one: '):
        plan(SLURM | {'SLURM_PROCID': 'one'})


@pytest.mark.parametrize('empty', [False, True])
@pytest.mark.parametrize('name', [*SLURM, *OPEN_MPI])
def test_variables_that_are_there_in_part_are_one_line_that_names_one(name, empty):
    environment = dict(SLURM if name in SLURM else OPEN_MPI)
    del environment[name]
    if empty:
        environment[name] = ''
    elif name in ('SLURM_STEP_NUM_TASKS', 'OMPI_COMM_WORLD_SIZE'):  # nobody says there are several
        assert plan(environment) is None
        return
    with pytest.raises(BadInput, match='^--coordinator: ' if 'uri' in name else name) as refused:
        plan(environment)
    assert '\n' not in str(refused.value)


@pytest.mark.parametrize(
    ('changed', 'said'),
    [
        ({'SLURM_NODEID': '2'}, 'SLURM_NODEID=2: .* a number below 2'),
        ({'SLURM_PROCID': '8'}, 'SLURM_PROCID=8: .* a number below 8'),
        ({'SLURM_LOCALID': '4'}, 'SLURM_LOCALID=4: .* a number below 4'),
        ({'SLURM_STEP_TASKS_PER_NODE': '?'}, "SLURM_STEP_TASKS_PER_NODE: '.'; allowed"),
        (OPEN_MPI | {'OMPI_COMM_WORLD_RANK': '2'}, 'OMPI_COMM_WORLD_RANK=2: .* below 2'),
    ],
)
def test_variables_that_do_not_go_together_are_refused(changed, said):
    with pytest.raises(BadInput, match=said):
        plan(SLURM | changed)


@pytest.mark.parametrize(
    ('nodes', 'first'),
    [
        ('node001', 'node001'),
        ('node001,host2', 'node001'),
        ('node[001-0015],host2', 'node001'),
        ('node[001,007-015],host2', 'node001'),
        ('rack[2-3]n[07-09]-ib,x', 'rack2n07-ib'),
    ],
)
def test_the_first_of_a_list_of_hosts(nodes, first):
    assert first_host(nodes) == first


@pytest.mark.parametrize(
    ('counts', 'found'), [('4', [4]), ('4(x2),3', [4, 4, 3]), ('1,12(x3)', [1, 12, 12, 12])]
)
def test_the_tasks_of_each_node(counts, found):
    assert tasks_per_node(counts) == found


@pytest.mark.parametrize('environment', [SLURM, OPEN_MPI], ids=['SLURM', 'Open MPI'])
def test_who_and_where_are_what_jax_would_find(environment, monkeypatch):
    """JAX's own detection of the same clusters, but for its port and its GPUs."""
    from jax._src import clusters

    for name, value in (environment | {'SLURM_NTASKS': '8'}).items():
        monkeypatch.setenv(name, value)
    found = clusters.ClusterEnv.auto_detect_unset_distributed_params(
        None, None, None, None, {'SLURM': 'slurm'}.get(plan(environment).found_by, 'ompi'), 10
    )
    ours = plan(environment)
    assert found[0].rpartition(':')[0] == ours.coordinator.rpartition(':')[0]
    assert found[1:3] == (ours.processes, ours.process)
