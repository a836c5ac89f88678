// A model, opened; the ONNX Runtime that runs it. nasoseg/nasoseg.hpp includes it.

#ifndef NASOSEG_ENGINE_HPP
#define NASOSEG_ENGINE_HPP

#include <nasoseg.h>
#include <nasoseg/segmentation.hpp>

#include <string>
#include <string_view>

namespace nasoseg {

// What an engine has run: the fields of nasoseg_work.
using Work = nasoseg_work;

// A model bundle, opened on a device. Any number of threads may share an engine.
class Engine {
public:
    explicit Engine(const std::string &bundle_dir, const Options &options = {},
                    const Run &run = {}) {
        handle_.reset(detail::make_with<nasoseg_engine>(run, nasoseg_engine_new, bundle_dir.c_str(),
                                                        options.get()));
    }

    // Strings are borrowed from the engine.
    [[nodiscard]] std::string_view model_name() const noexcept {
        return nasoseg_engine_model_name(get());
    }
    [[nodiscard]] std::string_view model_version() const noexcept {
        return nasoseg_engine_model_version(get());
    }
    [[nodiscard]] std::string_view model_hash() const noexcept {
        return nasoseg_engine_model_hash(get());
    }
    // What the model may be used for. Show it beside every result.
    [[nodiscard]] std::string_view intended_use() const noexcept {
        return nasoseg_engine_intended_use(get());
    }
    // Whether the model is a demonstration, no result of which may be called a target.
    [[nodiscard]] bool is_demo() const noexcept { return nasoseg_engine_is_demo(get()); }
    // The device in use, and why "auto" fell back to the CPU.
    [[nodiscard]] std::string_view device() const noexcept { return nasoseg_engine_device(get()); }
    [[nodiscard]] std::string_view device_fallback() const noexcept {
        return nasoseg_engine_device_fallback(get());
    }
    // Side of the model's square grid, pixels.
    [[nodiscard]] std::size_t grid() const noexcept { return nasoseg_engine_grid(get()); }
    [[nodiscard]] std::size_t action_count() const noexcept {
        return nasoseg_engine_action_count(get());
    }
    // For example "zoom width".
    [[nodiscard]] std::string_view action_name(std::size_t action) const noexcept {
        return nasoseg_engine_action_name(get(), action);
    }
    // What the engine has run since it was made, for measurements.
    [[nodiscard]] Work work() const {
        Work work{};
        work.struct_size = sizeof work;
        detail::call(nasoseg_engine_get_work, get(), &work);
        return work;
    }

    // Stage one: a box on every slice.
    [[nodiscard]] Detection detect(const Study &study, const Options &options = {},
                                   const Run &run = {}) const {
        return Detection(detail::make_with<nasoseg_detection>(run, nasoseg_detect, get(),
                                                              study.get(), options.get()));
    }
    // A detection of the same study and model that Detection::write wrote, edited or not.
    [[nodiscard]] Detection read_detection(const Study &study, const std::string &file,
                                           const Options &options = {}, const Run &run = {}) const {
        return Detection(detail::make_with<nasoseg_detection>(
            run, nasoseg_detection_read, get(), study.get(), file.c_str(), options.get()));
    }
    // Stage two: the mask in every box.
    [[nodiscard]] Segmentation segment(const Study &study, const Detection &detection,
                                       const Options &options = {}, const Run &run = {}) const {
        return Segmentation(detail::make_with<nasoseg_segmentation>(
            run, nasoseg_segment, get(), study.get(), detection.get(), options.get()));
    }

    [[nodiscard]] const nasoseg_engine *get() const noexcept { return handle_.get(); }

private:
    detail::Owned<nasoseg_engine, nasoseg_engine_free> handle_;
};

// Writes the preview: a PNG with the three sequences, the boxes and contours of every slice.
inline void write_preview(const Detection &detection, const Segmentation &segmentation,
                          const Contours &contours, const std::string &file,
                          const Options &options = {}, const Run &run = {}) {
    detail::call_with(run, nasoseg_write_preview, detection.get(), segmentation.get(),
                      contours.get(), file.c_str(), options.get());
}

// The ONNX Runtime of this process, loaded if necessary.
struct RuntimeInfo {
    std::string_view version;
    std::string_view path;
    bool has_cuda;
};

[[nodiscard]] inline RuntimeInfo runtime_info(const Options &options = {}) {
    nasoseg_runtime_info info{};
    info.struct_size = sizeof info;
    detail::call(nasoseg_runtime_info_get, options.get(), &info);
    return {info.version, info.path, info.has_cuda};
}

} // namespace nasoseg

#endif // NASOSEG_ENGINE_HPP
