// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Guardian: a child process that settles what this process leaves half done when it is killed.
//
// It waits, does nothing as long as this process lives, and ends with dismiss(). It has a session
// of its own, so that what ends this process from a terminal does not end it, too. The process must
// have one thread.
#pragma once

#include <sys/types.h>

#include <functional>

#include "base/result.hpp"
#include "base/unique_fd.hpp"

namespace vfb {

class Guardian {
public:
    // In the child, `prepare` runs at once, to close what must not stay open there, and `rescue`
    // when this process has ended without dismiss(). What else is open here stays open there.
    static Result<Guardian> start(const std::function<void()>& prepare,
                                  const std::function<void()>& rescue);
    Guardian(Guardian&&) noexcept = default;
    Guardian& operator=(Guardian&&) = delete;
    ~Guardian() { dismiss(); }

    // Ends it, and returns when it has ended.
    void dismiss();

private:
    Guardian(pid_t child, UniqueFd alive) : child_(child), alive_(std::move(alive)) {}

    pid_t child_;
    UniqueFd alive_;
};

}  // namespace vfb
