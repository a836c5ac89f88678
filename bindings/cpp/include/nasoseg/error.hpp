// Exceptions, and results for callers without exceptions. nasoseg/nasoseg.hpp includes it.

#ifndef NASOSEG_ERROR_HPP
#define NASOSEG_ERROR_HPP

#include <nasoseg.h>
#include <nasoseg/types.hpp>

#include <exception>
#include <optional>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>
#include <variant>

namespace nasoseg {

// A call that failed. what() is one paragraph: the input, what was found, what was expected, what
// to do.
class Error : public std::runtime_error {
public:
    Error(ErrorCode code, const std::string &message) : std::runtime_error(message), code_(code) {}
    [[nodiscard]] ErrorCode code() const noexcept { return code_; }

private:
    ErrorCode code_;
};

// A call that was cancelled by a token or by a callback that returned false. Every object stays
// usable.
class Cancelled : public Error {
public:
    explicit Cancelled(const std::string &message) : Error(ErrorCode::Cancelled, message) {}
};

// A value or an error.
template <class T> class [[nodiscard]] Result {
public:
    Result(T value) : content_(std::move(value)) {}
    Result(Error error) : content_(std::move(error)) {}

    [[nodiscard]] bool ok() const noexcept { return content_.index() == 0; }
    explicit operator bool() const noexcept { return ok(); }

    // The value; throws the error if there is none.
    [[nodiscard]] T &value() & {
        expect();
        return *std::get_if<0>(&content_);
    }
    [[nodiscard]] const T &value() const & {
        expect();
        return *std::get_if<0>(&content_);
    }
    [[nodiscard]] T value() && {
        expect();
        return std::move(*std::get_if<0>(&content_));
    }
    // The error; throws std::bad_variant_access if there is none.
    [[nodiscard]] const Error &error() const { return std::get<1>(content_); }

private:
    void expect() const {
        if (const Error *error = std::get_if<1>(&content_)) {
            if (error->code() == ErrorCode::Cancelled) {
                throw Cancelled(error->what());
            }
            throw Error(*error);
        }
    }

    std::variant<T, Error> content_;
};

// The value of a function that returns void.
using Done = std::monostate;

// Calls `work`, which uses this library, and turns its exception into a Result: an error of the
// library as it is, any other (such as one that a progress callback threw) as ErrorCode::Internal
// with its text. Nothing is thrown.
template <class Work> [[nodiscard]] auto attempt(Work &&work) noexcept {
    using Given = std::invoke_result_t<Work>;
    using Kept = std::conditional_t<std::is_void_v<Given>, Done, Given>;
    try {
        if constexpr (std::is_void_v<Given>) {
            std::forward<Work>(work)();
            return Result<Kept>(Done{});
        } else {
            return Result<Kept>(std::forward<Work>(work)());
        }
    } catch (const Error &error) {
        return Result<Kept>(Error(error));
    } catch (const std::exception &error) {
        return Result<Kept>(Error(ErrorCode::Internal, error.what()));
    } catch (...) {
        return Result<Kept>(Error(ErrorCode::Internal, "an exception of an unknown type"));
    }
}

} // namespace nasoseg

#endif // NASOSEG_ERROR_HPP
