#!/bin/sh
# Builds and runs the C pipeline with the flags of pkg-config, from a moved copy of the installed
# tree.
# In: pkg-config, compiler, the installed library folder, the repository, the version, a folder to
# write to.
set -eu
pkg_config=$1 cc=$2 libdir=$3 root=$4 version=$5 folder=$6

rm -rf "$folder/moved"
mkdir -p "$folder/moved"
cp -R "$libdir/.." "$folder/moved/tree"
PKG_CONFIG_PATH=$folder/moved/tree/$(basename "$libdir")/pkgconfig
export PKG_CONFIG_PATH
test "$("$pkg_config" --modversion nasoseg)" = "$version"
case $("$pkg_config" --libs --static nasoseg) in
    *-lstdc++*) ;;
    *) echo "Libs.private: the C++ library is missing" >&2; exit 1 ;;
esac
moved=$("$pkg_config" --variable=libdir nasoseg)
build() {
    # shellcheck disable=SC2046
    "$cc" -std=c99 -o "$folder/pipeline" $("$pkg_config" --cflags nasoseg) \
        "-DNASOSEG_TEST_BUNDLE=\"$root/tests/data/micro\"" \
        "-DNASOSEG_TEST_GOLDEN=\"$root/tests/data/golden/pipeline.txt\"" \
        "-DNASOSEG_TEST_VERSION=\"$version\"" "$root/tests/ctest/pipeline.c" "$@" -lm
}
build $("$pkg_config" --libs nasoseg) "-Wl,-rpath,$moved"
"$folder/pipeline" "$folder"
# Without the shared library the linker takes the static one.
rm "$moved"/libnasoseg.so*
build $("$pkg_config" --libs --static nasoseg)
"$folder/pipeline" "$folder"
rm -rf "$folder/moved"
