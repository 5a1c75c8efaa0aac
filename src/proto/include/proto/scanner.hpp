// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Scanner: reads JSON text from front to back and builds nothing, for answers that are long and
// whose form is known. Several times as fast as the JSON library.
//
// After anything unexpected ok() is false for good and every call returns an empty value at once,
// so that a reader checks once, at the end. It accepts some text that is not JSON, as it looks no
// closer than it must. No recursion; one thread at a time; the text must outlive it.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace vfb::proto {

class Scanner {
public:
    explicit Scanner(std::string_view text) : text_(text) {}

    // Calls `member(key)` for each member, which must read the value by one of these calls. Keys
    // are as they stand in the text.
    template <class Member>
    void object(Member member) {
        if (!open('{', '}')) return;
        do {
            const auto key = raw_string();
            expect(':');
            if (ok_) member(key);
        } while (another('}'));
    }
    // Calls `element()` for each element, which must read it.
    template <class Element>
    void array(Element element) {
        if (!open('[', ']')) return;
        do {
            element();
        } while (another(']'));
    }
    std::string string();
    std::int64_t number();
    // Reads a null, if that is what comes.
    bool null();
    // Any value, as it stands in the text.
    std::string_view skip();

    [[nodiscard]] bool ok() const { return ok_; }

private:
    void fail() { ok_ = false; }
    // The next byte that is no white space, 0 at the end.
    char peek();
    void expect(char byte);
    // Whether what `begin` opens holds anything.
    bool open(char begin, char end);
    // After a member or element: whether there is one more.
    bool another(char end);
    std::string_view raw_string();

    std::string_view text_;
    std::size_t at_ = 0;
    bool ok_ = true;
};

}  // namespace vfb::proto
