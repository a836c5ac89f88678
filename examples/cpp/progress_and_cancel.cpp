// Shows progress, and cancels from a second thread once the segmenter has run; then uses the same
// engine and study again, which a cancel leaves intact. Build it against an installed nasoseg with
// examples/CMakeLists.txt and run it (`make demo` in the repository makes a synthetic patient in
// out/demo/study):
//
//     cmake -S examples -B build -DCMAKE_PREFIX_PATH=/usr/local && cmake --build build
//     build/progress_and_cancel_cpp study/T1 study/T1C study/T2 models/demo

#include <nasoseg/nasoseg.hpp>

#include <cstdlib>
#include <exception>
#include <future>
#include <iomanip>
#include <iostream>
#include <stdexcept>
#include <thread>

namespace {

// Prints progress whenever it has changed: callbacks come at least once per model run.
class Printer {
public:
    void show(const nasoseg::Progress &p) {
        if (p.stage != last_.stage || p.done != last_.done || p.total != last_.total) {
            std::cout << p.stage_name() << ' ' << p.done << '/' << p.total << '\n';
            last_ = p;
        }
    }

private:
    nasoseg::Progress last_{nasoseg::Stage::Read, 0, 0};
};

void segment(const nasoseg::Engine &engine, const nasoseg::Study &study, const nasoseg::Run &run) {
    const nasoseg::Detection detection = engine.detect(study, {}, run);
    const nasoseg::Segmentation segmentation = engine.segment(study, detection, {}, run);
    std::cout << "volume: " << segmentation.volume_mm3() << " mm3\n";
}

// Segments until a second thread, which waits for the segmenter's first result, has cancelled.
void segment_and_cancel(const nasoseg::Engine &engine, const nasoseg::Study &study,
                        const nasoseg::CancelToken &token) {
    std::promise<bool> ran;
    bool signalled = false;
    std::thread second([&token, signal = ran.get_future()]() mutable {
        if (signal.get()) {
            token.cancel();
        }
    });
    Printer printer;
    nasoseg::Run run;
    run.cancelled_by(token).on_progress([&](const nasoseg::Progress &p) {
        printer.show(p);
        if (p.stage == nasoseg::Stage::Segment && p.done > 0 && !signalled) {
            signalled = true;
            ran.set_value(true);
            // A real program returns at once; waiting makes this one print the same each time.
            while (!token.is_cancelled()) {
                std::this_thread::yield();
            }
        }
        return true; // false cancels too, from this thread
    });
    std::exception_ptr thrown;
    try {
        segment(engine, study, run);
    } catch (...) {
        thrown = std::current_exception();
    }
    if (!signalled) {
        ran.set_value(false);
    }
    second.join();
    if (thrown) {
        std::rethrow_exception(thrown);
    }
}

void progress_and_cancel(int argc, char **argv) {
    if (argc != 5) {
        throw std::invalid_argument("usage: progress_and_cancel T1 T1C T2 BUNDLE");
    }
    const nasoseg::Engine engine(argv[4]);
    nasoseg::Study study;
    study.load(nasoseg::Sequence::T1, argv[1]);
    study.load(nasoseg::Sequence::T1C, argv[2]);
    study.load(nasoseg::Sequence::T2, argv[3]);

    const nasoseg::CancelToken token;
    try {
        segment_and_cancel(engine, study, token);
    } catch (const nasoseg::Cancelled &) {
        std::cout << "cancelled\n";
    }

    // A token stays set until it is reset.
    token.reset();
    Printer printer;
    nasoseg::Run run;
    run.cancelled_by(token).on_progress([&](const nasoseg::Progress &p) {
        printer.show(p);
        return true;
    });
    segment(engine, study, run);
}

} // namespace

int main(int argc, char **argv) {
    std::cout << std::fixed << std::setprecision(1);
    try {
        progress_and_cancel(argc, argv);
    } catch (const std::exception &error) {
        std::cerr << error.what() << '\n';
        return EXIT_FAILURE;
    }
    return EXIT_SUCCESS;
}
