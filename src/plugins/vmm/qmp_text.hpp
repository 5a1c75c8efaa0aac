// SPDX-License-Identifier: GPL-2.0-or-later
//
// MessageSplitter: a stream of JSON objects, cut into its objects. QEMU ends each by a line break,
// but with pretty=on breaks lines within them, too.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace vfb::vmm {

class MessageSplitter {
public:
    void feed(std::string_view bytes) { text_ += bytes; }
    // The next complete object; what stands between objects is dropped.
    std::optional<std::string> next();
    // Bytes of an object that is not complete.
    [[nodiscard]] std::size_t pending() const { return text_.size(); }

private:
    std::string text_;
    std::size_t scanned_ = 0;
    std::size_t depth_ = 0;
    bool in_string_ = false;
    bool escaped_ = false;
};

}  // namespace vfb::vmm
