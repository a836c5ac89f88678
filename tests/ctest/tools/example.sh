#!/bin/sh
# An example prints what the examples of every language print (tests/data/golden/examples.txt,
# where the tolerance is explained), and ends with a message and status 1 without arguments.
#
# In: the file of expected lines, the section, a folder to write to, the example, its arguments.
set -eu
expected=$1 section=$2 output=$3/output.txt
shift 3

"$@" > "$output"
awk -v section="[$section]" '
    function off(a, b) { return a + 0 > b + 0 ? a - b : b - a }
    FNR == NR {
        if ($0 ~ /^\[/) inside = $0 == section
        else if (inside && $0 != "") lines[++count] = $0
        next
    }
    {
        words = split($0, found, " ")
        wanted = split(lines[FNR], golden, " ")
        same = words == wanted && FNR <= count
        for (at = 1; same && at <= words; at++) {
            a = found[at]; b = golden[at]
            number = "^-?[0-9]+\\.[0-9]+$"
            if (a ~ number && b ~ number) {
                size = b < 0 ? -b : b + 0
                tolerance = 0.03 * size > 0.5 ? 0.03 * size : 0.5
                same = off(a, b) <= tolerance
            } else same = a == b
        }
        if (!same) { print "found    " $0 "\nexpected " lines[FNR]; wrong = 1 }
    }
    END {
        if (count == 0 || FNR != count) { print FNR " lines, expected " count; wrong = 1 }
        exit wrong
    }' "$expected" "$output"

status=0
"$1" > /dev/null 2> "$output.usage" || status=$?
test "$status" = 1
grep -q '^usage: ' "$output.usage"
