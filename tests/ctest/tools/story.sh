#!/bin/sh
# Checks that the example at the top of the header compiles as it is. In: compiler, header, a folder
# to write to.
set -eu
cc=$1 header=$2 folder=$3

sed -n -e '/^ \*     #include <nasoseg.h>/,/^ \*     }$/p' -e '/^ \*     int main/,/^ \*     }$/p' \
    "$header" | sed 's/^ \*     //; s/^ \*$//' > "$folder/story.c"
grep -q nasoseg_contours_write_rtstruct "$folder/story.c"
"$cc" -std=c99 -Wall -Wextra -Wpedantic -Werror -fsyntax-only -I "$(dirname "$header")" \
    "$folder/story.c"
