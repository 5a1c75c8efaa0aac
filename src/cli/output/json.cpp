// SPDX-License-Identifier: GPL-2.0-or-later
#include "output/json.hpp"

#include "proto/connection.hpp"

namespace vfb::cli {
namespace {

// The end of a string that starts at `at`, behind its closing quote.
std::size_t end_of_string(std::string_view text, std::size_t at) {
    for (++at; at < text.size() && text[at] != '"'; ++at)
        if (text[at] == '\\') ++at;
    return std::min(at + 1, text.size());
}

}  // namespace

std::string indent(std::string_view text) {
    std::string out;
    out.reserve(text.size() * 2);
    std::size_t level = 0;
    const auto new_line = [&] {
        out += '\n';
        out.append(2 * level, ' ');
    };
    for (std::size_t at = 0; at < text.size();) {
        const char byte = text[at];
        if (byte == '"') {
            const auto end = end_of_string(text, at);
            out += text.substr(at, end - at);
            at = end;
            continue;
        }
        ++at;
        if (byte == '{' || byte == '[') {
            out += byte;
            ++level;
            const auto next = text.find_first_not_of(" \n\t\r", at);
            const bool empty =
                next != std::string_view::npos && (text[next] == '}' || text[next] == ']');
            if (!empty) new_line();
        } else if (byte == '}' || byte == ']') {
            const bool empty = out.ends_with('{') || out.ends_with('[');
            level -= level > 0 ? 1 : 0;
            if (!empty) new_line();
            out += byte;
        } else if (byte == ',') {
            out += byte;
            new_line();
        } else if (byte == ':') {
            out += ": ";
        } else if (byte != ' ' && byte != '\n' && byte != '\t' && byte != '\r') {
            out += byte;
        }
    }
    out += '\n';
    return out;
}

std::string json_text(const proto::Json& value) {
    return indent(value.dump(-1, ' ', false, proto::Json::error_handler_t::replace));
}

std::string error_json(const Error& error) {
    return json_text({{"error", proto::to_json(error)}});
}

}  // namespace vfb::cli
