// SPDX-License-Identifier: LGPL-2.1-or-later
#include "proto/scanner.hpp"

#include <charconv>
#include <cstddef>

#include "proto/json.hpp"

namespace vfb::proto {

char Scanner::peek() {
    while (at_ < text_.size()) {
        const char byte = text_[at_];
        if (byte != ' ' && byte != '\n' && byte != '\t' && byte != '\r') return byte;
        ++at_;
    }
    return 0;
}

void Scanner::expect(char byte) {
    if (!ok_ || peek() != byte) return fail();
    ++at_;
}

bool Scanner::open(char begin, char end) {
    expect(begin);
    if (!ok_) return false;
    if (peek() != end) return true;
    ++at_;
    return false;
}

bool Scanner::another(char end) {
    if (!ok_) return false;
    if (peek() == ',') {
        ++at_;
        return true;
    }
    expect(end);
    return false;
}

// What stands between the quotes, escapes and all.
std::string_view Scanner::raw_string() {
    expect('"');
    if (!ok_) return {};
    const std::size_t begin = at_;
    while (at_ < text_.size() && text_[at_] != '"') at_ += text_[at_] == '\\' ? 2 : 1;
    if (at_ >= text_.size()) {
        fail();
        return {};
    }
    return text_.substr(begin, at_++ - begin);
}

std::string Scanner::string() {
    const auto raw = raw_string();
    if (raw.find('\\') == std::string_view::npos) return std::string(raw);
    // Escapes are rare; the library knows them all.
    const auto quoted = text_.substr(at_ - raw.size() - 2, raw.size() + 2);
    const auto json = Json::parse(quoted.begin(), quoted.end(), nullptr, false);
    if (json.is_string()) return json.get<std::string>();
    fail();
    return {};
}

std::int64_t Scanner::number() {
    std::int64_t value = 0;
    if (!ok_) return 0;
    peek();
    const auto rest = text_.substr(at_);
    const auto [end, error] = std::from_chars(rest.data(), rest.data() + rest.size(), value);
    if (error != std::errc()) {
        fail();
        return 0;
    }
    at_ += static_cast<std::size_t>(end - rest.data());
    return value;
}

bool Scanner::null() {
    if (!ok_ || peek() != 'n') return false;
    if (text_.substr(at_, 4) == "null")
        at_ += 4;
    else
        fail();
    return ok_;
}

std::string_view Scanner::skip() {
    if (!ok_) return {};
    peek();
    const std::size_t begin = at_;
    std::size_t depth = 0;
    do {
        const char byte = peek();
        if (byte == '"') {
            raw_string();
        } else if (byte == '{' || byte == '[') {
            ++depth;
            ++at_;
        } else if (byte == '}' || byte == ']') {
            if (depth == 0) fail();
            --depth;
            ++at_;
        } else if (depth > 0 && (byte == ',' || byte == ':')) {
            ++at_;
        } else {
            const auto end = text_.find_first_of(",:]}[{\" \n\t\r", at_);
            if (end == at_ || at_ >= text_.size()) fail();
            at_ = end == std::string_view::npos ? text_.size() : end;
        }
    } while (ok_ && depth > 0);
    return ok_ ? text_.substr(begin, at_ - begin) : std::string_view();
}

}  // namespace vfb::proto
