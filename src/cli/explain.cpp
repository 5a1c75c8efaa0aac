// SPDX-License-Identifier: GPL-2.0-or-later
#include "explain.hpp"

#include <fmt/format.h>

#include "output/fields.hpp"
#include "output/findings.hpp"
#include "output/table.hpp"

namespace vfb::cli {
namespace {

using proto::Json;

std::string verdict_of(const Json& verdict, bool coloured) {
    const bool leasable = flag(verdict, "leasable");
    std::string why = text(verdict, "text");
    make_printable(why);
    std::string out = fmt::format(
        "can be leased: {}: {}\n",
        painted(leasable ? "yes" : "no", leasable ? Colour::green : Colour::red, coloured), why);
    if (auto hint = text(verdict, "hint"); !hint.empty()) {
        make_printable(hint);
        out += fmt::format("hint: {}\n", hint);
    }
    return out;
}

std::string uses_of(const Json& group_member) {
    if (!member(group_member, "uses").is_array()) return "not known";
    std::string all;
    for (const auto& use : elements(group_member, "uses")) {
        if (!all.empty()) all += "; ";
        all += text(use, "text");
    }
    return all;
}

std::string members_of(const Json& reply, const Screen& screen) {
    Table table(columns_of("explain: group"));
    for (const auto& member : elements(reply, "members"))
        table.row(
            {{.text = text(member, "address")},
             {.text = text(member, "driver")},
             {.text = text(member, "name")},
             {.text = flag(member, "bridge") ? "(bridge: does not count)" : uses_of(member)}});
    if (table.empty()) return {};
    const auto type = text(reply, "groupType");
    return fmt::format("\nIOMMU group {}{}\n{}", number(reply, "group"),
                       type.empty() ? "" : " (" + type + ")", table.str(screen));
}

// A control that a bridge does not have counts as on where it has ACS at all.
Cell control(const Json& controls, const char* name) {
    const auto state = text(controls, name);
    if (state == "on") return {.text = state, .colour = Colour::green};
    if (state == "off") return {.text = state, .colour = Colour::red};
    if (state == "not-implemented") return {.text = "absent"};
    return {.text = "?"};
}

Cell isolates(const Json& bridge) {
    const auto answer = yes_no(bridge, "isolates");
    if (answer == "yes") return {.text = answer, .colour = Colour::green};
    if (answer == "no") return {.text = answer, .colour = Colour::red};
    return {.text = "?"};
}

std::string bridges_of(const Json& reply, const Screen& screen) {
    Table table(columns_of("explain: bridges"));
    for (const auto& bridge : elements(reply, "bridges")) {
        const auto acs = yes_no(bridge, "acs");
        const auto& controls = member(bridge, "controls");
        table.row({{.text = text(bridge, "address")},
                   {.text = text(bridge, "kind")},
                   {.text = number(bridge, "group")},
                   {.text = acs.empty() ? "?" : acs},
                   control(controls, "sv"),
                   control(controls, "rr"),
                   control(controls, "cr"),
                   control(controls, "uf"),
                   isolates(bridge),
                   {.text = text(bridge, "name")}});
    }
    return table.empty() ? "" : "\nbridges up to the root\n" + table.str(screen);
}

}  // namespace

std::string set_out_explanation(const Json& reply, const Screen& screen) {
    const auto& function = member(reply, "function");
    std::string title = fmt::format("{}  {}", text(function, "address"), text(function, "name"));
    make_printable(title);
    return title + "\n" + verdict_of(member(reply, "verdict"), screen.coloured) +
           members_of(reply, screen) + bridges_of(reply, screen) + "\nfindings\n" +
           set_out_findings(elements(reply, "findings"), text(function, "address"),
                            screen.coloured);
}

}  // namespace vfb::cli
