// SPDX-License-Identifier: GPL-2.0-or-later
//
// Parameters: the parameters of a call, read strictly: wrong types, numbers out of range and names
// that the method does not have are refused, so that a typing error is not silently ignored.
#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <string>

#include "base/result.hpp"
#include "proto/json.hpp"

namespace vfb::daemon {

class Parameters {
public:
    explicit Parameters(const proto::Json& json) : json_(json) {}

    std::string text(const std::string& name) {
        const auto value = optional_text(name);
        if (!value) refuse(name);
        return value.value_or("");
    }
    std::optional<std::string> optional_text(const std::string& name) {
        const proto::Json* value = take(name);
        if (value == nullptr) return std::nullopt;
        if (value->is_string()) return value->get<std::string>();
        refuse(name);
        return std::nullopt;
    }
    std::optional<std::uint64_t> optional_number(const std::string& name, std::uint64_t min,
                                                 std::uint64_t max) {
        const proto::Json* value = take(name);
        if (value == nullptr) return std::nullopt;
        const bool whole = value->is_number_unsigned() ||
                           (value->is_number_integer() && value->get<std::int64_t>() >= 0);
        if (whole && value->get<std::uint64_t>() >= min && value->get<std::uint64_t>() <= max)
            return value->get<std::uint64_t>();
        refuse(name);
        return std::nullopt;
    }
    std::uint64_t number(const std::string& name, std::uint64_t min, std::uint64_t max) {
        const auto value = optional_number(name, min, max);
        if (!value) refuse(name);
        return value.value_or(min);
    }
    bool flag(const std::string& name, bool absent) {
        const proto::Json* value = take(name);
        if (value == nullptr) return absent;
        if (value->is_boolean()) return value->get<bool>();
        refuse(name);
        return absent;
    }
    // null when absent.
    proto::Json any(const std::string& name) {
        const proto::Json* value = take(name);
        return value == nullptr ? proto::Json() : *value;
    }
    template <class T>
    std::optional<T> word(const std::string& name, std::optional<T> (*parse)(std::string_view)) {
        const auto value = optional_text(name);
        if (!value) return std::nullopt;
        auto parsed = parse(*value);
        if (!parsed) refuse(name);
        return parsed;
    }

    // The parameter at fault, after all were asked for; empty: all is well.
    [[nodiscard]] std::optional<std::string> fault() const {
        if (fault_) return fault_;
        for (const auto& [name, value] : json_.items())
            if (!known_.contains(name)) return name;
        return std::nullopt;
    }

private:
    const proto::Json* take(const std::string& name) {
        known_.insert(name);
        const auto it = json_.find(name);
        return it == json_.end() || it->is_null() ? nullptr : &*it;
    }
    void refuse(const std::string& name) {
        if (!fault_) fault_ = name;
    }

    const proto::Json& json_;
    std::set<std::string> known_;
    std::optional<std::string> fault_;
};

}  // namespace vfb::daemon
