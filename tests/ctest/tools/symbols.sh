#!/bin/sh
# Checks that the libraries export every function of the header and nothing but nasoseg_*. In:
# header, shared library, static library.
set -eu
header=$1 shared=$2 static=$3

# In: library, file of its symbols.
check() {
    if [ ! -s "$2" ]; then
        echo "$1: no symbols" >&2
        exit 1
    fi
    if grep -v '^nasoseg_' "$2" >&2; then
        echo "$1: exports more than nasoseg_*" >&2
        exit 1
    fi
    while read -r name; do
        grep -qx "$name" "$2" || { echo "$1: $name is missing" >&2; exit 1; }
    done < functions.txt
}
# A function's declaration begins a line with its type; other mentions of names are prose.
sed -n 's/^[a-z].*[ *]\(nasoseg_[a-z0-9_]*\)(.*/\1/p' "$header" | sort -u > functions.txt
test "$(wc -l < functions.txt)" -gt 50

nm -D --defined-only "$shared" | awk '{ print $NF }' | sort -u > shared.txt
check "$shared" shared.txt
nm -g --defined-only "$static" | awk 'NF > 1 { print $NF }' | sort -u > static.txt
check "$static" static.txt

# The code that makes calls fail on purpose (src/fault.rs) is for tests alone.
if grep -l 'made to fail by fault-injection' "$shared" "$static" >&2; then
    echo "built with the feature fault-injection" >&2
    exit 1
fi

readelf -d "$shared" > dynamic.txt
grep -q 'SONAME.*\[libnasoseg\.so\.1\]' dynamic.txt
grep -q 'NODELETE' dynamic.txt
# ONNX Runtime is found at run time: the library must not record a dependency on it.
if grep 'NEEDED.*onnxruntime' dynamic.txt; then
    exit 1
fi
folder=$(dirname "$shared")
test "$(readlink -f "$folder/libnasoseg.so")" = "$(readlink -f "$shared")"
test "$(readlink -f "$folder/libnasoseg.so.1")" = "$(readlink -f "$shared")"
