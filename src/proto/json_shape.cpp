// SPDX-License-Identifier: LGPL-2.1-or-later
#include "json_shape.hpp"

#include <cstddef>
#include <vector>

namespace vfb::proto {
namespace {

struct Level {
    bool object = false;
    std::size_t members = 1;
};

struct StringEnd {
    std::size_t at = 0;  // of the closing quote, or the text's end
    bool nul = false;
};

// Skips a string from the byte after its opening quote.
StringEnd skip_string(std::string_view text, std::size_t at) {
    bool nul = false;
    for (; at < text.size() && text[at] != '"'; ++at) {
        if (text[at] != '\\') continue;
        // A NUL would cut the value short wherever it becomes a C string.
        nul = nul || text.substr(at, 6) == "\\u0000";
        ++at;
    }
    return {.at = at, .nul = nul};
}

}  // namespace

std::string_view shape_problem(std::string_view text, const Limits& limits) {
    std::vector<Level> levels;
    levels.reserve(limits.depth);
    for (std::size_t at = 0; at < text.size(); ++at) {
        switch (text[at]) {
            case '"': {
                const auto end = skip_string(text, at + 1);
                if (end.nul) return "a string has a NUL in it";
                at = end.at;
                break;
            }
            case '{':
            case '[':
                if (levels.size() >= limits.depth) return "the JSON is nested too deeply";
                levels.push_back({.object = text[at] == '{'});
                break;
            case '}':
            case ']':
                if (!levels.empty()) levels.pop_back();
                break;
            case ',':
                if (!levels.empty() && levels.back().object &&
                    ++levels.back().members > limits.members)
                    return "a JSON object has too many members";
                break;
            default:
                break;
        }
    }
    return {};
}

}  // namespace vfb::proto
