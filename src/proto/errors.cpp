// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Errors on the wire: the parameters of io.vfbroker.Failed.
#include <limits>

#include "proto/connection.hpp"

namespace vfb::proto {
namespace {

std::string text_of(const Json& parameters, const char* name) {
    const auto found = parameters.find(name);
    return found != parameters.end() && found->is_string() ? found->get<std::string>() : "";
}

int number_of(const Json& parameters, const char* name) {
    const auto found = parameters.find(name);
    if (found == parameters.end() || !found->is_number_integer()) return 0;
    const auto value = found->get<std::int64_t>();
    return value > 0 && value < std::numeric_limits<int>::max() ? static_cast<int>(value) : 0;
}

// Error::message() is built from operation, reason and errno. This finds the reason that gives
// `message` again, and where there is none makes the whole message the reason.
void set_message(Error& error, const std::string& message) {
    const std::string start = "cannot " + error.operation;
    if (error.operation.empty() || !message.starts_with(start)) {
        error.operation.clear();
        error.reason = message;
    } else {
        error.reason = message.substr(start.size());
        if (error.reason.starts_with(": ")) error.reason.erase(0, 2);
    }
    if (error.errnum == 0) return;
    const std::string number = errno_text(error.errnum);
    if (error.reason == number)
        error.reason.clear();
    else if (error.reason.ends_with(": " + number))
        error.reason.erase(error.reason.size() - number.size() - 2);
}

}  // namespace

Json to_json(const Error& error) {
    return Json::object({{"code", error.code_name()},
                         {"errno", error.errnum},
                         {"operation", error.operation},
                         {"subject", error.subject},
                         {"message", error.message()},
                         {"hint", error.hint}});
}

Error error_from_json(const Json& parameters) {
    if (!parameters.is_object()) return error_from_json(Json::object());
    Error error{.code = code_from_string(text_of(parameters, "code")),
                .errnum = number_of(parameters, "errno"),
                .operation = text_of(parameters, "operation"),
                .subject = text_of(parameters, "subject"),
                .reason = {},
                .hint = text_of(parameters, "hint"),
                .cause = nullptr};
    std::string message = text_of(parameters, "message");
    if (message.empty()) message = "the peer gave no reason";
    set_message(error, message);
    if (error.message() != message) {
        // The errno stands before a cause: it is in the text, and would be added again.
        error.errnum = 0;
        set_message(error, message);
    }
    if (error.message() != message) {
        error.operation.clear();
        error.reason = message;
    }
    return error;
}

}  // namespace vfb::proto
