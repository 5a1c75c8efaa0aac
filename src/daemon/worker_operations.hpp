// SPDX-License-Identifier: GPL-2.0-or-later
//
// What a worker can do, by name.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "base/unique_fd.hpp"
#include "broker/device_work.hpp"
#include "proto/json.hpp"

namespace vfb::daemon {

struct WorkerReply {
    proto::Json parameters = proto::Json::object();
    std::vector<UniqueFd> descriptors;
};

// Sends a part of a long answer.
using SendPart = std::function<void(proto::Json)>;

// Runs one operation; Code::invalid for one that does not exist. Any thread.
Result<WorkerReply> run_operation(broker::DeviceWork& work, const SysRoot& root,
                                  const std::string& operation, const proto::Json& parameters,
                                  const SendPart& part);

}  // namespace vfb::daemon
