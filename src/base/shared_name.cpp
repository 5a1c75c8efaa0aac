// SPDX-License-Identifier: LGPL-2.1-or-later
#include "base/shared_name.hpp"

#include <mutex>
#include <set>

namespace vfb {

const std::string* SharedName::shared(std::string_view text) {
    static std::mutex mutex;
    // Never destroyed: names may outlive whatever is destroyed at the end of the program.
    static auto& texts = *new std::set<std::string, std::less<>>;
    const std::scoped_lock lock(mutex);
    auto found = texts.find(text);
    if (found == texts.end()) found = texts.emplace(text).first;
    return &*found;
}

}  // namespace vfb
