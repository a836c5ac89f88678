#!/bin/sh
# Builds and runs the C pipeline with what pkg-config says, from a moved copy of the installed tree.
# In: pkg-config, compiler, the installed library folder, the repository, the version, a folder to write to.
set -eu
pkg_config=$1 cc=$2 libdir=$3 root=$4 version=$5 folder=$6

rm -rf "$folder/moved"
mkdir -p "$folder/moved"
cp -R "$libdir/.." "$folder/moved/tree"
PKG_CONFIG_PATH=$folder/moved/tree/$(basename "$libdir")/pkgconfig
export PKG_CONFIG_PATH
test "$("$pkg_config" --modversion seqseg)" = "$version"
case $("$pkg_config" --libs --static seqseg) in
    *-lstdc++*) ;;
    *) echo "Libs.private lacks the C++ library" >&2; exit 1 ;;
esac
moved=$("$pkg_config" --variable=libdir seqseg)
build() {
    # shellcheck disable=SC2046
    "$cc" -std=c99 -o "$folder/pipeline" $("$pkg_config" --cflags seqseg) \
        "-DSEQSEG_TEST_BUNDLE=\"$root/tests/data/micro\"" "-DSEQSEG_TEST_GOLDEN=\"$root/tests/data/golden/pipeline.txt\"" \
        "-DSEQSEG_TEST_VERSION=\"$version\"" "$root/tests/ctest/pipeline.c" "$@" -lm
}
build $("$pkg_config" --libs seqseg) "-Wl,-rpath,$moved"
"$folder/pipeline" "$folder"
# The static library is what is left without the shared one.
rm "$moved"/libseqseg.so*
build $("$pkg_config" --libs --static seqseg)
"$folder/pipeline" "$folder"
rm -rf "$folder/moved"
