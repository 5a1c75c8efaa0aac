// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Undo: several steps that must all hold, or none.
//
// Each step that succeeded adds how to take it back. `fail(error)` takes everything back in
// reverse order and returns the error to report, with what could not be taken back said in it.
// `commit()` keeps everything. An Undo destroyed without either takes the steps back too, and
// hands failures to the reporter given at construction: a failed undo is never swallowed.
// One thread at a time.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "base/result.hpp"

namespace vfb {

class Undo {
public:
    using Step = std::function<Result<>()>;
    using Reporter = std::function<void(const Error&)>;

    explicit Undo(Reporter reporter) : reporter_(std::move(reporter)) {}
    Undo(const Undo&) = delete;
    Undo& operator=(const Undo&) = delete;
    ~Undo();

    void add(Step step) { steps_.push_back(std::move(step)); }
    void commit() { steps_.clear(); }
    [[nodiscard]] std::unexpected<Error> fail(Error error);

private:
    // Runs all steps, last first, going on past failures.
    std::vector<Error> take_back();

    Reporter reporter_;
    std::vector<Step> steps_;
};

}  // namespace vfb
