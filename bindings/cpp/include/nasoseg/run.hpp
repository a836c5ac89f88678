// Progress and cancel. nasoseg/nasoseg.hpp includes it.

#ifndef NASOSEG_RUN_HPP
#define NASOSEG_RUN_HPP

#include <nasoseg.h>
#include <nasoseg/options.hpp>

#include <exception>
#include <functional>
#include <memory>
#include <string_view>

namespace nasoseg {

// A flag that cancels calls within one model run. Any thread may call `cancel`, and so may a signal
// handler, on a token that outlives it.
class CancelToken {
public:
    CancelToken() {
        nasoseg_cancel_token *raw = nullptr;
        detail::call(nasoseg_cancel_token_new, &raw);
        handle_.reset(raw);
    }

    void cancel() const noexcept { nasoseg_cancel_token_cancel(handle_.get()); }
    void reset() const noexcept { nasoseg_cancel_token_reset(handle_.get()); }
    [[nodiscard]] bool is_cancelled() const noexcept {
        return nasoseg_cancel_token_is_cancelled(handle_.get());
    }
    [[nodiscard]] const nasoseg_cancel_token *get() const noexcept { return handle_.get(); }

private:
    detail::Owned<nasoseg_cancel_token, nasoseg_cancel_token_free> handle_;
};

// How far a stage is: `done` of `total` units, never decreasing within a stage of one call.
struct Progress {
    Stage stage;
    std::size_t done;
    std::size_t total;

    [[nodiscard]] std::string_view stage_name() const noexcept {
        return nasoseg_stage_name(static_cast<std::uint32_t>(stage));
    }
};

// Receives the progress of long calls and cancels them; it may serve many calls, one at a time. A
// default-constructed Run does neither.
class Run {
public:
    // Returning false cancels. So does an exception, which the call then throws. The callback must
    // not use the objects of the call.
    using Callback = std::function<bool(const Progress &)>;

    Run() noexcept = default;

    // Sets the callback; an empty one removes it.
    Run &on_progress(Callback callback) {
        make();
        state_->callback = std::move(callback);
        detail::call(nasoseg_run_set_progress, handle_.get(),
                     state_->callback ? &Run::report : nullptr, static_cast<void *>(state_.get()));
        return *this;
    }

    // Sets the token, which may be destroyed before the run; then nothing can set it any more.
    Run &cancelled_by(const CancelToken &token) {
        make();
        detail::call(nasoseg_run_set_cancel, handle_.get(), token.get());
        return *this;
    }

    [[nodiscard]] const nasoseg_run *get() const noexcept { return handle_.get(); }

    // Throws, once, what the callback threw during the last call.
    void rethrow() const {
        if (state_ && state_->thrown) {
            std::rethrow_exception(std::exchange(state_->thrown, nullptr));
        }
    }

private:
    // On the heap: the library keeps its address, which moving the Run must not change.
    struct State {
        Callback callback;
        std::exception_ptr thrown;
    };

    void make() {
        if (!handle_) {
            nasoseg_run *raw = nullptr;
            detail::call(nasoseg_run_new, &raw);
            handle_.reset(raw);
            state_ = std::make_unique<State>();
        }
    }

    // Called by the library. Nothing may unwind through it.
    static bool report(const nasoseg_progress *progress, void *user_data) noexcept {
        auto *state = static_cast<State *>(user_data);
        try {
            return state->callback(
                Progress{static_cast<Stage>(progress->stage), progress->done, progress->total});
        } catch (...) {
            state->thrown = std::current_exception();
            return false;
        }
    }

    std::unique_ptr<State> state_;
    detail::Owned<nasoseg_run, nasoseg_run_free> handle_;
};

namespace detail {

template <class Function, class... Arguments>
void call_with(const Run &run, Function function, Arguments... arguments) {
    nasoseg_error *raw = nullptr;
    const std::uint32_t status = function(arguments..., run.get(), &raw);
    const ErrorHandle error(raw);
    run.rethrow();
    if (status != NASOSEG_OK) {
        fail(status, error.get());
    }
}

// For functions with a new handle between run and error.
template <class Handle, class Function, class... Arguments>
Handle *make_with(const Run &run, Function function, Arguments... arguments) {
    Handle *made = nullptr;
    nasoseg_error *raw = nullptr;
    const std::uint32_t status = function(arguments..., run.get(), &made, &raw);
    const ErrorHandle error(raw);
    if (status != NASOSEG_OK) {
        run.rethrow();
        fail(status, error.get());
    }
    return made;
}

} // namespace detail

} // namespace nasoseg

#endif // NASOSEG_RUN_HPP
