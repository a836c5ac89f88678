// The C++ header: the pipeline against the golden numbers, errors, cancel, exceptions out of callbacks, moves, threads.
// In: a folder to write to.

#include <seqseg/seqseg.hpp>

#include "study.h"

#include <thread>
#include <type_traits>

namespace {

seqseg::Study make_study() {
    seqseg::Study study;
    for (int sequence = 0; sequence < 3; ++sequence) {
        std::vector<float> voxels(STUDY_VOXELS);
        study_fill(sequence, voxels.data());
        const seqseg_volume_view c = study_view(voxels.data());
        seqseg::Affine affine;
        std::copy(c.affine, c.affine + 16, affine.begin());
        const seqseg::VolumeView view = seqseg::view(voxels.data(), {STUDY_I, STUDY_J, STUDY_K}, affine);
        // The template says what C says by hand.
        CHECK(view.struct_size == c.struct_size && view.element == c.element && view.axes == c.axes);
        CHECK(std::equal(view.stride, view.stride + 3, c.stride) && std::equal(view.size, view.size + 3, c.size));
        study.set_volume(static_cast<seqseg::Sequence>(sequence), view);
    }
    return study;
}

seqseg::Options cpu() {
    seqseg::Options options;
    options.device("cpu").threads(1).concurrent_runs(2);
    return options;
}

template <class T>
constexpr bool move_only = !std::is_copy_constructible_v<T> && !std::is_copy_assignable_v<T> && std::is_nothrow_move_constructible_v<T> &&
                           std::is_nothrow_move_assignable_v<T>;

static_assert(move_only<seqseg::Engine> && move_only<seqseg::Study> && move_only<seqseg::Detection> && move_only<seqseg::Segmentation>);
static_assert(move_only<seqseg::Contours> && move_only<seqseg::Options> && move_only<seqseg::Run> && move_only<seqseg::CancelToken>);

static_assert(seqseg::detail::element<unsigned char>() == SEQSEG_ELEMENT_UINT8 && seqseg::detail::element<signed char>() == SEQSEG_ELEMENT_INT8);
static_assert(seqseg::detail::element<unsigned short>() == SEQSEG_ELEMENT_UINT16 && seqseg::detail::element<short>() == SEQSEG_ELEMENT_INT16);
static_assert(seqseg::detail::element<unsigned>() == SEQSEG_ELEMENT_UINT32 && seqseg::detail::element<int>() == SEQSEG_ELEMENT_INT32);
static_assert(seqseg::detail::element<float>() == SEQSEG_ELEMENT_FLOAT32 && seqseg::detail::element<double>() == SEQSEG_ELEMENT_FLOAT64);

template <class Work>
seqseg::Status thrown(Work &&work) {
    try {
        work();
    } catch (const seqseg::Cancelled &error) {
        CHECK(error.code() == seqseg::Status::Cancelled);
        return error.code();
    } catch (const seqseg::Error &error) {
        CHECK(error.code() != seqseg::Status::Cancelled && error.what()[0] != '\0');
        return error.code();
    }
    return seqseg::Status::Ok;
}

struct Mine : std::runtime_error {
    using std::runtime_error::runtime_error;
};

void pipeline(const seqseg::Engine &engine, const std::string &folder) {
    const seqseg::Study study = make_study();
    std::size_t ticks = 0;
    seqseg::Run run;
    run.on_progress([&](const seqseg::Progress &p) {
        CHECK(!p.stage_name().empty() && p.done <= p.total);
        return ++ticks > 0;
    });
    seqseg::Detection detection = engine.detect(study, {}, run);
    const seqseg::Segmentation segmentation = engine.segment(study, detection, {}, run);
    const seqseg::Contours contours = segmentation.contour({}, run);
    CHECK(ticks > 10 && engine.work().segmenter_rows == STUDY_K);
    golden_check(detection.get(), segmentation.get(), contours.get());
    CHECK(study.warnings().size() == seqseg_study_warning_count(study.get()));

    CHECK(detection.slice_count() == STUDY_K && segmentation.slice_count() == STUDY_K);
    const seqseg::Trajectory walk = detection.trajectory(2);
    CHECK(walk.steps() > 0 && walk.action_count == engine.action_count() && walk.q_at(walk.steps() - 1).size() == walk.action_count);
    CHECK(detection.image(2).size() == 3 * engine.grid() * engine.grid() && !engine.action_name(walk.actions[0]).empty());
    const seqseg::Box last = walk.box(walk.steps()), box = detection.slice(2).bounding_box;
    CHECK(last.x0 == box.x0 && last.y1 == box.y1);
    CHECK(segmentation.mask().size() == STUDY_VOXELS && segmentation.affine().value()[10] == STUDY_STEP_MM && !segmentation.edited());
    std::size_t set = 0;
    for (const std::uint8_t voxel : segmentation.mask()) {
        set += voxel;
    }
    CHECK(std::abs(static_cast<double>(set) * 54.0 - segmentation.volume_mm3()) < 1e-6);
    CHECK(segmentation.origin(1)[2] - segmentation.origin(0)[2] == STUDY_STEP_MM && segmentation.axis_i()[0] == STUDY_PIXEL_MM);
    CHECK(contours.lines().size() == contours.size());
    for (const seqseg::ContourLine &line : contours.lines()) {
        CHECK(line.point_count() * 2 == line.points_index.size() && line.is_hole == line.parent.has_value());
        CHECK(std::abs(line.point(0)[2] - segmentation.origin(line.storage_slice)[2]) < 1e-9);
    }

    segmentation.write_mask(folder + "/mask.nii.gz");
    segmentation.write_probability(folder + "/probability.nii.gz");
    segmentation.write_record(folder + "/run.json");
    seqseg::write_preview(detection, segmentation, contours, folder + "/preview.png");
    CHECK(thrown([&] { contours.write_rtstruct(folder + "/rtstruct.dcm", seqseg::Options().holes(seqseg::Holes::Fill)); }) ==
          seqseg::Status::Unsupported);
    detection.write(folder + "/detection.json");
    seqseg::Detection again = engine.read_detection(study, folder + "/detection.json");
    CHECK(engine.segment(study, again).volume_mm3() == segmentation.volume_mm3());
    for (std::size_t k = 0; k < STUDY_K; ++k) {
        again.clear_box(k);
    }
    again.set_box(2, seqseg::Box{30.5, 25.0, 60.0, 70.25});
    const seqseg::Segmentation edited = engine.segment(study, again);
    CHECK(edited.edited() && edited.slice(3).pixels == 0 && edited.volume_mm3() < segmentation.volume_mm3());
    CHECK(engine.detect(study, seqseg::Options().slices(1, 3)).slice_count() == 2);
    CHECK(engine.detect(study, seqseg::Options().slices_mm(-4.0, 10.0)).slice_count() == 3);
    CHECK(segmentation.contour(seqseg::Options().contour_kind(seqseg::ContourKind::Voxel)).size() > 0);
}

// The study, turned by 20 degrees about the left-right axis: asked for, its axial slices are the model's, and the result lies on its own voxels.
void resliced(const seqseg::Engine &engine) {
    seqseg::Study study;
    for (int sequence = 0; sequence < 3; ++sequence) {
        std::vector<float> voxels(STUDY_VOXELS);
        study_fill(sequence, voxels.data());
        seqseg_volume_view view = study_view(voxels.data());
        const double c = std::cos(0.349), s = std::sin(0.349);
        for (int column = 0; column < 4; ++column) {
            const double y = view.affine[4 + column], z = view.affine[8 + column];
            view.affine[4 + column] = c * y - s * z;
            view.affine[8 + column] = s * y + c * z;
        }
        study.set_volume(static_cast<seqseg::Sequence>(sequence), view);
    }
    const seqseg::Detection own = engine.detect(study);
    CHECK(own.slice_count() == STUDY_K && own.slice(1).storage_slice == 1);
    CHECK(study.warnings().at(0).find("20 degrees") != std::string::npos);
    const seqseg::Detection axial = engine.detect(study, seqseg::Options().reslice_axial(4.0));
    CHECK(axial.slice_count() > STUDY_K && axial.slice(1).storage_slice == SIZE_MAX);
    CHECK(std::abs(axial.slice(1).position_mm - axial.slice(0).position_mm - 4.0) < 1e-9);
    CHECK(study.warnings().at(0).find("resampled") != std::string::npos);
    const seqseg::Segmentation segmentation = engine.segment(study, axial);
    CHECK(segmentation.size()[2] == STUDY_K && segmentation.slice_count() == axial.slice_count());
    for (const seqseg::ContourLine &line : segmentation.contour().lines()) {
        CHECK(line.storage_slice < STUDY_K);
    }
    // The study was brought together anew: what was found on its own slices does not fit it any more.
    CHECK(thrown([&] { (void)engine.segment(study, own); }) == seqseg::Status::Argument);
}

void errors(const seqseg::Engine &engine) {
    seqseg::Study empty;
    CHECK(thrown([&] { (void)engine.detect(empty); }) == seqseg::Status::Argument);
    CHECK(thrown([&] { empty.load(seqseg::Sequence::T1, "/nowhere"); }) == seqseg::Status::Read);
    CHECK(thrown([&] { empty.set_dicom_source(seqseg::Sequence::T1, {"/nowhere"}); }) == seqseg::Status::Argument);
    CHECK(thrown([] { seqseg::Engine("/nowhere"); }) == seqseg::Status::Bundle);
    CHECK(thrown([] { seqseg::Options().device("gpu"); }) == seqseg::Status::Argument);
    CHECK(thrown([] { seqseg::Options().simplify_mm(-1.0); }) == seqseg::Status::Argument);

    // Without exceptions.
    const seqseg::Result<seqseg::Engine> none = seqseg::attempt([] { return seqseg::Engine("/nowhere"); });
    CHECK(!none && none.error().code() == seqseg::Status::Bundle && none.error().what()[0] != '\0');
    seqseg::Result<seqseg::Detection> missing = seqseg::attempt([&] { return engine.detect(empty); });
    CHECK(!missing.ok());
    CHECK(thrown([&] { (void)missing.value(); }) == seqseg::Status::Argument);
    const seqseg::Study study = make_study();
    seqseg::Result<seqseg::Detection> found = seqseg::attempt([&] { return engine.detect(study); });
    CHECK(found.ok() && found.value().slice_count() == STUDY_K);
    const seqseg::Detection taken = std::move(found).value();
    CHECK(taken.slice_count() == STUDY_K);
    const seqseg::Result<seqseg::Done> done = seqseg::attempt([&] { make_study(); });
    CHECK(done.ok() && done.value() == seqseg::Done{});
    const seqseg::Result<int> foreign = seqseg::attempt([]() -> int { throw Mine("mine"); });
    CHECK(foreign.error().code() == seqseg::Status::Internal && std::string(foreign.error().what()) == "mine");
}

void cancel(const seqseg::Engine &engine) {
    const seqseg::Study study = make_study();
    const seqseg::Detection detection = engine.detect(study);

    seqseg::Run refuses;
    refuses.on_progress([](const seqseg::Progress &p) { return p.stage != seqseg::Stage::Segment; });
    CHECK(thrown([&] { (void)engine.segment(study, detection, {}, refuses); }) == seqseg::Status::Cancelled);

    // An exception at every tick comes out where the call was made, as it was, and once.
    int most = 0;
    for (int at = 1; at <= most || most == 0; ++at) {
        int ticks = 0;
        seqseg::Run run;
        run.on_progress([&](const seqseg::Progress &) {
            if (++ticks == at) {
                throw Mine("tick " + std::to_string(at));
            }
            return true;
        });
        // The state that the library points to survives a move.
        seqseg::Run moved = std::move(run);
        std::string said;
        try {
            (void)engine.segment(study, detection, {}, moved);
            most = ticks;
        } catch (const Mine &mine) {
            said = mine.what();
        }
        CHECK(said == (at <= ticks ? "tick " + std::to_string(at) : ""));
        moved.on_progress({});
        (void)engine.segment(study, detection, {}, moved);
    }
    CHECK(most > 5);

    seqseg::Run run;
    {
        seqseg::CancelToken token;
        run.cancelled_by(token);
        token.cancel();
        CHECK(token.is_cancelled());
        CHECK(thrown([&] { (void)engine.detect(study, {}, run); }) == seqseg::Status::Cancelled);
        token.reset();
        (void)engine.detect(study, {}, run);
        std::thread other([&] {
            std::this_thread::sleep_for(std::chrono::milliseconds(5));
            token.cancel();
        });
        CHECK(thrown([&] {
                  for (;;) {
                      (void)engine.detect(study, {}, run);
                  }
              }) == seqseg::Status::Cancelled);
        other.join();
        token.reset();
    }
    (void)engine.detect(study, {}, run);
}

void moves() {
    // Any order of destruction, assignment over a live object, and a moved-from object that is assigned to.
    auto engine = std::make_unique<seqseg::Engine>(SEQSEG_TEST_BUNDLE, cpu());
    auto study = std::make_unique<seqseg::Study>(make_study());
    seqseg::Detection detection = engine->detect(*study);
    seqseg::Segmentation a = engine->segment(*study, detection);
    const double volume = a.volume_mm3();
    detection.clear_box(3);
    seqseg::Segmentation b = engine->segment(*study, detection);
    engine.reset();
    study.reset();
    std::swap(a, b);
    CHECK(b.volume_mm3() == volume && a.volume_mm3() < volume);
    a = std::move(b);
    b = std::move(a);
    CHECK(b.volume_mm3() == volume && b.contour().size() > 0);
}

}  // namespace

int main(int argc, char **argv) {
    CHECK(argc == 2);
    CHECK(seqseg::version() == SEQSEG_TEST_VERSION && seqseg::abi_version() >= SEQSEG_ABI_VERSION);
    CHECK(seqseg::runtime_info().path[0] == '/');
    const seqseg::Engine engine(SEQSEG_TEST_BUNDLE, cpu());
    CHECK(engine.model_name() == "seqseg-micro" && engine.is_demo() && engine.grid() == 96 && engine.device() == "cpu");
    CHECK(engine.model_hash().size() == 64 && !engine.model_version().empty() && !engine.intended_use().empty() && engine.device_fallback().empty());
    pipeline(engine, argv[1]);
    resliced(engine);
    errors(engine);
    cancel(engine);
    moves();
    return 0;
}
