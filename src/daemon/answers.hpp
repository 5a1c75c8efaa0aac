// SPDX-License-Identifier: GPL-2.0-or-later
//
// How the methods of Service answer.
#pragma once

#include <string>
#include <vector>

#include "parameters.hpp"
#include "server.hpp"

namespace vfb::daemon {

inline proto::Text dump(const proto::Json& body) {
    return std::make_shared<const std::string>(
        body.dump(-1, ' ', false, proto::Json::error_handler_t::replace));
}

inline void succeed(const Request& request, proto::Json parameters,
                    std::vector<UniqueFd> descriptors = {}) {
    request.reply(dump(proto::make_reply(std::move(parameters))), std::move(descriptors));
}

inline void refuse(const Request& request, const Error& error) {
    if (request.refused) request.refused(error);
    request.reply(dump(proto::make_error(proto::kFailed, proto::to_json(error))), {});
}

inline void refuse_parameter(const Request& request, const std::string& parameter) {
    request.reply(
        dump(proto::make_error("org.varlink.service.InvalidParameter", {{"parameter", parameter}})),
        {});
}

// Whether all parameters were in order; refuses the call if not.
inline bool accepted(const Request& request, const Parameters& parameters) {
    const auto fault = parameters.fault();
    if (fault) refuse_parameter(request, *fault);
    return !fault;
}

}  // namespace vfb::daemon
