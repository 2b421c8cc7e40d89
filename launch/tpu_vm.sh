#!/usr/bin/env bash
# Trains on a slice of Cloud TPUs: asks for it, waits, installs, and runs on all of its machines.
#
#   bash launch/tpu_vm.sh up      --name=NAME --zone=ZONE [--accelerator=v5litepod-16]
#                                 [--runtime=v2-alpha-tpuv5-lite] [--spot=yes]
#   bash launch/tpu_vm.sh install --name=NAME --zone=ZONE
#   bash launch/tpu_vm.sh run     --name=NAME --zone=ZONE -- \
#       python -m launch.train_composer --config=configs/paper_composer.py --workdir=gs://BUCKET/run
#   bash launch/tpu_vm.sh logs    --name=NAME --zone=ZONE [--worker=0]
#   bash launch/tpu_vm.sh stop    --name=NAME --zone=ZONE
#   bash launch/tpu_vm.sh delete  --name=NAME --zone=ZONE
#
# up       asks for the slice as a queued resource, and waits until it is there
# install  copies what is committed here to every machine and sets it up there
# run      starts the command on every machine; it goes on when this one is gone. Where one still
#          runs nothing is started: stop it first
# logs     follows what one machine says; machine 0 shows the progress
# stop     ends the command by SIGTERM: it saves, and run goes on from there
# delete   gives the slice back
#
# Each takes --project=PROJECT, and --dry-run, which shows what would be done and does nothing.
# Data and workdir are in a bucket, which all machines reach. A slice that is taken away, as may be
# with --spot=yes, is deleted and asked for again: run then goes on from the last checkpoint.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/cluster.sh"

name='' zone='' project='' worker=0 spot=no
accelerator=v5litepod-16
runtime=v2-alpha-tpuv5-lite
read_arguments 'up install run logs stop delete' \
    'name zone project worker spot accelerator runtime' "$@"
need name zone
label name
cd "$(dirname "${BASH_SOURCE[0]}")/.."

folder=jen1composer  # in the home of every machine
where=("--zone=$zone")
[ -z "$project" ] || where+=("--project=$project")

# on WORKER COMMAND: a line that does COMMAND on one machine of the slice, or on all.
on() {
    quote gcloud compute tpus tpu-vm ssh "$name" "${where[@]}" "--worker=$1" "--command=$2"
}

up() {
    need name zone accelerator runtime
    local asked=("$name" "--node-id=$name" "${where[@]}")
    asked+=("--accelerator-type=$accelerator" "--runtime-version=$runtime")
    case $spot in
        yes) asked+=(--spot) ;;
        no) ;;
        *) fail "--spot=$spot: allowed is yes or no" ;;
    esac
    local state=(gcloud compute tpus queued-resources describe "$name" "${where[@]}")
    quote gcloud compute tpus queued-resources create "${asked[@]}"
    cat << PLAN
until state=\$($(quote "${state[@]}" '--format=value(state.state)')) && [ "\$state" = ACTIVE ]; do
    case \$state in
        FAILED | SUSPEND*) echo "error: $name: \$state; delete it and ask again" >&2 && exit 1 ;;
    esac
    echo "$name: \$state"
    sleep 30
done
PLAN
}

# The machines' own Python is 3.10, which is too old.
install() {
    local archive=$folder.tar.gz
    local here=${TMPDIR:-/tmp}/$archive
    quote git archive --format=tar.gz "--output=$here" HEAD
    quote gcloud compute tpus tpu-vm scp "$here" "$name:" "${where[@]}" --worker=all
    on all "set -e
mkdir -p $folder
tar -xzf $archive -C $folder
cd $folder
command -v python3.12 || {
    sudo add-apt-repository -y ppa:deadsnakes/ppa
    sudo apt-get install -y python3.12-venv
}
PYTHON=python3.12 bash launch/setup.sh
jax=\$(.venv/bin/python -c 'import jax; print(jax.__version__)')
.venv/bin/python -m pip install --quiet \"jax[tpu]==\$jax\" gcsfs"
}

# Before anything is started all machines are asked. A process of train.pid counts if its folder is
# this one: numbers of processes are used again.
run() {
    need_training
    local free="cd $folder || exit
pid=\$(cat train.pid 2> /dev/null) && [ \"/proc/\$pid/cwd\" -ef . ] && {
    echo \"error: process \$pid still runs here; stop it and wait for its end\" >&2
    exit 1
}"
    on all "$free
exit 0"
    on all "$free
export PATH=\$PWD/.venv/bin:\$PATH
nohup $(quote "${training[@]}") > train.log 2>&1 < /dev/null &
echo \$! > train.pid"
}

logs() {
    case $worker in
        '' | 0?* | *[!0-9]*) fail "--worker=$worker: allowed is a machine's number, from 0 on" ;;
    esac
    on "$worker" "tail -n 100 -f $folder/train.log"
}

stop() {
    on all "kill -TERM \$(cat $folder/train.pid)"
}

delete() {
    quote gcloud compute tpus queued-resources delete "$name" "${where[@]}" --force --quiet
}

plan=$("$action")
perform <<< "$plan"
