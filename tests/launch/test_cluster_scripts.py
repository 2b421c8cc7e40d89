"""The scripts for clusters: what --dry-run shows is bash, all that is done, and keeps words whole.

The clusters' own programs are stood in for by ones that note how they were called.
"""

import json
import os
import pathlib
import shlex
import signal
import subprocess
import sys
import time

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

ROOT = pathlib.Path(__file__).parents[2]
TRAIN = [
    'python',
    '-m',
    'launch.train_composer',
    '--config=configs/demo.py',
    '--workdir=gs://b/run',
]
TPU = ['--name=pod', '--zone=us-west4-a']
NODES = ['--name=run', '--nodes=4', '--gpus=2', '--partition=gpu', '--account=us']
IMAGE = ['--name=pod', '--image=registry.example/jen1:1', '--topology=2x2x4', '--slices=2']
SERVE = ['--name=studio', '--image=registry.example/jen1:1', '--model=gs://b/exported']
CALLS = [
    ['tpu_vm.sh', 'up', *TPU, '--spot=yes', '--project=p'],
    ['tpu_vm.sh', 'install', *TPU],
    ['tpu_vm.sh', 'run', *TPU, '--', *TRAIN],
    ['tpu_vm.sh', 'logs', *TPU, '--worker=3'],
    ['tpu_vm.sh', 'stop', *TPU],
    ['tpu_vm.sh', 'delete', *TPU],
    ['gke.sh', 'run', *IMAGE, '--', *TRAIN],
    ['gke.sh', 'logs', '--name=pod', '--namespace=team'],
    ['gke.sh', 'delete', '--name=pod'],
    ['gke_serve.sh', 'up', *SERVE, '--chips=4', '--topology=2x2'],
    ['gke_serve.sh', 'reach', '--name=studio', '--port=8001'],
    ['gke_serve.sh', 'logs', '--name=studio'],
    ['gke_serve.sh', 'delete', '--name=studio'],
    ['slurm.sh', 'run', *NODES, '--', *TRAIN],
    ['slurm.sh', 'logs', '--name=run'],
    ['slurm.sh', 'stop', '--name=run'],
]
PROBES = ('startup', 'liveness', 'readiness')
NOTE = """#!{python}
import json, os, sys
read = sys.stdin.read() if sys.argv[0].endswith(('sbatch', 'kubectl')) else ''
with open(os.environ['NOTES'], 'a') as notes:
    notes.write(json.dumps([os.path.basename(sys.argv[0]), *sys.argv[1:], read]) + '\\n')
print('ACTIVE' if 'describe' in sys.argv else '')
"""
words = st.lists(st.text(st.characters(exclude_categories=['Cc', 'Cs', 'Zl', 'Zp'])), min_size=1)


@pytest.fixture(scope='module')
def programs(tmp_path_factory):
    """A folder of programs that note how they are called, to stand first on the PATH."""
    folder = tmp_path_factory.mktemp('programs')
    for name in ('gcloud', 'git', 'kubectl', 'sbatch', 'scancel', 'srun', 'tail'):
        (folder / name).write_text(NOTE.format(python=sys.executable))
        (folder / name).chmod(0o755)
    return folder


def bash(programs, arguments, **options):
    """Runs bash; returns what was printed, and each program that was called, with its words."""
    notes = programs / 'notes'
    notes.write_text('')
    environment = {'PATH': f'{programs}:{os.environ["PATH"]}', 'NOTES': str(notes)}
    run = subprocess.run(
        ['bash', *arguments],
        cwd=ROOT,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=True,
        **options,
    )
    return run.stdout, [json.loads(line) for line in notes.read_text().splitlines()]


def dry(call):
    """The call with --dry-run before the training command."""
    script, *rest = call
    return [f'launch/{script}', '--dry-run', *rest]


def plan(*call):
    run = subprocess.run(['bash', *dry(call)], cwd=ROOT, capture_output=True, text=True, check=True)
    return run.stdout


def remote(shown):
    """The command that the last shown line of gcloud gives to the machines."""
    found = [w for w in shlex.split(shown) if w.startswith('--command=')]
    return found[-1].removeprefix('--command=')


def check_syntax(script):
    subprocess.run(['bash', '-n'], input=script, text=True, check=True)


@pytest.mark.parametrize(
    'script', ['cluster.sh', 'gke.sh', 'gke_serve.sh', 'slurm.sh', 'tpu_vm.sh']
)
def test_the_scripts_are_bash(script):
    check_syntax((ROOT / 'launch' / script).read_text())


@pytest.mark.parametrize('call', CALLS, ids=' '.join)
def test_a_dry_run_shows_what_would_be_done_and_does_nothing(programs, call):
    shown, called = bash(programs, dry(call))
    assert called == []
    check_syntax(shown)
    _, called = bash(programs, [f'launch/{call[0]}', *call[1:]])
    assert called
    assert bash(programs, ['-c', shown])[1] == called


def test_a_slice_is_asked_for_and_waited_for():
    asked, _, waited = plan(*CALLS[0]).partition('until ')
    assert shlex.split(asked.splitlines()[1]) == [
        *('gcloud', 'compute', 'tpus', 'queued-resources', 'create', 'pod'),
        '--node-id=pod',
        '--zone=us-west4-a',
        '--project=p',
        '--accelerator-type=v5litepod-16',
        '--runtime-version=v2-alpha-tpuv5-lite',
        '--spot',
    ]
    assert 'queued-resources describe pod' in waited


@pytest.mark.parametrize('action', ['install', 'run', 'stop'])
def test_what_the_machines_of_a_slice_are_told_is_bash_too(action):
    shown = plan('tpu_vm.sh', action, *TPU, *(['--', *TRAIN] if action == 'run' else []))
    assert '--worker=all' in shown
    check_syntax(remote(shown))


def test_a_job_of_slurm_has_its_directives():
    _, _, script = plan('slurm.sh', 'run', *NODES, '--time=2-0', '--', *TRAIN).partition(
        "'BATCH'\n"
    )
    lines = script.removesuffix('BATCH\n').splitlines()
    assert lines[0].startswith('#!')
    directives = [line.split('--', 1)[1] for line in lines if line.startswith('#SBATCH')]
    assert lines[1 : 1 + len(directives)] == [f'#SBATCH --{line}' for line in directives]
    assert dict(line.partition('=')[::2] for line in directives) == {
        'job-name': 'run',
        'nodes': '4',
        'ntasks-per-node': '1',
        'gpus-per-node': '2',
        'cpus-per-task': '16',
        'time': '2-0',
        'signal': 'B:USR1@120',
        'requeue': '',
        'output': 'run.log',
        'open-mode': 'append',
        'partition': 'gpu',
        'account': 'us',
    }


def manifest(shown):
    return yaml.safe_load(shown.partition("'MANIFEST'\n")[2].removesuffix('MANIFEST\n'))


def test_a_jobset_has_a_job_for_each_slice_and_a_pod_for_each_machine():
    found = manifest(plan('gke.sh', 'run', *IMAGE, '--', *TRAIN))
    assert (found['apiVersion'], found['kind']) == ('jobset.x-k8s.io/v1alpha2', 'JobSet')
    assert found['metadata']['name'] == 'pod'
    (slices,) = found['spec']['replicatedJobs']
    assert slices['replicas'] == 2
    job = slices['template']['spec']
    assert job['parallelism'] == job['completions'] == 2 * 2 * 4 // 4
    pod = job['template']['spec']
    assert pod['restartPolicy'] == 'Never'
    assert pod['nodeSelector'] == {
        'cloud.google.com/gke-tpu-accelerator': 'tpu-v5-lite-podslice',
        'cloud.google.com/gke-tpu-topology': '2x2x4',
    }
    (container,) = pod['containers']
    assert container['image'] == 'registry.example/jen1:1'
    assert container['command'] == TRAIN
    assert container['resources'] == {'limits': {'google.com/tpu': 4}}


def test_a_server_has_a_disk_a_token_and_chips():
    shown = plan('gke_serve.sh', 'up', *SERVE, '--chips=4', '--topology=2x2', '--secret=key')
    text = shown.partition("'MANIFEST'\n")[2].removesuffix('MANIFEST\n')
    service, stateful = yaml.safe_load_all(text)
    spec = stateful['spec']
    pod = spec['template']['spec']
    (container,) = pod['containers']
    assert (spec['replicas'], spec['serviceName']) == (1, service['metadata']['name'])
    assert service['spec']['selector'] == spec['template']['metadata']['labels']
    assert container['command'] == [
        *('python', '-m', 'launch.serve', '--model=gs://b/exported', '--host=0.0.0.0'),
        *('--port=8000', '--slots=8', '--sessions=/sessions', '--token_file=/secrets/token'),
        '--grace_s=90',
    ]
    assert container['resources'] == {'limits': {'google.com/tpu': 4}}
    assert pod['terminationGracePeriodSeconds'] > 90
    assert pod['volumes'] == [{'name': 'token', 'secret': {'secretName': 'key'}}]
    (disk,) = spec['volumeClaimTemplates']
    mounted = {mount['name']: mount['mountPath'] for mount in container['volumeMounts']}
    assert mounted == {disk['metadata']['name']: '/sessions', 'token': '/secrets'}
    probes = {name: container[f'{name}Probe']['httpGet']['path'] for name in PROBES}
    assert probes == {'startup': '/healthz', 'liveness': '/healthz', 'readiness': '/readyz'}


def test_the_flags_of_a_server_in_a_cluster_are_those_of_the_command():
    """What the manifest starts is a command that there is, with flags that it has."""
    shown = plan('gke_serve.sh', 'up', *SERVE)
    source = (ROOT / 'launch' / 'serve.py').read_text()
    text = shown.partition("'MANIFEST'\n")[2].removesuffix('MANIFEST\n')
    _, stateful = yaml.safe_load_all(text)
    command = stateful['spec']['template']['spec']['containers'][0]['command']
    for word in command[3:]:
        assert f"'{word.removeprefix('--').partition('=')[0]}'" in source


@settings(max_examples=10)
@given(words)
def test_the_words_of_the_training_command_arrive_whole_in_a_pod(training):
    found = manifest(plan('gke.sh', 'run', *IMAGE, '--', *training))
    pod = found['spec']['replicatedJobs'][0]['template']['spec']['template']['spec']
    assert pod['containers'][0]['command'] == training


@settings(max_examples=10)
@given(words)
def test_and_on_the_machines_of_a_slice(training):
    line = next(
        line
        for line in remote(plan('tpu_vm.sh', 'run', *TPU, '--', *training)).splitlines()
        if line.startswith('nohup')
    )
    ran = shlex.split(line)
    assert ran == ['nohup', *training, '>', 'train.log', '2>&1', '<', '/dev/null', '&']


def test_and_in_a_task_of_slurm(programs):
    training = ["it's", '$HOME', '"a" \\ `b`', '', '*', '~', '--config.data.latents=a:3,b c']
    shown = plan('slurm.sh', 'run', '--name=run', '--', *training)
    script = shown.partition("'BATCH'\n")[2].removesuffix('BATCH\n')
    (called,) = bash(programs, ['-c', script])[1]
    assert called[3:-1] == training


@pytest.mark.parametrize('time', ['30', '30:00', '24:00:00', '2-0', '2-12:30', '2-12:30:00'])
def test_times_are_what_sbatch_takes(time):
    assert f'--time={time}\n' in plan('slurm.sh', 'run', '--name=a', f'--time={time}', '--', 'x')


def test_a_name_of_63_letters_and_one_whose_pods_have_63_will_do():
    assert 'a' * 63 in plan('slurm.sh', 'stop', f'--name={"a" * 63}')
    assert 'a' * 47 in plan('gke.sh', 'run', *IMAGE, f'--name={"a" * 47}', '--', 'x')


def test_a_second_run_on_a_slice_starts_nothing_while_the_first_goes_on(tmp_path):
    """The machines' commands, on a machine whose home is a folder of its own."""
    folder = tmp_path / 'jen1composer'
    folder.mkdir()

    def on_machine(shown):
        commands = [w for w in shlex.split(shown) if w.startswith('--command=')]
        for command in commands:
            done = subprocess.run(
                ['bash', '-c', command.removeprefix('--command=')],
                cwd=tmp_path,
                capture_output=True,
                text=True,
            )
            if done.returncode:
                return done.stderr
        return ''

    first = plan('tpu_vm.sh', 'run', *TPU, '--', 'sleep', '60')
    stop = plan('tpu_vm.sh', 'stop', *TPU)
    assert on_machine(first) == ''
    pid = (folder / 'train.pid').read_text()
    said = on_machine(plan('tpu_vm.sh', 'run', *TPU, '--', 'touch', 'second'))
    assert said == f'error: process {pid.strip()} still runs here; stop it and wait for its end\n'
    assert not (folder / 'second').exists()
    assert (folder / 'train.pid').read_text() == pid
    assert on_machine(stop) == ''
    wait_until(lambda: not pathlib.Path(f'/proc/{pid.strip()}').exists())
    (folder / 'train.pid').write_text(f'{os.getpid()}\n')  # a number that is used again
    assert on_machine(plan('tpu_vm.sh', 'run', *TPU, '--', 'touch', 'second')) == ''
    wait_until((folder / 'second').exists)


def wait_until(there):
    for _ in range(100):
        if there():
            return
        time.sleep(0.1)
    raise TimeoutError


@pytest.mark.parametrize(
    ('signalled', 'status', 'queued_again'),
    [
        ('USR1', 0, True),  # its time is nearly over: it saves, and goes on later
        ('USR1', 3, False),  # what fails is not tried for ever
        ('stop', 0, False),
        (None, 3, False),
        (None, 0, False),
    ],
)
def test_a_job_whose_time_is_over_is_queued_again(tmp_path, signalled, status, queued_again):
    """The batch script with an srun that ends with `status` by itself, or when it gets SIGTERM."""
    shown = plan('slurm.sh', 'run', '--name=run', '--', 'train')
    script = shown.partition("'BATCH'\n")[2].removesuffix('BATCH\n')
    waits = 'touch started; while :; do sleep 0.05; done' if signalled else ''
    programs = {
        'srun': f'trap "sleep 0.3; touch saved; exit {status}" TERM; echo $$ > srun.pid\n{waits}\n'
        f'exit {status}',
        'scancel': 'echo "$@" >> cancelled; kill -TERM $(cat srun.pid)',
        'scontrol': 'ls saved && echo "$@" >> asked',
    }
    for name, text in programs.items():
        (tmp_path / name).write_text(f'#!/usr/bin/env bash\n{text}\n')
        (tmp_path / name).chmod(0o755)
    job = subprocess.Popen(
        ['bash', '-c', script],
        cwd=tmp_path,
        env={'PATH': f'{tmp_path}:/usr/bin:/bin', 'SLURM_JOB_ID': '77'},
        stdout=subprocess.DEVNULL,
    )
    if signalled:
        wait_until((tmp_path / 'started').exists)
    if signalled == 'USR1':
        job.send_signal(signal.SIGUSR1)
    elif signalled == 'stop':
        os.kill(int((tmp_path / 'srun.pid').read_text()), signal.SIGTERM)  # as scancel does
    assert job.wait(timeout=30) == status
    assert (tmp_path / 'saved').exists() == bool(signalled)
    asked = tmp_path / 'asked'
    if signalled == 'USR1':
        assert (tmp_path / 'cancelled').read_text() == '--signal=TERM 77\n'
    assert (asked.exists() and asked.read_text() == 'requeue 77\n') == queued_again


@pytest.mark.parametrize(
    ('call', 'said'),
    [
        (['gke.sh'], 'no action: allowed is one of run logs delete'),
        (['gke.sh', 'start'], 'start: allowed is one of run logs delete'),
        (['gke.sh', 'run', '--name=pod', '--', 'x'], '--image: missing; run needs name image'),
        (['gke.sh', 'run', *IMAGE], 'no training command: run needs one'),
        (['gke.sh', 'run', *IMAGE, '--', 'a\nb'], 'the training command has line breaks in it'),
        *(
            (['gke.sh', 'run', *IMAGE, f'--topology={shape}', '--', 'x'], f'--topology={shape}: ')
            for shape in ('0x4', '4x0', '08x4', '4x08', '4x', '0')
        ),
        (
            ['gke.sh', 'run', *IMAGE, '--accelerator=', '--', 'x'],
            '--accelerator: missing; run needs name image accelerator',
        ),
        (
            ['gke.sh', 'run', *IMAGE, f'--name={"a" * 48}', '--', 'x'],
            f'--name={"a" * 48}: pods such as {"a" * 48}-slice-1-3-abcde have 64 letters',
        ),
        (['slurm.sh', 'stop', f'--name={"a" * 64}'], f'--name={"a" * 64}: 64 letters; allowed are'),
        *(
            (
                ['slurm.sh', 'run', '--name=a', f'--time={time}', '--', 'x'],
                f'--time={time}: allowed',
            )
            for time in ('---', '1-', ':30', '1:2:3:4', '1-2-3', '')
        ),
        *(
            (['tpu_vm.sh', 'logs', *TPU, f'--worker={worker}'], f'--worker={worker}: allowed is')
            for worker in ('abc', '', '-1', '08')
        ),
        (['tpu_vm.sh', 'up', *TPU, '--accelerator='], '--accelerator: missing; up needs name zone'),
        (['tpu_vm.sh', 'up', *TPU, '--runtime='], '--runtime: missing; up needs name zone'),
        (
            ['gke.sh', 'run', *IMAGE, '--topology=4by4', '--', 'x'],
            '--topology=4by4: allowed is e.g',
        ),
        (['gke.sh', 'run', *IMAGE, '--chips-per-host=3', '--', 'x'], '--chips-per-host=3: allowed'),
        (['slurm.sh', 'run', '--name=a', '--gpus=0', '--', 'x'], '--gpus=0: allowed is a number'),
        (['slurm.sh', 'run', '--name=a', '--gpu=1'], '--gpu=1: allowed are --dry-run and'),
        (['slurm.sh', 'run', '--name=a', '--gpus'], '--gpus: allowed are --dry-run and'),
        (['slurm.sh', 'run', '--name=a', '--time=soon', '--', 'x'], '--time=soon: allowed is what'),
        (['slurm.sh', 'run', '--name=a', '--account=a b', '--', 'x'], '--account=a b: allowed are'),
        (['tpu_vm.sh', 'up', '--zone=z'], '--name: missing; up needs name zone'),
        (['tpu_vm.sh', 'up', '--zone=z', '--name=My_pod'], '--name=My_pod: allowed are a-z, 0-9'),
        (['tpu_vm.sh', 'up', *TPU, '--spot=on'], '--spot=on: allowed is yes or no'),
    ],
)
def test_what_does_not_do_is_refused_in_one_line_before_anything_is_done(call, said):
    run = subprocess.run(['bash', *dry(call)], cwd=ROOT, capture_output=True, text=True)
    assert (run.returncode, run.stdout) == (2, '')
    assert run.stderr.startswith(f'error: {said}')
    assert run.stderr.count('\n') == 1


@pytest.mark.parametrize('script', ['gke.sh', 'slurm.sh', 'tpu_vm.sh'])
def test_help_has_an_example_of_the_training_command(script):
    run = subprocess.run(
        ['bash', f'launch/{script}', '--help'], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert f'bash launch/{script} run ' in run.stdout
    assert 'python -m launch.train_composer --config=configs/paper_composer.py' in run.stdout
    assert 'set -euo' not in run.stdout
