// The three MR sequences of one patient. nasoseg/nasoseg.hpp includes it.

#ifndef NASOSEG_STUDY_HPP
#define NASOSEG_STUDY_HPP

#include <nasoseg.h>
#include <nasoseg/run.hpp>
#include <nasoseg/view.hpp>

#include <string>
#include <vector>

namespace nasoseg {

// The three MR sequences of one patient.
class Study {
public:
    Study() {
        nasoseg_study *raw = nullptr;
        detail::call(nasoseg_study_new, &raw);
        handle_.reset(raw);
    }

    // Copies a sequence from the caller's memory.
    void set_volume(Sequence sequence, const nasoseg_volume_view &view, const Options &options = {},
                    const Run &run = {}) {
        detail::call_with(run, nasoseg_study_set_volume, handle_.get(),
                          static_cast<std::uint32_t>(sequence), &view, options.get());
    }

    // Reads a sequence: one DICOM folder, one NIfTI-1 or NRRD file, or the DICOM files of one
    // series. Paths are UTF-8.
    void load(Sequence sequence, const std::vector<std::string> &paths, const Options &options = {},
              const Run &run = {}) {
        const std::vector<const char *> raw = pointers(paths);
        detail::call_with(run, nasoseg_study_load, handle_.get(),
                          static_cast<std::uint32_t>(sequence), raw.data(), raw.size(),
                          options.get());
    }
    void load(Sequence sequence, const std::string &path, const Options &options = {},
              const Run &run = {}) {
        load(sequence, std::vector<std::string>{path}, options, run);
    }

    // Names the DICOM files that a sequence in memory came from, for an RT Structure Set on the
    // original images.
    void set_dicom_source(Sequence sequence, const std::vector<std::string> &paths,
                          const Options &options = {}, const Run &run = {}) {
        const std::vector<const char *> raw = pointers(paths);
        detail::call_with(run, nasoseg_study_set_dicom_source, handle_.get(),
                          static_cast<std::uint32_t>(sequence), raw.data(), raw.size(),
                          options.get());
    }

    // Warnings for the user, known after Engine::detect.
    [[nodiscard]] std::vector<std::string> warnings() const {
        std::vector<std::string> all;
        const std::size_t count = nasoseg_study_warning_count(handle_.get());
        for (std::size_t at = 0; at < count; ++at) {
            all.emplace_back(nasoseg_study_warning(handle_.get(), at));
        }
        return all;
    }

    [[nodiscard]] const nasoseg_study *get() const noexcept { return handle_.get(); }

private:
    static std::vector<const char *> pointers(const std::vector<std::string> &paths) {
        std::vector<const char *> raw;
        raw.reserve(paths.size());
        for (const std::string &path : paths) {
            raw.push_back(path.c_str());
        }
        return raw;
    }

    detail::Owned<nasoseg_study, nasoseg_study_free> handle_;
};

} // namespace nasoseg

#endif // NASOSEG_STUDY_HPP
