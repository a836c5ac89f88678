#!/bin/sh
# A library of empty functions with the header's declarations and debug information: what abidw and
# abidiff read the C types from. (The debug information of the real library speaks of Rust's types,
# and those of enumerations appear in no function, since these take uint32_t.) In: compiler, header,
# the library to write.
set -eu
cc=$1 header=$2 library=$3

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
{
    printf '#include "%s"\n' "$(readlink -f "$header")"
    # cbindgen begins a declaration in the first column and ends it with a line's end; nothing else
    # there has a parenthesis.
    sed -n '/^extern "C" {/,/^}  \/\/ extern "C"/p' "$header" \
        | awk '/^[a-z].*\(/ && !/^extern/ { inside = 1 } inside { sub(/\);$/, ") { __builtin_trap(); }"); print } /__builtin_trap/ { inside = 0 }'
    sed -n 's/^typedef enum \(nasoseg_[a-z_]*\) {$/void constants_of_\1(\1 value); void constants_of_\1(\1 value) { (void)value; }/p' "$header"
} > "$work/stubs.c"
# Compiled under a plain name: the baseline holds it.
(cd "$work" && "$cc" -std=c99 -g -O0 -fPIC -shared -o stubs.so stubs.c)
mv "$work/stubs.so" "$library"
