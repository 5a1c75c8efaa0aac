// SPDX-License-Identifier: GPL-2.0-or-later
//
// The reply to Explain as `vfbroker explain` prints it: the verdict first, then what it rests on.
#pragma once

#include <string>

#include "output/table.hpp"
#include "proto/json.hpp"

namespace vfb::cli {

std::string set_out_explanation(const proto::Json& reply, const Screen& screen);

}  // namespace vfb::cli
