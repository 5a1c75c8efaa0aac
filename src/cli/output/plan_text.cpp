// SPDX-License-Identifier: GPL-2.0-or-later
#include "output/plan_text.hpp"

#include <fmt/format.h>

#include <charconv>
#include <optional>

#include "output/fields.hpp"
#include "output/table.hpp"

namespace vfb::cli {
namespace {

struct Line {
    std::string sign;
    std::string pf;                 // of a VF
    std::optional<unsigned> first;  // its index, and that of the last of a row
    unsigned last = 0;
    std::string address;
    std::string text;
};

std::string sign_of(const std::string& action) {
    if (action == "add") return "+";
    if (action == "remove") return "-";
    return "~";
}

Colour colour_of(const std::string& sign) {
    if (sign == "+") return Colour::green;
    if (sign == "-" || sign == "!") return Colour::red;
    return Colour::yellow;
}

Line line_of(const proto::Json& change) {
    Line line{.sign = sign_of(text(change, "action")),
              .pf = {},
              .first = {},
              .address = text(change, "address"),
              .text = text(change, "text")};
    const std::string subject = text(change, "subject");
    const auto slash = subject.find('/');
    if (slash == std::string::npos) return line;
    unsigned index = 0;
    std::from_chars(subject.data() + slash + 1, subject.data() + subject.size(), index);
    line.pf = subject.substr(0, slash);
    line.first = index;
    line.last = index;
    return line;
}

bool continues(const Line& before, const Line& next) {
    return before.first && next.first && before.sign == next.sign && before.text == next.text &&
           before.last + 1 == *next.first;
}

std::vector<Line> lines_of(const proto::Json& pf) {
    std::vector<Line> lines;
    for (const auto& change : elements(pf, "changes")) {
        Line line = line_of(change);
        if (!lines.empty() && continues(lines.back(), line))
            lines.back().last = line.last;
        else
            lines.push_back(std::move(line));
    }
    return lines;
}

std::string str(const Line& line) {
    if (!line.first) return line.text;
    if (line.last != *line.first)
        return fmt::format("{}/{}-{}: {}", line.pf, *line.first, line.last, line.text);
    const std::string where = line.address.empty() ? "" : fmt::format(" ({})", line.address);
    return fmt::format("{}/{}{}: {}", line.pf, *line.first, where, line.text);
}

std::string block_of(const proto::Json& pf, bool coloured) {
    const std::string address = text(pf, "address");
    std::string out = fmt::format("PF {}{}\n", text(pf, "name"),
                                  address.empty() ? "" : fmt::format(" ({})", address));
    const auto add = [&](const std::string& sign, std::string said) {
        make_printable(said);
        out += fmt::format("  {} {}\n", painted(sign, colour_of(sign), coloured), said);
    };
    for (const auto& line : lines_of(pf)) add(line.sign, str(line));
    for (const auto& refusal : elements(pf, "blocked")) {
        add("!", text(refusal, "message"));
        auto hint = text(refusal, "hint");
        make_printable(hint);
        if (!hint.empty()) out += fmt::format("    hint: {}\n", hint);
    }
    if (flag(pf, "refused")) out += "    all of this PF is left as it is until that is corrected\n";
    for (const auto& later : elements(pf, "later"))
        if (later.is_string()) add(">", later.get<std::string>());
    return out;
}

// What is changed of who may lease, a block for each pool.
std::string pool_blocks(const proto::Json& plan, bool coloured) {
    std::string out;
    std::string last;
    for (const auto& change : elements(plan, "pools")) {
        const std::string pool = text(change, "subject");
        if (pool != last) out += fmt::format("Pool {}\n", pool);
        last = pool;
        auto said = text(change, "text");
        make_printable(said);
        const auto sign = sign_of(text(change, "action"));
        out += fmt::format("  {} {}\n", painted(sign, colour_of(sign), coloured), said);
    }
    return out;
}

}  // namespace

std::string plan_text(const proto::Json& plan, bool coloured) {
    std::string out;
    std::size_t blocked = 0;
    std::size_t refused = 0;
    for (const auto& pf : elements(plan, "physicalFunctions")) {
        out += block_of(pf, coloured);
        (flag(pf, "refused") ? refused : blocked) += elements(pf, "blocked").size();
    }
    out += pool_blocks(plan, coloured);
    if (out.empty()) return "The machine is as the configuration says.\n";
    out += fmt::format("{} to add, {} to change, {} to remove", number(plan, "add"),
                       number(plan, "change"), number(plan, "remove"));
    if (blocked != 0) out += fmt::format(", {} in the way", blocked);
    if (refused != 0) out += fmt::format(", {} that this machine cannot do", refused);
    return out + "\n";
}

std::string progress_text(const proto::Json& progress) {
    std::string out;
    for (const auto& pf : elements(progress, "physicalFunctions")) {
        if (member(pf, "clean") == member(pf, "total")) continue;
        out += fmt::format("{}{}: {} of {} VFs clean", out.empty() ? "" : "; ", text(pf, "name"),
                           number(pf, "clean"), number(pf, "total"));
    }
    if (out.empty())
        out = fmt::format("{} of {} functions ready", number(progress, "done"),
                          number(progress, "total"));
    make_printable(out);
    return out;
}

bool has_changes(const proto::Json& plan) {
    if (!elements(plan, "pools").empty()) return true;
    for (const auto& pf : elements(plan, "physicalFunctions"))
        if (!elements(pf, "changes").empty() || !elements(pf, "blocked").empty()) return true;
    return false;
}

bool has_blocked(const proto::Json& plan) {
    for (const auto& pf : elements(plan, "physicalFunctions"))
        if (!elements(pf, "blocked").empty() && !flag(pf, "refused")) return true;
    return false;
}

bool has_later(const proto::Json& plan) {
    for (const auto& pf : elements(plan, "physicalFunctions"))
        if (!elements(pf, "later").empty()) return true;
    return false;
}

bool has_to_be_applied(const proto::Json& plan) {
    for (const auto& pf : elements(plan, "physicalFunctions"))
        if (!elements(pf, "changes").empty()) return true;
    return false;
}

}  // namespace vfb::cli
