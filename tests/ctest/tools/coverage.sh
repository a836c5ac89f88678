#!/bin/sh
# Checks that every function of the header occurs in a source, as a call or as an entry of a table.
# In: header, source.
set -eu
missing=0
for name in $(sed -n 's/^[a-z].*[ *]\(nasoseg_[a-z0-9_]*\)(.*/\1/p' "$1" | sort -u); do
    grep -q "$name[(,]" "$2" || { echo "$2: $name is not tested" >&2; missing=1; }
done
exit $missing
