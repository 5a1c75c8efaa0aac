// SPDX-License-Identifier: GPL-2.0-or-later
#include "qmp_text.hpp"

namespace vfb::vmm {

std::optional<std::string> MessageSplitter::next() {
    if (depth_ == 0) {
        const auto begin = text_.find('{');
        text_.erase(0, begin == std::string::npos ? text_.size() : begin);
        scanned_ = 0;
    }
    while (scanned_ < text_.size()) {
        const char byte = text_[scanned_++];
        if (escaped_) {
            escaped_ = false;
        } else if (in_string_) {
            escaped_ = byte == '\\';
            in_string_ = byte != '"';
        } else if (byte == '"') {
            in_string_ = true;
        } else if (byte == '{') {
            ++depth_;
        } else if (byte == '}' && --depth_ == 0) {
            std::string message = text_.substr(0, scanned_);
            text_.erase(0, scanned_);
            scanned_ = 0;
            return message;
        }
    }
    return std::nullopt;
}

}  // namespace vfb::vmm
