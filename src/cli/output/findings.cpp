// SPDX-License-Identifier: GPL-2.0-or-later
#include "output/findings.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "output/fields.hpp"
#include "output/table.hpp"

namespace vfb::cli {
namespace {

struct Shown {
    std::string_view word;
    Colour colour = Colour::none;
};

// A level of a newer daemon is shown as it is.
Shown shown(const std::string& level) {
    if (level == "pass") return {.word = "PASS", .colour = Colour::green};
    if (level == "note") return {.word = "NOTE", .colour = Colour::blue};
    if (level == "warn") return {.word = "WARN", .colour = Colour::yellow};
    if (level == "fail") return {.word = "FAIL", .colour = Colour::red};
    return {.word = level, .colour = Colour::none};
}

std::string printable(const proto::Json& finding, const char* name) {
    std::string value = text(finding, name);
    make_printable(value);
    return value;
}

}  // namespace

std::string set_out_findings(const std::vector<proto::Json>& findings, const std::string& subject,
                             bool coloured) {
    std::size_t width = 0;
    for (const auto& finding : findings) width = std::max(width, text(finding, "check").size());
    std::string out;
    for (const auto& finding : findings) {
        const auto level = text(finding, "level");
        const auto [word, colour] = shown(level);
        const auto said = printable(finding, "text");
        auto about = printable(finding, "subject");
        // What the text names, or everything is about, need not stand before it.
        if (about == "host" || about == subject || said.contains(about)) about.clear();
        out += fmt::format("{}  {:<{}}  {}{}\n", painted(word, colour, coloured),
                           printable(finding, "check"), width, about.empty() ? "" : about + ": ",
                           said);
        if (const auto hint = printable(finding, "hint"); !hint.empty())
            out += fmt::format("      {:<{}}  hint: {}\n", "", width, hint);
    }
    return out;
}

}  // namespace vfb::cli
