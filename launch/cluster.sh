# What the scripts for clusters share; they source it.
#
# A script writes down as lines of bash what is to be done, its plan, and `perform` does it:
# --dry-run shows the very lines. Bash 3.2, which macOS has, is enough. Variables that begin with _
# are no options.

dry_run=false
training=()

fail() {
    echo "error: $*" >&2
    exit 2
}

# The comment at the top of the script, without its first line.
usage() {
    sed -n '2,/^[^#]/s/^#\( \|$\)//p' "$0"
}

# read_arguments "ACTIONS" "OPTIONS" ARGUMENT...: the action, --option=value into the variables of
# these names ('-' is '_' there), --dry-run, and all that comes after -- as the array `training`.
read_arguments() {
    local _actions=$1 _options=$2 _name
    shift 2
    action=
    while [ $# -gt 0 ]; do
        case $1 in
            --help | -h) usage && exit 0 ;;
            --dry-run) dry_run=true ;;
            --)
                shift
                training=("$@")
                break
                ;;
            --*)
                _name=${1%%=*}
                _name=${_name#--}
                known "$_name" "$_options" && [ "$1" != "--$_name" ] ||
                    fail "$1: allowed are --dry-run and --NAME=VALUE of $_options"
                printf -v "${_name//-/_}" %s "${1#*=}"
                ;;
            *)
                [ -z "$action" ] && known "$1" "$_actions" ||
                    fail "$1: allowed is one of $_actions, and the training command after --"
                action=$1
                ;;
        esac
        shift
    done
    [ -n "$action" ] || fail "no action: allowed is one of $_actions; see --help"
}

known() {
    case " $2 " in *" $1 "*) return 0 ;; esac
    return 1
}

# need NAME...: that these options are not empty.
need() {
    local _name _variable
    for _name; do
        _variable=${_name//-/_}
        [ -n "${!_variable}" ] || fail "--$_name: missing; $action needs $*"
    done
}

# count NAME...: that these options are numbers from 1 on.
count() {
    local _name _variable
    for _name; do
        _variable=${_name//-/_}
        case ${!_variable} in
            '' | 0* | *[!0-9]*) fail "--$_name=${!_variable}: allowed is a number from 1 on" ;;
        esac
    done
}

# label NAME...: that these options can be names of machines and jobs.
label() {
    local _name _variable _value
    for _name; do
        _variable=${_name//-/_}
        case ${!_variable} in
            '' | [!a-z]* | *[!a-z0-9-]* | *-)
                fail "--$_name=${!_variable}: allowed are a-z, 0-9 and -, a letter first, no - last"
                ;;
        esac
        _value=${!_variable}
        [ ${#_value} -le 63 ] ||
            fail "--$_name=$_value: ${#_value} letters; allowed are at most 63"
    done
}

need_training() {
    [ ${#training[@]} -gt 0 ] ||
        fail "no training command: $action needs one, e.g. -- python -m launch.train_composer ..."
    case ${training[*]} in
        *$'\n'*) fail 'the training command has line breaks in it; allowed is one line' ;;
    esac
}

# quote WORD...: a line that the shell reads as these words.
quote() {
    local word line='' apostrophe="'\\''"
    for word; do
        case $word in
            '' | *[!A-Za-z0-9_./:=@%+,-]*) word="'${word//\'/$apostrophe}'" ;;
        esac
        line+="${line:+ }$word"
    done
    printf '%s\n' "$line"
}

# strings WORD...: as YAML and JSON write them, with commas between.
strings() {
    local word list=''
    for word; do
        word=${word//\\/\\\\}
        word=${word//\"/\\\"}
        list+="${list:+, }\"$word\""
    done
    printf '%s' "$list"
}

# Does what the plan on standard input says, or shows it.
perform() {
    local plan
    plan="set -euo pipefail"$'\n'$(cat)
    if $dry_run; then
        printf '%s\n' "$plan"
    else
        bash -c "$plan"
    fi
}
