// SPDX-License-Identifier: LGPL-2.1-or-later
#include "answers.hpp"

namespace vfb::client {

using proto::Json;

std::unexpected<Error> unusable(std::string reason) {
    return fail(Code::protocol, "read vfbrokerd's answer", {}, std::move(reason),
                "vfbrokerd and its clients may differ in version");
}

Result<std::string> text(const Json& object, const char* name) {
    const auto found = object.find(name);
    if (found == object.end() || !found->is_string())
        return unusable(std::string("it has no text `") + name + "`");
    return found->get<std::string>();
}

Result<std::int64_t> number(const Json& object, const char* name) {
    const auto found = object.find(name);
    if (found == object.end() || !found->is_number_integer())
        return unusable(std::string("it has no number `") + name + "`");
    return found->get<std::int64_t>();
}

Result<const Json*> array(const Json& object, const char* name) {
    const auto found = object.find(name);
    if (found == object.end() || !found->is_array())
        return unusable(std::string("it has no list `") + name + "`");
    return &*found;
}

}  // namespace vfb::client
