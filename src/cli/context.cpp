// SPDX-License-Identifier: GPL-2.0-or-later
#include "context.hpp"

#include <unistd.h>

#include <cerrno>

#include "exit_codes.hpp"
#include "output/json.hpp"

namespace vfb::cli {

Result<int> print(std::string_view text) {
    while (!text.empty()) {
        const ssize_t count = ::write(STDOUT_FILENO, text.data(), text.size());
        if (count < 0 && errno == EINTR) continue;
        if (count < 0) return fail_errno(errno, "write to standard output", {});
        text.remove_prefix(static_cast<std::size_t>(count));
    }
    return kOk;
}

Result<int> print_table(const Context& context, Table table) {
    if (!context.columns.empty()) VFB_CHECK(table.choose(context.columns));
    return print(table.str(context.screen()));
}

Result<int> print_reply(const Context& context, std::string_view method,
                        const proto::Json& parameters) {
    VFB_TRY(auto client, context.connect());
    VFB_TRY(const auto reply, client.call_text(method, parameters));
    return print(indent(reply));
}

}  // namespace vfb::cli
