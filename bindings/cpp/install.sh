#!/bin/sh
# Installs the library, its headers, its CMake and pkg-config files and the program; `make install`
# calls it.
#
# In: BUILT, the folder that cargo built into; PREFIX; optionally DESTDIR (a staging root), LIBDIR
# (relative to PREFIX; lib). Out: $DESTDIR$PREFIX/{bin,include,LIBDIR}. Linux with GNU binutils. The
# installed tree may be moved.
set -eu

: "${BUILT:?}" "${PREFIX:?}"
LIBDIR=${LIBDIR:-lib}
root=$(cd "$(dirname "$0")/../.." && pwd)
case $PREFIX in
    /*) ;;
    *) PREFIX=$(pwd)/$PREFIX ;;
esac
to=${DESTDIR:-}$PREFIX
version=$(sed -n 's/^version = "\(.*\)"/\1/p' "$root/Cargo.toml" | head -n 1)
abi=$(sed -n 's/.*-soname,libnasoseg\.so\.\([0-9]*\).*/\1/p' "$root/build.rs")
: "${version:?}" "${abi:?}"

# A library that can fail on purpose (src/fault.rs) is for tests. Its failures contain these words.
for file in libnasoseg.so libnasoseg.a nasoseg; do
    if grep -q 'made to fail by fault-injection' "$BUILT/$file"; then
        echo "$BUILT/$file: built with the feature fault-injection, which is for tests alone." \
            "Build again without it" >&2
        exit 1
    fi
done
# The system libraries that a Rust static library with C++ in it (the JPEG-LS decoder) requires.
system="stdc++ gcc_s m dl pthread rt util"

mkdir -p "$to/bin" "$to/include/nasoseg" "$to/$LIBDIR/cmake/nasoseg" "$to/$LIBDIR/pkgconfig"

install -m 755 "$BUILT/nasoseg" "$to/bin/nasoseg"
install -m 644 "$root/include/nasoseg.h" "$to/include/nasoseg.h"
install -m 644 "$root"/bindings/cpp/include/nasoseg/*.hpp "$to/include/nasoseg/"

install -m 755 "$BUILT/libnasoseg.so" "$to/$LIBDIR/libnasoseg.so.$version"
ln -sf "libnasoseg.so.$version" "$to/$LIBDIR/libnasoseg.so.$abi"
ln -sf "libnasoseg.so.$abi" "$to/$LIBDIR/libnasoseg.so"

# The static library: one object in which nasoseg_* alone is global. A host with its own OpenJPEG,
# CharLS or Rust must meet none of ours. The linker resolves our own references before the names
# become local; groups are dissolved, or the host's copy of an inline C++ function could displace
# one that only we can name.
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
grep -o 'nasoseg_[a-z0-9_]*(' "$root/include/nasoseg.h" | tr -d '(' | sort -u > "$work/named"
nm --defined-only --extern-only "$BUILT/libnasoseg.a" 2> /dev/null \
    | sed -n 's/.* T \(nasoseg_[a-z0-9_]*\)$/\1/p' | sort -u > "$work/defined"
comm -12 "$work/named" "$work/defined" > "$work/symbols"
sed 's/^/--undefined=/' "$work/symbols" > "$work/wanted"
ld -r --strip-debug --force-group-allocation -o "$work/all.o" "@$work/wanted" "$BUILT/libnasoseg.a"
# Rust's own objects carry LLVM bitcode for link-time optimisation; concatenated it is invalid, and
# linkers' plug-ins fail on it.
objcopy --keep-global-symbols="$work/symbols" --remove-section=.llvmbc --remove-section=.llvmcmd \
    "$work/all.o" "$work/nasoseg.o"
rm -f "$to/$LIBDIR/libnasoseg.a"
ar rcsD "$to/$LIBDIR/libnasoseg.a" "$work/nasoseg.o"
chmod 644 "$to/$LIBDIR/libnasoseg.a"

# ../.. as far as $LIBDIR is deep.
up() { printf '%s\n' "$1" | sed 's,[^/][^/]*,..,g'; }
fill() {
    sed -e "s,@VERSION@,$version,g" -e "s,@ABI@,$abi,g" -e "s,@LIBDIR@,$LIBDIR,g" \
        -e "s,@UP@,$(up "$LIBDIR/cmake/nasoseg"),g" -e "s,@UP_PC@,$(up "$LIBDIR/pkgconfig"),g" \
        -e "s,@SYSTEM_LIBRARIES@,$(echo "$system" | tr ' ' ';'),g" \
        -e "s,@SYSTEM_FLAGS@,-l$(echo "$system" | sed 's/ / -l/g'),g" \
        "$root/bindings/cpp/cmake/$1.in" > "$to/$LIBDIR/$2/$1"
    chmod 644 "$to/$LIBDIR/$2/$1"
}
fill nasosegConfig.cmake cmake/nasoseg
fill nasosegConfigVersion.cmake cmake/nasoseg
fill nasoseg.pc pkgconfig
