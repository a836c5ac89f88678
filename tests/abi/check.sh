#!/bin/sh
# Compares the header with the baseline of the last release, by libabigail (Debian: abigail-tools):
# everything in the baseline is unchanged; only additions that docs/reference/abi.md allows are
# accepted. With "breaks" it checks instead that deliberate breaks are detected and allowed
# additions are accepted. In: compiler, header, baseline. Out: exit status 0; 77 if abidiff is
# missing.
set -eu
cc=$1 header=$2 baseline=$3 mode=${4:-}
here=$(cd "$(dirname "$0")" && pwd)

if ! command -v abidiff > /dev/null; then
    echo "SKIPPED: abidiff is missing (Debian: abigail-tools), so the ABI is not compared with" \
        "its baseline" >&2
    exit 77
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# In: a header. Out: abidiff's report and its status.
compare() {
    "$here/known.sh" "$1" "$baseline" > "$work/known.h"
    "$here/stubs.sh" "$cc" "$work/known.h" "$work/stubs.so"
    abidiff --no-added-syms "$baseline" "$work/stubs.so"
}

if [ "$mode" != breaks ]; then
    compare "$header" || {
        echo "$header: differs from the baseline by more than docs/reference/abi.md allows." \
            "Before the first release: make abi-baseline" >&2
        exit 1
    }
    exit 0
fi

failed=0
# In: accepted or refused, what is changed, a sed script.
try() {
    sed "$3" "$header" > "$work/nasoseg.h"
    if cmp -s "$header" "$work/nasoseg.h"; then
        echo "$2: the header no longer has such a line" >&2
        failed=1
    elif compare "$work/nasoseg.h" > "$work/report" 2>&1; then
        test "$1" = accepted || { echo "not detected: $2" >&2; failed=1; }
    else
        test "$1" = refused || { echo "refused: $2" >&2; cat "$work/report" >&2; failed=1; }
    fi
}
try refused "a function removed" '/^const char \*nasoseg_version(void);/d'
try refused "a parameter's type changed" \
    '/nasoseg_options_set_threads(/,/;/s/uint32_t threads/uint64_t threads/'
try refused "a parameter added" \
    's/^uint32_t nasoseg_abi_version(void)/uint32_t nasoseg_abi_version(int more)/'
try refused "a result's type changed" \
    's/^uint32_t nasoseg_abi_version/uint64_t nasoseg_abi_version/'
try refused "a field removed" \
    '/^typedef struct nasoseg_work {/,/^}/{/uint64_t segmenter_rows;/d;}'
try refused "a field's type changed" 's/^    float threshold;/    double threshold;/'
try refused "a field inserted" 's/^    uint64_t trunk_rows;/    uint64_t more;\n&/'
swap='s/trunk_rows/first/;s/segmenter_rows/trunk_rows/;s/first/segmenter_rows/'
try refused "two fields exchanged" "/^typedef struct nasoseg_work {/,/^}/{$swap;}"
try refused "a field appended to a struct without struct_size" \
    's/^    double y1;/&\n    double z1;/'
try refused "a constant's number changed" 's/NASOSEG_ERROR_READ = 2/NASOSEG_ERROR_READ = 22/'
try refused "a constant removed" '/NASOSEG_HOLES_FILL = 3/d'
try refused "the callback changed" \
    's/^typedef bool (\*nasoseg_progress_callback)/typedef int (*nasoseg_progress_callback)/'
try accepted "a function added" \
    's/^uint32_t nasoseg_abi_version(void);/&\nuint32_t nasoseg_more(void);/'
try accepted "a field appended" \
    '/^typedef struct nasoseg_runtime_info {/,/^}/s/^    bool has_cuda;/&\n    uint64_t more;/'
try accepted "a constant added" 's/^    NASOSEG_HOLES_FILL = 3,/&\n    NASOSEG_HOLES_MORE = 4,/'
exit $failed
