// Segments one patient and saves the result: an RT Structure Set if T1C is DICOM, otherwise the
// mask as NIfTI. Build it against an installed nasoseg with examples/CMakeLists.txt and run it
// (`make demo` in the repository makes a synthetic patient in out/demo/study):
//
//     cmake -S examples -B build -DCMAKE_PREFIX_PATH=/usr/local && cmake --build build
//     build/first_result_cpp study/T1 study/T1C study/T2 models/demo output

#include <nasoseg/nasoseg.hpp>

#include <cstdlib>
#include <exception>
#include <filesystem>
#include <iomanip>
#include <iostream>
#include <stdexcept>
#include <string>

namespace {

void first_result(int argc, char **argv) {
    if (argc != 6) {
        throw std::invalid_argument("usage: first_result T1 T1C T2 BUNDLE OUTPUT");
    }
    const std::filesystem::path output = argv[5];

    const nasoseg::Engine engine(argv[4]);
    if (engine.is_demo()) {
        std::cout << "warning: DEMO MODEL, NOT FOR CLINICAL USE. " << engine.intended_use() << '\n';
    }

    // Each sequence may lie on a grid of its own; all results lie on T1C's.
    nasoseg::Study study;
    study.load(nasoseg::Sequence::T1, argv[1]);
    study.load(nasoseg::Sequence::T1C, argv[2]);
    study.load(nasoseg::Sequence::T2, argv[3]);

    // The study is validated and aligned here.
    const nasoseg::Detection detection = engine.detect(study);
    for (const std::string &warning : study.warnings()) {
        std::cout << "warning: " << warning << '\n';
    }
    const nasoseg::Segmentation segmentation = engine.segment(study, detection);
    for (std::size_t at = 0; at < segmentation.slice_count(); ++at) {
        const nasoseg::SegmentationSlice slice = segmentation.slice(at);
        std::cout << "slice " << slice.slice << ": " << slice.area_mm2 << " mm2\n";
    }
    std::cout << "volume: " << segmentation.volume_mm3() << " mm3\n";

    std::filesystem::create_directories(output);
    // Only a DICOM image has a SOP Instance UID.
    if (*detection.slice(0).sop_instance_uid != '\0') {
        segmentation.contour().write_rtstruct((output / "rtstruct.dcm").u8string());
        std::cout << "saved: rtstruct.dcm\n";
    } else {
        segmentation.write_mask((output / "mask.nii.gz").u8string());
        std::cout << "saved: mask.nii.gz\n";
    }
}

} // namespace

int main(int argc, char **argv) {
    std::cout << std::fixed << std::setprecision(1);
    try {
        first_result(argc, argv);
    } catch (const std::exception &error) {
        std::cerr << error.what() << '\n';
        return EXIT_FAILURE;
    }
    return EXIT_SUCCESS;
}
