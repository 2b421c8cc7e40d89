#!/usr/bin/env bash
# Serves a composer on TPUs in a cluster of GKE: one pod with a disk for its sessions, and a service.
#
#   bash launch/gke_serve.sh up     --name=NAME --image=IMAGE --model=gs://BUCKET/exported \
#                                   [--accelerator=tpu-v5-lite-podslice] [--topology=1x1] [--chips=1]
#                                   [--slots=8] [--disk-gb=50] [--secret=NAME-token]
#   bash launch/gke_serve.sh reach  --name=NAME [--port=8000]
#   bash launch/gke_serve.sh logs   --name=NAME
#   bash launch/gke_serve.sh delete --name=NAME
#
# up      applies the manifests; the token of clients is the key `token` of a secret that is there:
#         kubectl create secret generic NAME-token --from-file=token=token.txt
# reach   makes it http://127.0.0.1:PORT here, as long as this runs
# logs    follows the pod
# delete  ends the pod by SIGTERM, on which it finishes what runs; the disk with the sessions stays
#
# Each takes --namespace=default, and --dry-run, which shows what would be done and does nothing.
# It speaks to the cluster that kubectl does. That has a node pool of one machine of the topology.
# IMAGE starts in this folder, with what bash launch/setup.sh installs, gcsfs and jax[tpu] on its
# PATH. For many makers behind one server: launch.serve_ray in a RayService of KubeRay.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/cluster.sh"

name='' image='' model='' secret='' namespace=default
accelerator=tpu-v5-lite-podslice
topology=1x1
chips=1
slots=8
disk_gb=50
port=8000
read_arguments 'up reach logs delete' \
    'name image model secret namespace accelerator topology chips slots disk-gb port' "$@"
need name
label name namespace
secret=${secret:-$name-token}
label secret

up() {
    need image model
    count chips slots disk-gb
    case $topology in
        '' | x* | *x | *xx* | *[!0-9x]*) fail "--topology=$topology: allowed is e.g. 1x1" ;;
    esac
    case $image$model in
        *$'\n'*) fail '--image and --model: allowed is one line' ;;
    esac
    cat << PLAN
$(quote kubectl apply "--namespace=$namespace" --filename=-) << 'MANIFEST'
apiVersion: v1
kind: Service
metadata:
  name: $name
spec:
  selector:
    app: $name
  ports:
    - port: 80
      targetPort: 8000
---
apiVersion: apps/v1
kind: StatefulSet
metadata:
  name: $name
spec:
  serviceName: $name
  replicas: 1  # sessions have one owner
  selector:
    matchLabels:
      app: $name
  template:
    metadata:
      labels:
        app: $name
      annotations:
        prometheus.io/scrape: "false"  # /metrics wants the token
    spec:
      terminationGracePeriodSeconds: 120
      nodeSelector:
        cloud.google.com/gke-tpu-accelerator: $(strings "$accelerator")
        cloud.google.com/gke-tpu-topology: $(strings "$topology")
      containers:
        - name: serve
          image: $(strings "$image")
          command: [$(strings python -m launch.serve "--model=$model" --host=0.0.0.0 --port=8000 \
              "--slots=$slots" --sessions=/sessions --token_file=/secrets/token --grace_s=90)]
          ports:
            - containerPort: 8000
          startupProbe:
            httpGet:
              path: /healthz
              port: 8000
            periodSeconds: 5
            failureThreshold: 120
          livenessProbe:
            httpGet:
              path: /healthz
              port: 8000
            periodSeconds: 20
            timeoutSeconds: 10
            failureThreshold: 6
          readinessProbe:
            httpGet:
              path: /readyz
              port: 8000
            periodSeconds: 5
          resources:
            limits:
              google.com/tpu: $chips
          volumeMounts:
            - name: sessions
              mountPath: /sessions
            - name: token
              mountPath: /secrets
              readOnly: true
      volumes:
        - name: token
          secret:
            secretName: $secret
  volumeClaimTemplates:
    - metadata:
        name: sessions
      spec:
        accessModes: [ReadWriteOnce]
        resources:
          requests:
            storage: ${disk_gb}Gi
MANIFEST
PLAN
}

reach() {
    count port
    quote kubectl port-forward "--namespace=$namespace" --address=127.0.0.1 "service/$name" "$port:80"
}

logs() {
    quote kubectl logs "--namespace=$namespace" "--selector=app=$name" --follow --tail=100
}

delete() {
    quote kubectl delete "statefulset/$name" "service/$name" "--namespace=$namespace"
}

plan=$("$action")
perform <<< "$plan"
