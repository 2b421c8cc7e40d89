#!/usr/bin/env bash
# Trains on the GPUs of a SLURM cluster: one process a node, with all GPUs that it is given.
#
#   bash launch/slurm.sh run  --name=NAME [--nodes=1] [--gpus=8] [--cpus=16] [--time=24:00:00]
#                             [--partition=P] [--account=A] -- \
#       python -m launch.train_composer --config=configs/paper_composer.py --workdir=run
#   bash launch/slurm.sh logs --name=NAME
#   bash launch/slurm.sh stop --name=NAME
#
# run   submits a batch job; two minutes before its time is over the command saves and ends, and the
#       job is queued again, until the command has come to its end
# logs  follows NAME.log, to which all nodes write
# stop  ends the job by SIGTERM: it saves, and the same command goes on from there
#
# Each takes --dry-run, which shows what would be done and does nothing. This folder, set up by
# bash launch/setup.sh and with jax[cuda12] beside, is on a file system that all nodes reach. --gpus
# and --cpus are those of each node. A node that fails puts the job back into the queue.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/cluster.sh"

name='' nodes=1 gpus=8 cpus=16 time=24:00:00 partition='' account=''
read_arguments 'run logs stop' 'name nodes gpus cpus time partition account' "$@"
need name
label name
cd "$(dirname "${BASH_SOURCE[0]}")/.."

run() {
    need_training
    count nodes gpus cpus
    local given='' option times='^([0-9]+-)?[0-9]+(:[0-9]+){0,2}$'
    [[ $time =~ $times ]] ||
        fail "--time=$time: allowed is what sbatch takes, e.g. 24:00:00 or 2-0"
    for option in partition account; do
        case ${!option} in
            '') ;;
            *[!A-Za-z0-9_.,-]*) fail "--$option=${!option}: allowed are letters, digits and _.,-" ;;
            *) given+=$'\n'"#SBATCH --$option=${!option}" ;;
        esac
    done
    cat << PLAN
sbatch << 'BATCH'
#!/usr/bin/env bash
#SBATCH --job-name=$name
#SBATCH --nodes=$nodes
#SBATCH --ntasks-per-node=1
#SBATCH --gpus-per-node=$gpus
#SBATCH --cpus-per-task=$cpus
#SBATCH --time=$time
#SBATCH --signal=B:USR1@120
#SBATCH --requeue
#SBATCH --output=$name.log
#SBATCH --open-mode=append$given
export PATH=\$PWD/.venv/bin:\$PATH
out_of_time=false
trap 'out_of_time=true; scancel --signal=TERM "\$SLURM_JOB_ID"' USR1
$(quote srun --kill-on-bad-exit=1 "--cpus-per-task=$cpus" "${training[@]}") &
status=0
wait \$! || status=\$?
if \$out_of_time; then # which cut the waiting short: the command saves and ends
    status=0
    wait \$! || status=\$?
    [ \$status != 0 ] || scontrol requeue "\$SLURM_JOB_ID"
fi
exit \$status
BATCH
PLAN
}

logs() {
    quote tail -n 100 -F "$name.log"
}

stop() {
    quote scancel --signal=TERM "--name=$name"
}

plan=$("$action")
perform <<< "$plan"
