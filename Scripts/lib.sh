# shellcheck shell=bash
# What the scripts share: find what is missing, install it, build once. Sourced, not run.
set -euo pipefail

top=$(cd "${BASH_SOURCE[0]%/*}/.." && pwd -P)
build="$top/.build"
binary="$build/release/reimage"
stamp="$build/scripts.stamp"

say() { printf '%s\n' "$*" >&2; }
fail() { say "${0##*/}: $*"; exit 1; }

# What is looked for, and the package that brings it: apt's name, then Homebrew's ("-": comes with macOS).
readonly build_needs=(
    "command:pkg-config pkg-config pkgconf"
    "command:git git git"
    "module:zlib zlib1g-dev zlib"
    "module:libdeflate libdeflate-dev libdeflate"
    "module:libzstd libzstd-dev zstd"
    "module:liblzma liblzma-dev xz"
    "module:libxxhash libxxhash-dev xxhash"
)
# Outside tools that the tests and the sample images compare with.
# shellcheck disable=SC2034  # used by the scripts that source this file
readonly test_needs=(
    "command:qemu-img qemu-utils qemu"
    "command:qemu-io qemu-utils qemu"
    "command:qemu-system-x86_64 qemu-system-x86 qemu"
    "command:7z p7zip-full p7zip"
    "command:mke2fs e2fsprogs e2fsprogs"
    "command:sfdisk fdisk -"
    "command:sgdisk gdisk gptfdisk"
    "command:losetup mount -"
    "command:mount mount -"
    "command:filefrag e2fsprogs e2fsprogs"
    "command:mkfs.vfat dosfstools dosfstools"
    "command:mkfs.xfs xfsprogs -"
    "command:mkfs.btrfs btrfs-progs -"
    "command:mkfs.ntfs ntfs-3g -"
    "command:xz xz-utils xz"
    "command:zstd zstd zstd"
    "command:gzip gzip -"
    "command:python3 python3 python"
    "python:ensurepip python3-venv python"
)

present() {
    case $1 in
    command:*) command -v "${1#*:}" >/dev/null 2>&1 || [[ -x /usr/sbin/${1#*:} || -x /sbin/${1#*:} ]] ;;
    python:*) python3 -c "import ${1#*:}" >/dev/null 2>&1 ;;
    module:*) command -v pkg-config >/dev/null 2>&1 && pkg-config --exists "${1#*:}" ;;
    esac
}

# require NEED...: installs what is missing, or says how and stops.
require() {
    local need what apt brew missing=() aptNames=() brewNames=()
    for need in "$@"; do
        read -r what apt brew <<<"$need"
        present "$what" && continue
        missing+=("${what#*:}")
        [[ " ${aptNames[*]-} " == *" $apt "* ]] || aptNames+=("$apt")
        [[ $brew == - || " ${brewNames[*]-} " == *" $brew "* ]] || brewNames+=("$brew")
    done
    [[ ${#missing[@]} -gt 0 ]] || return 0

    if [[ $(uname -s) == Darwin ]]; then
        [[ ${#brewNames[@]} -gt 0 ]] || return 0
        fail "missing: ${missing[*]}. Run this, then try again:  brew install ${brewNames[*]}"
    fi
    command -v apt-get >/dev/null 2>&1 ||
        fail "missing: ${missing[*]}. On Debian these come with ${aptNames[*]}; install your system's own packages."
    if [[ $(id -u) -ne 0 ]]; then
        fail "missing: ${missing[*]}. Run this, then try again:  sudo apt-get install ${aptNames[*]}"
    fi
    say "${0##*/}: installing with apt-get: ${aptNames[*]}"
    local log
    log=$(mktemp)
    if ! { apt-get -o DPkg::Lock::Timeout=600 update &&
        DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=600 install -y --no-install-recommends \
            "${aptNames[@]}"; } >"$log" 2>&1 </dev/null; then
        cat "$log" >&2
        rm -f "$log"
        fail "apt-get failed; its output is above"
    fi
    rm -f "$log"
}

# Readers that come as Python modules, in an environment of their own, where the tests look for it: Debian's Python
# refuses to be added to. Without a network the tests go without them, and say so.
python_readers() {
    local place="$build/python"
    "$place/bin/python3" -c 'import pyvhdi, xxhash, zstandard' >/dev/null 2>&1 && return
    say "${0##*/}: installing libvhdi-python, xxhash and zstandard from PyPI"
    mkdir -p "$build"
    rm -rf "$place"
    if ! { python3 -m venv "$place" &&
        "$place/bin/python3" -m pip install -q --disable-pip-version-check 'libvhdi-python>=20260901' \
            xxhash zstandard; } >&2; then
        rm -rf "$place"
        say "${0##*/}: they could not be installed; the tests go on without them"
    fi
}

require_swift() {
    command -v swift >/dev/null 2>&1 || fail "no Swift toolchain; get Swift 6.2 or newer: https://www.swift.org/install"
}

# A directory's own time covers files that were added, renamed or deleted.
is_built() {
    [[ -x $binary && -e $stamp ]] &&
        [[ -z $(find "$top/Package.swift" "$top/Sources" -newer "$stamp" -print -quit 2>/dev/null) ]]
}

# locked COMMAND...: one at a time for this clone. Where there is no flock, SwiftPM's own lock has to do.
locked() (
    mkdir -p "$build"
    if command -v flock >/dev/null 2>&1; then
        exec 9>"$build/scripts.lock"
        flock 9
    fi
    "$@"
)

# Builds the release binary unless it is newer than its sources. Speaks on standard error only.
build_release() {
    is_built || locked build_release_now
}

build_release_now() {
    is_built && return
    require_swift
    require "${build_needs[@]}"
    local begun="$stamp.$$"
    : >"$begun" # dated before the build: what is edited meanwhile is built next time
    say "${0##*/}: building reimage (the first time takes a few minutes)"
    # Everything static where the system has static libraries: a start then loads and relocates nothing, which is
    # half of the time that `info` takes; and the program runs on a rescue system that has none of the libraries.
    local flags=(--static-swift-stdlib)
    [[ $(uname -s) != Linux ]] || flags+=(-Xswiftc -static-executable -Xswiftc -use-ld=lld)
    if ! swift build --package-path "$top" -c release "${flags[@]}" --product reimage >&2 </dev/null 9>&-; then
        rm -f "$begun"
        fail "the build failed; see above"
    fi
    mv -f "$begun" "$stamp"
}
