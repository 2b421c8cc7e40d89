#!/usr/bin/env bash
# Trains on slices of TPUs in a cluster of GKE, as a JobSet: one job a slice, one pod a machine.
#
#   bash launch/gke.sh run    --name=NAME --image=IMAGE [--accelerator=tpu-v5-lite-podslice]
#                             [--topology=4x4] [--chips-per-host=4] [--slices=1] [--restarts=10] \
#       -- python -m launch.train_composer --config=configs/paper_composer.py \
#           --workdir=gs://BUCKET/run
#   bash launch/gke.sh logs   --name=NAME
#   bash launch/gke.sh delete --name=NAME
#
# run     applies the JobSet; where a pod dies, all are started again and go on from the checkpoint
# logs    follows the first pod of the first slice, which shows the progress
# delete  ends the pods by SIGTERM, on which they save, and removes the JobSet
#
# Each takes --namespace=default, and --dry-run, which shows what would be done and does nothing.
# It speaks to the cluster that kubectl does. That has node pools of the topology and JobSet (its
# controller) installed. IMAGE starts in this folder, with what bash launch/setup.sh installs and
# jax[tpu] on its PATH. Data and workdir are in a bucket. GKE tells the pods of each other.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/cluster.sh"

name='' image='' namespace=default slices=1 restarts=10
accelerator=tpu-v5-lite-podslice
topology=4x4
chips_per_host=4
read_arguments 'run logs delete' \
    'name image namespace accelerator topology slices chips-per-host restarts' "$@"
need name
label name namespace

run() {
    need name image accelerator
    need_training
    count slices chips-per-host restarts
    case $topology in
        '' | 0* | *x0* | x* | *x | *xx* | *[!0-9x]*)
            fail "--topology=$topology: allowed is e.g. 4x4"
            ;;
    esac
    local chips=$((${topology//x/*}))
    [ $((chips % chips_per_host)) = 0 ] ||
        fail "--chips-per-host=$chips_per_host: allowed is what divides the $chips of $topology"
    local hosts=$((chips / chips_per_host))
    local pod=$name-slice-$((slices - 1))-$((hosts - 1))-abcde # JobSet's longest; the end by chance
    [ ${#pod} -le 63 ] ||
        fail "--name=$name: pods such as $pod have ${#pod} letters; allowed are at most 63"
    cat << PLAN
$(quote kubectl apply "--namespace=$namespace" --filename=-) << 'MANIFEST'
apiVersion: jobset.x-k8s.io/v1alpha2
kind: JobSet
metadata:
  name: $name
  annotations:
    alpha.jobset.sigs.k8s.io/exclusive-topology: cloud.google.com/gke-nodepool
spec:
  failurePolicy:
    maxRestarts: $restarts
  replicatedJobs:
    - name: slice
      replicas: $slices
      template:
        spec:
          parallelism: $hosts
          completions: $hosts
          backoffLimit: 0
          template:
            spec:
              restartPolicy: Never
              terminationGracePeriodSeconds: 120
              nodeSelector:
                cloud.google.com/gke-tpu-accelerator: $(strings "$accelerator")
                cloud.google.com/gke-tpu-topology: $(strings "$topology")
              containers:
                - name: train
                  image: $(strings "$image")
                  command: [$(strings "${training[@]}")]
                  ports:
                    - containerPort: 8471  # between the TPUs of a slice
                    - containerPort: 8080  # between slices
                  resources:
                    limits:
                      google.com/tpu: $chips_per_host
MANIFEST
PLAN
}

logs() {
    local first="jobset.sigs.k8s.io/jobset-name=$name,jobset.sigs.k8s.io/job-index=0"
    first+=,batch.kubernetes.io/job-completion-index=0
    quote kubectl logs "--namespace=$namespace" "--selector=$first" --follow --tail=100
}

delete() {
    quote kubectl delete jobset "$name" "--namespace=$namespace"
}

plan=$("$action")
perform <<< "$plan"
