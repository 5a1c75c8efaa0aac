// SPDX-License-Identifier: GPL-2.0-or-later
//
// The few pieces of SQLite that the store needs, with errors as Result. Private to the broker.
#pragma once

#include <sqlite3.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.hpp"

namespace vfb::broker::sqlite {

struct Finalize {
    void operator()(sqlite3_stmt* statement) const { sqlite3_finalize(statement); }
};
struct Close {
    void operator()(sqlite3* db) const { sqlite3_close(db); }
};

// A prepared statement: bind in order, step, read columns in order, reset by the next use.
class Statement {
public:
    Statement(sqlite3* db, std::string_view sql) : db_(db) {
        sqlite3_stmt* raw = nullptr;
        sqlite3_prepare_v3(db, sql.data(), static_cast<int>(sql.size()), SQLITE_PREPARE_PERSISTENT,
                           &raw, nullptr);
        statement_.reset(raw);
    }

    Statement& start() {
        sqlite3_reset(statement_.get());
        sqlite3_clear_bindings(statement_.get());
        next_ = 0;
        return *this;
    }
    Statement& bind(std::int64_t value) {
        sqlite3_bind_int64(statement_.get(), ++next_, value);
        return *this;
    }
    Statement& bind(std::string_view value) {
        sqlite3_bind_text(statement_.get(), ++next_, value.data(), static_cast<int>(value.size()),
                          SQLITE_TRANSIENT);
        return *this;
    }
    // Absent values are NULL: unset is not zero.
    template <class T>
    Statement& bind_optional(const std::optional<T>& value) {
        if (!value) {
            ++next_;  // parameters are NULL until bound
            return *this;
        }
        if constexpr (std::is_convertible_v<T, std::string_view>)
            return bind(std::string_view(*value));
        else
            return bind(static_cast<std::int64_t>(*value));
    }

    // true: a row is there; false: done.
    Result<bool> step() {
        const int rc = statement_ ? sqlite3_step(statement_.get()) : SQLITE_ERROR;
        column_ = 0;
        if (rc == SQLITE_ROW) return true;
        if (rc == SQLITE_DONE) {
            sqlite3_reset(statement_.get());
            return false;
        }
        auto error = fail(rc == SQLITE_FULL ? Code::exhausted : Code::failed,
                          "use the state database", "state.db", sqlite3_errmsg(db_),
                          rc == SQLITE_FULL ? "make room on the file system that holds it" : "");
        sqlite3_reset(statement_.get());
        return error;
    }
    Result<> run() {
        VFB_TRY(const bool row, step());
        if (row) sqlite3_reset(statement_.get());
        return {};
    }

    std::int64_t number() { return sqlite3_column_int64(statement_.get(), column_++); }
    std::string text() {
        const auto* value = sqlite3_column_text(statement_.get(), column_);
        const int size = sqlite3_column_bytes(statement_.get(), column_++);
        return value == nullptr ? std::string()
                                : std::string(reinterpret_cast<const char*>(value),
                                              static_cast<std::size_t>(size));
    }
    template <class T>
    std::optional<T> optional_number() {
        if (is_null()) return std::nullopt;
        return static_cast<T>(number());
    }
    std::optional<std::string> optional_text() {
        if (is_null()) return std::nullopt;
        return text();
    }

private:
    // Whether the current column is NULL; then it is passed over.
    bool is_null() {
        if (sqlite3_column_type(statement_.get(), column_) != SQLITE_NULL) return false;
        ++column_;
        return true;
    }

    sqlite3* db_;
    std::unique_ptr<sqlite3_stmt, Finalize> statement_;
    int next_ = 0;
    int column_ = 0;
};

}  // namespace vfb::broker::sqlite
