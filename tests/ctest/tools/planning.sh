#!/bin/sh
# Checks that the planning host gives the same volume as the program and an RT Structure Set, and
# stops at Ctrl-C.
# In: planning, nasoseg, bundle, a study's folder (T1, T1C, T2), a folder to write to.
set -eu
planning=$1 nasoseg=$2 bundle=$3 study=$4 folder=$5

rm -rf "$folder/run" "$folder/rtstruct.dcm" "$folder/stopped.dcm" "$folder/stopped.txt"
"$planning" "$study/T1" "$study/T1C" "$study/T2" "$bundle" "$folder/rtstruct.dcm" \
    > "$folder/out.txt" 2> "$folder/progress.txt"
test -s "$folder/rtstruct.dcm"
cat "$folder/out.txt"
"$nasoseg" run --t1 "$study/T1" --t1c "$study/T1C" --t2 "$study/T2" --bundle "$bundle" \
    --out "$folder/run" 2> "$folder/run.txt"
shown=$(sed -n 's/^volume: \([0-9.]*\) cm3$/\1/p' "$folder/out.txt")
written=$(sed -n 's/.*"volume_mm3": *\([0-9.]*\).*/\1/p' "$folder/run/run.json" | head -n 1)
awk -v shown="$shown" -v written="$written" 'BEGIN {
    off = shown - written / 1000
    exit !(shown > 1 && off < 0.006 && off > -0.006)
}'

# Ctrl-C as soon as the first progress is printed.
"$planning" "$study/T1" "$study/T1C" "$study/T2" "$bundle" "$folder/stopped.dcm" \
    > "$folder/out.txt" 2> "$folder/stopped.txt" &
process=$!
while [ ! -s "$folder/stopped.txt" ]; do
    kill -0 $process
    sleep 0.02
done
kill -INT $process
status=0
wait $process || status=$?
test "$status" = 130
grep -q stopped "$folder/stopped.txt"
test ! -e "$folder/stopped.dcm"
