#!/usr/bin/env bash
# Music in one command: a page of pieces by the composer that comes with the package, beside a song
# that it never heard; or the whole path on real music, with models of your own.
#
#   bash launch/demo.sh [--train | --quick] [--out=DIR]
#
# Without a flag about 2 minutes on two cores the first time, of which a minute is set-up. --train
# renders songs to stems, trains an autoencoder and a composer on them and makes a page of what came
# of it, in about 23 minutes; --quick walks that path barely trained, in a few. Everything goes to
# DIR (default: demo, demo_trained or demo_quick). Interrupted, the same command goes on where it
# was; what is done is not done again.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

usage() {
    sed -n '2,11s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"
}

train='' quick='' out=''
for argument in "$@"; do
    case $argument in
        --train) train=train ;;
        --quick) train=train quick=quick ;;
        --out=?*) out=${argument#--out=} ;;
        --help | -h) usage && exit 0 ;;
        *)
            echo "error: $argument: not known; allowed are --train, --quick, --out=DIR, --help" >&2
            exit 2
            ;;
    esac
done
out=${out:-demo${train:+_${quick:-trained}}}
trap 'status=$?; [ $status = 0 ] || echo "stopped; the same command goes on from here" >&2' EXIT

# step NAME 'WHAT' 'ABOUT HOW LONG' COMMAND...: runs COMMAND unless just this was done before.
step() {
    local name=$1 what=$2 about=$3 stamp=$out/.done/$1 wanted
    shift 3
    wanted=$(
        echo "$*" && cat configs/demo{,_autoencoder}.py
        [ -n "$train" ] || cat jen1composer/weights/SHA256SUMS
    )
    if [ "$(cat "$stamp" 2> /dev/null)" = "$wanted" ]; then
        echo "done before: $what"
        return
    fi
    echo "next: $what, $about"
    local began=$SECONDS
    .venv/bin/python -m "$@"
    echo "done: $what, $((SECONDS - began)) s"
    mkdir -p "$out/.done" && echo "$wanted" > "$stamp"
}

SECONDS=0
bash launch/setup.sh "the demo, into $out"
if [ -z "$train" ]; then
    step data 'render a song that was held out' 'about 15 s' \
        launch.prepare_data --source=freedoom --only=freedoom1-e1m2 --out="$out/data"
    step page 'make music and the page' 'about a minute' \
        launch.demo_page --data="$out/data" --out="$out/page"
    echo "ready after $((SECONDS / 60)) min $((SECONDS % 60)) s: open $out/page/index.html"
    exit
fi

if [ -n "$quick" ]; then
    songs=4 minutes=('15 s' '50 s' '10 s' '45 s' '20 s') page_flags='--batches=1 --steps=25'
else
    songs=12 minutes=('2 min' '7 min' '45 s' '11 min' '50 s') page_flags=''
fi

step data "render $songs Freedoom songs to four stems" "about ${minutes[0]}" \
    launch.prepare_data --source=freedoom --songs=$songs --out="$out/data"
step autoencoder 'train the autoencoder' "about ${minutes[1]}" \
    launch.train_autoencoder --config="configs/demo_autoencoder.py:$quick" \
    --config.data="$out/data" --workdir="$out/autoencoder"
step latents 'encode the songs' "about ${minutes[2]}" \
    launch.encode_latents --autoencoder="$out/autoencoder" --data="$out/data" \
    --out="$out/latents"
step composer 'train the composer' "about ${minutes[3]}" \
    launch.train_composer --config="configs/demo.py:$quick" --workdir="$out/composer" \
    --config.data.latents="$out/latents" --config.data.autoencoder="$out/autoencoder"
step page 'make music and the page' "about ${minutes[4]}" \
    launch.demo_page --checkpoint="$out/composer" --data="$out/data" \
    --latents="$out/latents" --autoencoder="$out/autoencoder" --out="$out/page" $page_flags
echo "ready after $((SECONDS / 60)) min $((SECONDS % 60)) s: open $out/page/index.html"
