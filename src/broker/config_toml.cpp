// SPDX-License-Identifier: GPL-2.0-or-later
#include "config_toml.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "config_keys.hpp"
#include "config_text.hpp"

namespace vfb::broker {

Location FileContext::at(const toml::source_region& source) const {
    return {.file = file, .line = source.begin.line, .column = source.begin.column};
}

void FileContext::report(const toml::source_region& source, std::string text,
                         std::string hint) const {
    problems.push_back({.where = at(source), .text = std::move(text), .hint = std::move(hint)});
}

std::string_view kind_of(const toml::node& node) {
    switch (node.type()) {
        case toml::node_type::table:
            return "a table";
        case toml::node_type::array:
            return "a list";
        case toml::node_type::string:
            return "text";
        case toml::node_type::integer:
            return "a number";
        case toml::node_type::floating_point:
            return "a number with a fraction";
        case toml::node_type::boolean:
            return "true or false";
        default:
            return "a date or time";
    }
}

const toml::node* TableReader::get(std::string_view key) {
    known_.push_back(key);
    const auto* const node = table_.get(key);
    if (node != nullptr) places_.emplace(key, context_.at(node->source()));
    return node;
}

void TableReader::wrong(std::string_view key, std::string_view expected, const toml::node& node) {
    report(node,
           fmt::format("'{}' in {} must be {}, not {}", key, title_, expected, kind_of(node)));
}

void TableReader::bad(std::string_view key, std::string_view reason, std::string hint) {
    if (const auto* const node = table_.get(key))
        report(*node, fmt::format("'{}' in {}: {}", key, title_, reason), std::move(hint));
}

std::optional<std::string> TableReader::text(std::string_view key) {
    const auto* const node = get(key);
    if (node == nullptr) return std::nullopt;
    if (const auto value = node->value_exact<std::string>()) return value;
    wrong(key, "text in quotes", *node);
    return std::nullopt;
}

std::optional<std::int64_t> TableReader::number(std::string_view key, std::int64_t least,
                                                std::int64_t most) {
    const auto* const node = get(key);
    if (node == nullptr) return std::nullopt;
    const auto value = node->value_exact<std::int64_t>();
    if (!value) {
        wrong(key, fmt::format("a number from {} to {}", least, most), *node);
        return std::nullopt;
    }
    if (*value >= least && *value <= most) return value;
    bad(key, fmt::format("{} is not from {} to {}", *value, least, most));
    return std::nullopt;
}

std::optional<bool> TableReader::flag(std::string_view key) {
    const auto* const node = get(key);
    if (node == nullptr) return std::nullopt;
    if (const auto value = node->value_exact<bool>()) return value;
    wrong(key, "true or false", *node);
    return std::nullopt;
}

const toml::table* TableReader::table(std::string_view key) {
    const auto* const node = get(key);
    if (node == nullptr || node->is_table()) return node == nullptr ? nullptr : node->as_table();
    wrong(key, "a table", *node);
    return nullptr;
}

void TableReader::each(std::string_view key, std::string_view expected, bool or_one,
                       const std::function<void(const toml::node&)>& element) {
    const auto* const node = get(key);
    if (node == nullptr) return;
    if (const auto* const array = node->as_array()) {
        for (const auto& item : *array) element(item);
    } else if (or_one && !node->is_table()) {
        element(*node);
    } else {
        wrong(key, expected, *node);
    }
}

bool TableReader::finish() const {
    bool all_known = true;
    for (const auto& [key, value] : table_) {
        if (std::ranges::find(known_, key.str()) != known_.end()) continue;
        context_.report(key.source(), "unknown key " + in_quotes(key.str()) + " in " + title_,
                        key_hint(key.str(), title_, known_));
        all_known = false;
    }
    return all_known;
}

}  // namespace vfb::broker
