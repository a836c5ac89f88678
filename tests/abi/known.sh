#!/bin/sh
# Prints the header as the baseline has it: without the fields that were appended since to structs
# that begin with struct_size. In: header, baseline. Out: the header, on standard output.
set -eu
awk -F "'" '
    FNR == NR && /<class-decl name=/ { name = $2; first = last = "" }
    FNR == NR && /<var-decl name=/ { last = $2; if (first == "") first = last }
    FNR == NR && /<\/class-decl>/ && first == "struct_size" { known[name] = last }
    FNR == NR { next }
    /^typedef struct .* {$/ { split($0, words, " "); field = known[words[3]] }
    /^}/ { field = ""; skip = 0 }
    !skip { print }
    field != "" && $0 ~ "[ *]" field "(\\[[0-9]+\\])?;$" { skip = 1 }
' "$2" "$1"
