// SPDX-License-Identifier: GPL-2.0-or-later
//
// Entries of the journal as `vfbroker log` prints them.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "journal.hpp"
#include "output/table.hpp"
#include "proto/json.hpp"

namespace vfb::cli {

// `user_name`: of a uid.
Table log_table(const std::vector<LogEntry>& entries,
                const std::function<std::string(std::int64_t)>& user_name);
// {"events": [...]}; what an entry does not say is left out.
proto::Json log_json(const std::vector<LogEntry>& entries);

}  // namespace vfb::cli
