// A small planning host: three DICOM series in, an RT Structure Set and measurements out.
//
//     planning T1_FOLDER T1C_FOLDER T2_FOLDER BUNDLE OUTPUT.dcm
//
// ITK reads the series, since a planning system has them in its own memory; nasoseg works on these
// buffers. Ctrl-C stops within one model run. Exit codes: 0 success, 1 failure, 2 wrong arguments,
// 130 stopped.

#include <nasoseg/itk.hpp>

#include <itkGDCMImageIO.h>
#include <itkGDCMSeriesFileNames.h>
#include <itkImageSeriesReader.h>

#include <csignal>
#include <cstdio>
#include <iostream>
#include <map>

namespace {

using Image = itk::Image<float, 3>;

struct Series {
    Image::Pointer image;
    std::vector<std::string> files;
};

Series read(const std::string &folder) {
    auto names = itk::GDCMSeriesFileNames::New();
    names->SetDirectory(folder);
    const auto series = names->GetSeriesUIDs();
    if (series.size() != 1) {
        throw std::runtime_error(folder + ": found " + std::to_string(series.size()) +
                                 " DICOM series, expected one");
    }
    auto reader = itk::ImageSeriesReader<Image>::New();
    reader->SetImageIO(itk::GDCMImageIO::New());
    reader->SetFileNames(names->GetFileNames(series.front()));
    reader->Update();
    return {reader->GetOutput(), reader->GetFileNames()};
}

// Never destroyed: the signal handler may run at any time.
const nasoseg::CancelToken &stop() {
    static const auto *const token = new nasoseg::CancelToken;
    return *token;
}

void on_interrupt(int) { stop().cancel(); }

// One line of the terminal for each stage.
bool show(const nasoseg::Progress &p) {
    const std::string stage(p.stage_name());
    std::fprintf(stderr, "\r%-8s %3zu / %zu%s", stage.c_str(), p.done, p.total,
                 p.done == p.total ? "\n" : "");
    std::fflush(stderr);
    return true;
}

// Largest distance between two points of a slice's contours, mm.
double largest_diameter(const std::vector<nasoseg::Point> &points) {
    double squares = 0.0;
    for (std::size_t a = 0; a < points.size(); ++a) {
        for (std::size_t b = a + 1; b < points.size(); ++b) {
            double sum = 0.0;
            for (std::size_t axis = 0; axis < 3; ++axis) {
                sum += (points[a][axis] - points[b][axis]) * (points[a][axis] - points[b][axis]);
            }
            squares = std::max(squares, sum);
        }
    }
    return std::sqrt(squares);
}

void print(const nasoseg::Segmentation &segmentation, const nasoseg::Contours &contours) {
    std::map<std::size_t, std::vector<nasoseg::Point>> points;
    for (const nasoseg::Contour &contour : contours.all()) {
        for (std::size_t at = 0; at < contour.point_count(); ++at) {
            points[contour.storage_slice].push_back(contour.point(at));
        }
    }
    std::printf("slice   z (mm)   area (mm2)   largest diameter (mm)\n");
    for (std::size_t at = 0; at < segmentation.slice_count(); ++at) {
        const nasoseg::SegmentationSlice slice = segmentation.slice(at);
        if (slice.pixels > 0) {
            std::printf("%5zu %8.1f %12.1f %23.1f\n", slice.slice, slice.position_mm,
                        slice.area_mm2, largest_diameter(points[slice.storage_slice]));
        }
    }
    std::printf("volume: %.2f cm3\n", segmentation.volume_mm3() / 1000.0);
}

int run(const std::vector<std::string> &arguments) {
    const nasoseg::Engine engine(arguments[3]);
    std::cout << engine.model_name() << ' ' << engine.model_version() << " on " << engine.device()
              << '\n'
              << engine.intended_use() << '\n';

    nasoseg::Run run;
    run.on_progress(show).cancelled_by(stop());
    nasoseg::Study study;
    const nasoseg::Sequence sequences[3] = {nasoseg::Sequence::T1, nasoseg::Sequence::T1C,
                                            nasoseg::Sequence::T2};
    for (int at = 0; at < 3; ++at) {
        const Series series = read(arguments[static_cast<std::size_t>(at)]);
        study.set_volume(sequences[at], nasoseg::view(*series.image), {}, run);
        // The files identify the patient, which is checked, and the images that the structure set
        // references.
        study.set_dicom_source(sequences[at], series.files, {}, run);
    }
    const nasoseg::Detection detection = engine.detect(study, {}, run);
    const nasoseg::Segmentation segmentation = engine.segment(study, detection, {}, run);
    const nasoseg::Contours contours = segmentation.contour({}, run);
    for (const std::string &warning : study.warnings()) {
        std::cerr << "warning: " << warning << '\n';
    }
    print(segmentation, contours);
    contours.write_rtstruct(arguments[4], {}, run);
    return 0;
}

} // namespace

int main(int argc, char **argv) {
    if (argc != 6) {
        std::cerr << "usage: planning T1_FOLDER T1C_FOLDER T2_FOLDER BUNDLE OUTPUT.dcm\n";
        return 2;
    }
    try {
        // Made before the handler can use it.
        stop();
        std::signal(SIGINT, on_interrupt);
        return run({argv + 1, argv + argc});
    } catch (const nasoseg::Cancelled &) {
        std::cerr << "\nstopped\n";
        return 130;
    } catch (const std::exception &error) {
        std::cerr << '\n' << error.what() << '\n';
        return 1;
    }
}
