// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Varlink calls and replies (varlink.org, "Method Call").
#include "proto/connection.hpp"

namespace vfb::proto {
namespace {

std::unexpected<Error> malformed(std::string reason) {
    return fail(Code::protocol, "read a call", {}, std::move(reason));
}

// A missing or null flag is false.
Result<bool> flag(const Json& body, const char* name) {
    const auto found = body.find(name);
    if (found == body.end() || found->is_null()) return false;
    if (!found->is_boolean()) return malformed(std::string(name) + " is no boolean");
    return found->get<bool>();
}

}  // namespace

Result<Call> parse_call(const Json& body) {
    if (!body.is_object()) return malformed("it is not a JSON object");
    const auto method = body.find("method");
    if (method == body.end() || !method->is_string()) return malformed("it names no method");
    Call call{.method = method->get<std::string>(), .parameters = Json::object()};
    if (call.method.find('.') == std::string::npos)
        return malformed("the method has no interface: " + call.method);
    const auto parameters = body.find("parameters");
    if (parameters != body.end() && !parameters->is_null()) {
        if (!parameters->is_object()) return malformed("the parameters are not a JSON object");
        call.parameters = *parameters;
    }
    VFB_TRY(call.oneway, flag(body, "oneway"));
    VFB_TRY(call.more, flag(body, "more"));
    VFB_TRY(const bool upgrade, flag(body, "upgrade"));
    if (upgrade) return malformed("this connection cannot be upgraded");
    if (call.oneway && call.more) return malformed("it is oneway and asks for more");
    return call;
}

Json make_reply(Json parameters, bool continues) {
    Json body = Json::object();
    body["parameters"] = std::move(parameters);
    if (continues) body["continues"] = true;
    return body;
}

Json make_error(std::string_view name, Json parameters) {
    Json body = Json::object();
    body["error"] = name;
    body["parameters"] = std::move(parameters);
    return body;
}

}  // namespace vfb::proto
