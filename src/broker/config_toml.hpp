// SPDX-License-Identifier: GPL-2.0-or-later
//
// Reading one TOML table key by key: each value by its kind, each mistake with its place.
#pragma once

#include <toml++/toml.h>

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "config_parse.hpp"

namespace vfb::broker {

// What all tables of one file share.
struct FileContext {
    const std::string& file;
    const AccountResolver& accounts;
    std::vector<Problem>& problems;
    // Some of it is no TOML and left out: that something is missing says nothing.
    bool partial = false;

    [[nodiscard]] Location at(const toml::source_region& source) const;
    void report(const toml::source_region& source, std::string text, std::string hint = {}) const;
};

std::string_view kind_of(const toml::node& node);  // `a number`, `a table`

// Every get is a key that the table knows; finish() reports the keys that no get asked
// for, and says whether there were none.
// A value of the wrong kind or out of range is reported and returned as absent.
class TableReader {
public:
    TableReader(const FileContext& context, const toml::table& table, std::string title)
        : context_(context), table_(table), title_(std::move(title)) {}

    const toml::node* get(std::string_view key);
    std::optional<std::string> text(std::string_view key);
    std::optional<std::int64_t> number(std::string_view key, std::int64_t least, std::int64_t most);
    std::optional<bool> flag(std::string_view key);
    const toml::table* table(std::string_view key);
    // An array, or with `or_one` a single element, given to `element` one by one.
    void each(std::string_view key, std::string_view expected, bool or_one,
              const std::function<void(const toml::node&)>& element);

    // `KEY must be EXPECTED, not ...` at the value.
    void wrong(std::string_view key, std::string_view expected, const toml::node& node);
    // About the value of `key`: `KEY = VALUE in [TITLE]: reason`.
    void bad(std::string_view key, std::string_view reason, std::string hint = {});
    void report(const toml::node& node, std::string text, std::string hint = {}) const {
        context_.report(node.source(), std::move(text), std::move(hint));
    }
    bool finish() const;

    // Of all values that were asked for and are there.
    [[nodiscard]] Places places() const { return places_; }
    [[nodiscard]] const std::string& title() const { return title_; }
    [[nodiscard]] const FileContext& context() const { return context_; }

private:
    const FileContext& context_;
    const toml::table& table_;
    std::string title_;
    std::vector<std::string_view> known_;
    Places places_;
};

}  // namespace vfb::broker
