// SPDX-License-Identifier: GPL-2.0-or-later
//
// Report: collects the findings of one check. Its subject is what the check is about unless another
// one is said.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "base/finding.hpp"

namespace vfb::doctor {

class Report {
public:
    Report(std::string check, std::string subject, std::vector<Finding>& all)
        : check_(std::move(check)), subject_(std::move(subject)), all_(all) {}

    void pass(std::string text) { add(Finding::Level::pass, subject_, std::move(text), {}); }
    void note(std::string text, std::string hint) {
        add(Finding::Level::note, subject_, std::move(text), std::move(hint));
    }
    void warn(std::string text, std::string hint) {
        add(Finding::Level::warn, subject_, std::move(text), std::move(hint));
    }
    void fail(std::string text, std::string hint) {
        add(Finding::Level::fail, subject_, std::move(text), std::move(hint));
    }
    void add(Finding::Level level, std::string subject, std::string text, std::string hint) {
        all_.push_back({.level = level,
                        .check = check_,
                        .subject = std::move(subject),
                        .text = std::move(text),
                        .hint = std::move(hint)});
        ++count_;
    }
    // Nothing was found so far: time to say that all is well.
    [[nodiscard]] bool empty() const { return count_ == 0; }

private:
    std::string check_;
    std::string subject_;
    std::vector<Finding>& all_;
    unsigned count_ = 0;
};

}  // namespace vfb::doctor
