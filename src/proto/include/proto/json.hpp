// SPDX-License-Identifier: LGPL-2.1-or-later
//
// The JSON of the wire. The only place that names the JSON library; members keep their order, so
// that what the CLI prints is stable.
#pragma once

#include <nlohmann/json.hpp>

namespace vfb::proto {
using Json = nlohmann::ordered_json;
}  // namespace vfb::proto
