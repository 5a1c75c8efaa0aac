// SPDX-License-Identifier: LGPL-2.1-or-later
#include "base/undo.hpp"

namespace vfb {

Undo::~Undo() {
    for (const Error& error : take_back()) reporter_(error);
}

std::vector<Error> Undo::take_back() {
    std::vector<Error> failures;
    while (!steps_.empty()) {
        const Step step = std::move(steps_.back());
        steps_.pop_back();
        if (auto result = step(); !result) failures.push_back(std::move(result).error());
    }
    return failures;
}

std::unexpected<Error> Undo::fail(Error error) {
    for (const Error& failure : take_back()) {
        reporter_(failure);
        error.reason += (error.reason.empty() ? "" : "; ");
        error.reason += "and undoing it failed: " + failure.message();
    }
    return std::unexpected(std::move(error));
}

}  // namespace vfb
