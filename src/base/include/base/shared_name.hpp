// SPDX-License-Identifier: LGPL-2.1-or-later
//
// SharedName: a text that thousands of objects have in common (the name of a vendor, of a device),
// in memory once. For texts out of a bounded set: one that was ever used is kept to the end.
//
// Values are as cheap as a pointer. Any thread may make them.
#pragma once

#include <string>
#include <string_view>

namespace vfb {

class SharedName {
public:
    SharedName() : text_(shared({})) {}
    SharedName(std::string_view text) : text_(shared(text)) {}
    SharedName(const std::string& text) : text_(shared(text)) {}
    SharedName(const char* text) : text_(shared(text)) {}

    [[nodiscard]] const std::string& str() const { return *text_; }
    [[nodiscard]] bool empty() const { return text_->empty(); }
    // Equal texts are one.
    bool operator==(const SharedName&) const = default;

private:
    static const std::string* shared(std::string_view text);

    const std::string* text_;
};

}  // namespace vfb
