#!/bin/sh
# Writes the baseline of the ABI from the header. In: compiler, header, the file to write.
set -eu
cc=$1 header=$2 baseline=$3

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"$(dirname "$0")/stubs.sh" "$cc" "$header" "$work/stubs.so"
abidw --no-show-locs --no-corpus-path --no-comp-dir-path --no-parameter-names \
    --drop-private-types --type-id-style hash --out-file "$work/baseline" "$work/stubs.so"
# Removes the folder in which it was compiled.
sed "s,path='[^']*/stubs.c',path='stubs.c'," "$work/baseline" > "$baseline"
