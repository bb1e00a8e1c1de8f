#!/bin/bash
# Gets what the tests need beyond cargo, gcc, make and git. It installs packages only as root or with CI=true;
# otherwise it names the command. What stays missing, the tests skip and name.
set -uo pipefail
cd "$(dirname "$0")/.." || exit

# Programs and the Debian packages they come from.
declare -A package=(
    [g++]=g++ [clang]=clang [clang-format]=clang-format [cmake]=cmake [pkg-config]=pkg-config
    [python3]=python3 [shellcheck]=shellcheck [valgrind]=valgrind [nm]=binutils
)
missing=()
for program in "${!package[@]}"; do
    command -v "$program" >/dev/null 2>&1 || missing+=("${package[$program]}")
done
# Headers only, for a peer of the benchmarks.
[[ -e /usr/include/boost/version.hpp ]] || missing+=(libboost-dev)

install=(apt-get install -y -qq --no-install-recommends)
privilege=()
if [[ $(id -u) != 0 ]]; then
    privilege=(sudo -n)
fi

if ((${#missing[@]})); then
    if ! command -v apt-get >/dev/null; then
        echo "setup: install with your package manager: ${missing[*]}"
    elif [[ $(id -u) != 0 && ${CI:-} != true ]]; then
        echo "setup: to run every test: sudo apt-get install ${missing[*]}"
    else
        echo "setup: installing ${missing[*]}"
        export DEBIAN_FRONTEND=noninteractive
        timeout 300 "${privilege[@]}" apt-get update -qq >/dev/null || echo "setup: apt-get update failed"
        # One by one if not together, so that one that cannot be had doesn't cost the others.
        timeout 600 "${privilege[@]}" "${install[@]}" "${missing[@]}" >/dev/null ||
            for name in "${missing[@]}"; do
                timeout 300 "${privilege[@]}" "${install[@]}" "$name" >/dev/null ||
                    echo "setup: $name could not be installed"
            done
    fi
fi

for component in rustfmt clippy; do
    if ! cargo "${component/rustfmt/fmt}" --version >/dev/null 2>&1 && command -v rustup >/dev/null; then
        rustup component add "$component" || echo "setup: $component could not be installed"
    fi
done
exit 0
