// The C++ header: the pipeline compared with the golden numbers, errors, cancel, exceptions from
// callbacks, moves, threads. In: a folder to write to.

#include <nasoseg/nasoseg.hpp>

#include "study.h"

#include <thread>
#include <type_traits>

namespace {

nasoseg::Study make_study() {
    nasoseg::Study study;
    for (int sequence = 0; sequence < 3; ++sequence) {
        std::vector<float> voxels(STUDY_VOXELS);
        study_fill(sequence, voxels.data());
        const nasoseg_volume_view c = study_view(voxels.data());
        nasoseg::Affine affine;
        std::copy(c.affine, c.affine + 16, affine.begin());
        const nasoseg::VolumeView view =
            nasoseg::view(voxels.data(), {STUDY_I, STUDY_J, STUDY_K}, affine);
        // The template fills in what C code sets by hand.
        CHECK(view.struct_size == c.struct_size && view.element == c.element &&
              view.axes == c.axes);
        CHECK(std::equal(view.stride, view.stride + 3, c.stride) &&
              std::equal(view.size, view.size + 3, c.size));
        study.set_volume(static_cast<nasoseg::Sequence>(sequence), view);
    }
    return study;
}

nasoseg::Options cpu() {
    nasoseg::Options options;
    options.device("cpu").threads(1).concurrent_runs(2);
    return options;
}

template <class T>
constexpr bool move_only =
    !std::is_copy_constructible_v<T> && !std::is_copy_assignable_v<T> &&
    std::is_nothrow_move_constructible_v<T> && std::is_nothrow_move_assignable_v<T>;

static_assert(move_only<nasoseg::Engine> && move_only<nasoseg::Study> &&
              move_only<nasoseg::Detection> && move_only<nasoseg::Segmentation>);
static_assert(move_only<nasoseg::Contours> && move_only<nasoseg::Options> &&
              move_only<nasoseg::Run> && move_only<nasoseg::CancelToken>);

static_assert(nasoseg::detail::element<unsigned char>() == NASOSEG_ELEMENT_UINT8 &&
              nasoseg::detail::element<signed char>() == NASOSEG_ELEMENT_INT8);
static_assert(nasoseg::detail::element<unsigned short>() == NASOSEG_ELEMENT_UINT16 &&
              nasoseg::detail::element<short>() == NASOSEG_ELEMENT_INT16);
static_assert(nasoseg::detail::element<unsigned>() == NASOSEG_ELEMENT_UINT32 &&
              nasoseg::detail::element<int>() == NASOSEG_ELEMENT_INT32);
static_assert(nasoseg::detail::element<float>() == NASOSEG_ELEMENT_FLOAT32 &&
              nasoseg::detail::element<double>() == NASOSEG_ELEMENT_FLOAT64);

template <class Work> nasoseg::ErrorCode thrown(Work &&work) {
    try {
        work();
    } catch (const nasoseg::Cancelled &error) {
        CHECK(error.code() == nasoseg::ErrorCode::Cancelled);
        return error.code();
    } catch (const nasoseg::Error &error) {
        CHECK(error.code() != nasoseg::ErrorCode::Cancelled && error.what()[0] != '\0');
        return error.code();
    }
    return nasoseg::ErrorCode::Ok;
}

struct Mine : std::runtime_error {
    using std::runtime_error::runtime_error;
};

void pipeline(const nasoseg::Engine &engine, const std::string &folder) {
    const nasoseg::Study study = make_study();
    std::size_t ticks = 0;
    nasoseg::Run run;
    run.on_progress([&](const nasoseg::Progress &p) {
        CHECK(!p.stage_name().empty() && p.done <= p.total);
        return ++ticks > 0;
    });
    nasoseg::Detection detection = engine.detect(study, {}, run);
    const nasoseg::Segmentation segmentation = engine.segment(study, detection, {}, run);
    const nasoseg::Contours contours = segmentation.contour({}, run);
    CHECK(ticks > 10 && engine.work().segmenter_rows == STUDY_K);
    golden_check(detection.get(), segmentation.get(), contours.get());
    CHECK(study.warnings().size() == nasoseg_study_warning_count(study.get()));

    CHECK(detection.slice_count() == STUDY_K && segmentation.slice_count() == STUDY_K);
    const nasoseg::Trajectory trajectory = detection.trajectory(2);
    CHECK(trajectory.steps() > 0 && trajectory.action_count == engine.action_count() &&
          trajectory.q_at(trajectory.steps() - 1).size() == trajectory.action_count);
    CHECK(detection.image(2).size() == 3 * engine.grid() * engine.grid() &&
          !engine.action_name(trajectory.actions[0]).empty());
    const nasoseg::BoundingBox last = trajectory.box(trajectory.steps()),
                               box = detection.slice(2).bounding_box;
    CHECK(last.x0 == box.x0 && last.y1 == box.y1);
    CHECK(segmentation.mask().size() == STUDY_VOXELS &&
          segmentation.affine().value()[10] == STUDY_STEP_MM && !segmentation.edited());
    std::size_t set = 0;
    for (const std::uint8_t voxel : segmentation.mask()) {
        set += voxel;
    }
    CHECK(std::abs(static_cast<double>(set) * 54.0 - segmentation.volume_mm3()) < 1e-6);
    CHECK(segmentation.origin(1)[2] - segmentation.origin(0)[2] == STUDY_STEP_MM &&
          segmentation.axis_i()[0] == STUDY_PIXEL_MM);
    CHECK(contours.all().size() == contours.size());
    for (const nasoseg::Contour &contour : contours.all()) {
        CHECK(contour.point_count() * 2 == contour.points_index.size() &&
              contour.is_hole == contour.parent.has_value());
        CHECK(std::abs(contour.point(0)[2] - segmentation.origin(contour.storage_slice)[2]) < 1e-9);
    }

    segmentation.write_mask(folder + "/mask.nii.gz");
    segmentation.write_probability(folder + "/probability.nii.gz");
    segmentation.write_record(folder + "/run.json");
    nasoseg::write_preview(detection, segmentation, contours, folder + "/preview.png");
    CHECK(thrown([&] {
              contours.write_rtstruct(folder + "/rtstruct.dcm",
                                      nasoseg::Options().holes(nasoseg::Holes::Fill));
          }) == nasoseg::ErrorCode::Unsupported);
    detection.write(folder + "/detection.json");
    nasoseg::Detection again = engine.read_detection(study, folder + "/detection.json");
    CHECK(engine.segment(study, again).volume_mm3() == segmentation.volume_mm3());
    for (std::size_t k = 0; k < STUDY_K; ++k) {
        again.clear_box(k);
    }
    again.set_box(2, nasoseg::BoundingBox{30.5, 25.0, 60.0, 70.25});
    const nasoseg::Segmentation edited = engine.segment(study, again);
    CHECK(edited.edited() && edited.slice(3).pixels == 0 &&
          edited.volume_mm3() < segmentation.volume_mm3());
    const nasoseg::SliceStatus status = nasoseg::SliceStatus::NoLesion;
    CHECK(nasoseg::has(edited.slice(3).statuses, status) &&
          !nasoseg::has(edited.slice(2).statuses, status) && nasoseg::words(status) == "no lesion");
    CHECK(engine.detect(study, nasoseg::Options().slices(1, 3)).slice_count() == 2);
    CHECK(engine.detect(study, nasoseg::Options().slices_mm(-4.0, 10.0)).slice_count() == 3);
    CHECK(
        segmentation.contour(nasoseg::Options().contour_kind(nasoseg::ContourKind::Voxel)).size() >
        0);
}

// The study, rotated by 20 degrees about the left-right axis: with reslicing the model processes
// its axial slices, and the result lies on its own voxels.
void resliced(const nasoseg::Engine &engine) {
    nasoseg::Study study;
    for (int sequence = 0; sequence < 3; ++sequence) {
        std::vector<float> voxels(STUDY_VOXELS);
        study_fill(sequence, voxels.data());
        nasoseg_volume_view view = study_view(voxels.data());
        const double c = std::cos(0.349), s = std::sin(0.349);
        for (int column = 0; column < 4; ++column) {
            const double y = view.affine[4 + column], z = view.affine[8 + column];
            view.affine[4 + column] = c * y - s * z;
            view.affine[8 + column] = s * y + c * z;
        }
        study.set_volume(static_cast<nasoseg::Sequence>(sequence), view);
    }
    const nasoseg::Detection own = engine.detect(study);
    CHECK(own.slice_count() == STUDY_K && own.slice(1).storage_slice == 1);
    CHECK(study.warnings().at(0).find("20 degrees") != std::string::npos);
    const nasoseg::Detection axial = engine.detect(study, nasoseg::Options().reslice_axial(4.0));
    CHECK(axial.slice_count() > STUDY_K && axial.slice(1).storage_slice == SIZE_MAX);
    CHECK(std::abs(axial.slice(1).position_mm - axial.slice(0).position_mm - 4.0) < 1e-9);
    CHECK(study.warnings().at(0).find("resampled") != std::string::npos);
    const nasoseg::Segmentation segmentation = engine.segment(study, axial);
    CHECK(segmentation.size()[2] == STUDY_K && segmentation.slice_count() == axial.slice_count());
    for (const nasoseg::Contour &contour : segmentation.contour().all()) {
        CHECK(contour.storage_slice < STUDY_K);
    }
    // The study was re-aligned, which invalidates the detection on its own slices.
    CHECK(thrown([&] { (void)engine.segment(study, own); }) == nasoseg::ErrorCode::Argument);
}

void errors(const nasoseg::Engine &engine) {
    nasoseg::Study empty;
    CHECK(thrown([&] { (void)engine.detect(empty); }) == nasoseg::ErrorCode::Argument);
    CHECK(thrown([&] { empty.load(nasoseg::Sequence::T1, "/nowhere"); }) ==
          nasoseg::ErrorCode::Read);
    CHECK(thrown([&] { empty.set_dicom_source(nasoseg::Sequence::T1, {"/nowhere"}); }) ==
          nasoseg::ErrorCode::Argument);
    CHECK(thrown([] { nasoseg::Engine("/nowhere"); }) == nasoseg::ErrorCode::Bundle);
    CHECK(thrown([] { nasoseg::Options().device("gpu"); }) == nasoseg::ErrorCode::Argument);
    CHECK(thrown([] { nasoseg::Options().simplify_mm(-1.0); }) == nasoseg::ErrorCode::Argument);

    // Without exceptions.
    const nasoseg::Result<nasoseg::Engine> none =
        nasoseg::attempt([] { return nasoseg::Engine("/nowhere"); });
    CHECK(!none && none.error().code() == nasoseg::ErrorCode::Bundle &&
          none.error().what()[0] != '\0');
    nasoseg::Result<nasoseg::Detection> missing =
        nasoseg::attempt([&] { return engine.detect(empty); });
    CHECK(!missing.ok());
    CHECK(thrown([&] { (void)missing.value(); }) == nasoseg::ErrorCode::Argument);
    const nasoseg::Study study = make_study();
    nasoseg::Result<nasoseg::Detection> found =
        nasoseg::attempt([&] { return engine.detect(study); });
    CHECK(found.ok() && found.value().slice_count() == STUDY_K);
    const nasoseg::Detection taken = std::move(found).value();
    CHECK(taken.slice_count() == STUDY_K);
    const nasoseg::Result<nasoseg::Done> done = nasoseg::attempt([&] { make_study(); });
    CHECK(done.ok() && done.value() == nasoseg::Done{});
    const nasoseg::Result<int> foreign = nasoseg::attempt([]() -> int { throw Mine("mine"); });
    CHECK(foreign.error().code() == nasoseg::ErrorCode::Internal &&
          std::string(foreign.error().what()) == "mine");
}

void cancel(const nasoseg::Engine &engine) {
    const nasoseg::Study study = make_study();
    const nasoseg::Detection detection = engine.detect(study);

    nasoseg::Run refuses;
    refuses.on_progress(
        [](const nasoseg::Progress &p) { return p.stage != nasoseg::Stage::Segment; });
    CHECK(thrown([&] { (void)engine.segment(study, detection, {}, refuses); }) ==
          nasoseg::ErrorCode::Cancelled);

    // The call throws, unchanged and once, what the callback throws at any tick.
    int most = 0;
    for (int at = 1; at <= most || most == 0; ++at) {
        int ticks = 0;
        nasoseg::Run run;
        run.on_progress([&](const nasoseg::Progress &) {
            if (++ticks == at) {
                throw Mine("tick " + std::to_string(at));
            }
            return true;
        });
        // The state that the library points to survives moving the run.
        nasoseg::Run moved = std::move(run);
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

    nasoseg::Run run;
    {
        nasoseg::CancelToken token;
        run.cancelled_by(token);
        token.cancel();
        CHECK(token.is_cancelled());
        CHECK(thrown([&] { (void)engine.detect(study, {}, run); }) ==
              nasoseg::ErrorCode::Cancelled);
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
              }) == nasoseg::ErrorCode::Cancelled);
        other.join();
        token.reset();
    }
    (void)engine.detect(study, {}, run);
}

void moves() {
    // Destruction in any order, assignment over a live object, assignment to a moved-from object.
    auto engine = std::make_unique<nasoseg::Engine>(NASOSEG_TEST_BUNDLE, cpu());
    auto study = std::make_unique<nasoseg::Study>(make_study());
    nasoseg::Detection detection = engine->detect(*study);
    nasoseg::Segmentation a = engine->segment(*study, detection);
    const double volume = a.volume_mm3();
    detection.clear_box(3);
    nasoseg::Segmentation b = engine->segment(*study, detection);
    engine.reset();
    study.reset();
    std::swap(a, b);
    CHECK(b.volume_mm3() == volume && a.volume_mm3() < volume);
    a = std::move(b);
    b = std::move(a);
    CHECK(b.volume_mm3() == volume && b.contour().size() > 0);
}

} // namespace

int main(int argc, char **argv) {
    CHECK(argc == 2);
    CHECK(nasoseg::version() == NASOSEG_TEST_VERSION &&
          nasoseg::abi_version() >= NASOSEG_ABI_VERSION);
    CHECK(nasoseg::runtime_info().path[0] == '/');
    const nasoseg::Engine engine(NASOSEG_TEST_BUNDLE, cpu());
    CHECK(engine.model_name() == "nasoseg-micro" && engine.is_demo() && engine.grid() == 96 &&
          engine.device() == "cpu");
    CHECK(engine.model_hash().size() == 64 && !engine.model_version().empty() &&
          !engine.intended_use().empty() && engine.device_fallback().empty());
    pipeline(engine, argv[1]);
    resliced(engine);
    errors(engine);
    cancel(engine);
    moves();
    return 0;
}
