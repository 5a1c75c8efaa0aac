// SPDX-License-Identifier: GPL-2.0-or-later
//
// Runs vfbroker as a user would, and recorded answers for it.
#pragma once

#include <string>
#include <vector>

#include "fake_broker.hpp"

namespace vfb::test {

struct Outcome {
    std::string out;
    std::string err;
    int status = -1;  // exit status; 128 and the signal when it was killed
    pid_t pid = 0;
};

// Runs vfbroker with `arguments`, a plain environment and no terminal.
Outcome run_program(const std::vector<std::string>& arguments);
// The whole reply in tests/cli/replies/NAME.json.
proto::Json recorded(const std::string& name);
std::string read_file(const std::string& path);

}  // namespace vfb::test
