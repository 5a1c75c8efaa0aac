// SPDX-License-Identifier: GPL-2.0-or-later
#include "despite.hpp"

#include <sstream>

namespace vfb::cli {

void add_despite_option(CLI::App& app, std::vector<std::string>& values) {
    app.add_option("--despite", values,
                   "Remove FUNCTION though the host uses it for REASON (see show); logged")
        ->type_name("FUNCTION=REASON,...")
        ->allow_extra_args(false);
}

Result<proto::Json> reasons_json(const std::string& text) {
    proto::Json reasons = proto::Json::array();
    std::istringstream words(text);
    for (std::string word; std::getline(words, word, ',');) {
        if (word.empty()) break;
        reasons.push_back(word);
    }
    const bool whole = !text.empty() && text.front() != ',' && text.back() != ',' &&
                       text.find(",,") == std::string::npos;
    if (whole) return reasons;
    return fail(Code::invalid, "read --despite " + text, text,
                "reasons stand one after the other with a comma between",
                "vfbroker show FUNCTION lists them, for example address,route");
}

Result<proto::Json> despite_json(const std::vector<std::string>& values) {
    proto::Json list = proto::Json::array();
    for (const auto& value : values) {
        const auto equals = value.find('=');
        if (equals == std::string::npos)
            return fail(Code::invalid, "read --despite " + value, value,
                        "it does not say for which function, and which reasons",
                        "--despite 0000:01:10.0=address,route");
        VFB_TRY(auto reasons, reasons_json(value.substr(equals + 1)));
        list.push_back({{"function", value.substr(0, equals)}, {"reasons", std::move(reasons)}});
    }
    return list;
}

}  // namespace vfb::cli
