#!/bin/sh
# Builds a library of empty functions with the header's declarations and debug information, from
# which abidw and abidiff read the C types. (The debug information of the real library describes
# Rust's types, and no function has the enumerations, since they take uint32_t.) In: compiler,
# header, the library to write.
set -eu
cc=$1 header=$2 library=$3

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
{
    printf '#include "%s"\n' "$(readlink -f "$header")"
    # cbindgen begins a declaration in the first column and ends it at the end of a line; nothing
    # else there has a parenthesis.
    sed -n '/^extern "C" {/,/^}  \/\/ extern "C"/p' "$header" | awk '
        /^[a-z].*\(/ && !/^extern/ { inside = 1 }
        inside { sub(/\);$/, ") { __builtin_trap(); }"); print }
        /__builtin_trap/ { inside = 0 }
    '
    sed -n 's/^typedef enum \(nasoseg_[a-z_]*\) {$/\1/p' "$header" | while read -r name; do
        echo "void constants_of_$name($name value);"
        echo "void constants_of_$name($name value) { (void)value; }"
    done
} > "$work/stubs.c"
# Compiled under a plain name, since the baseline contains it.
(cd "$work" && "$cc" -std=c99 -g -O0 -fPIC -shared -o stubs.so stubs.c)
mv "$work/stubs.so" "$library"
