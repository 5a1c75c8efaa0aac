// SPDX-License-Identifier: GPL-2.0-or-later
#include "watchers.hpp"

#include "answers.hpp"

namespace vfb::daemon {
namespace {

void tell(const Request& request) {
    request.progress(dump(proto::make_reply(proto::Json::object(), true)));
}

}  // namespace

void Watchers::add(const Request& request) {
    watching_.push_back(request);
    tell(request);
}

void Watchers::changed() {
    if (watching_.empty() || later_) return;
    auto later = loop_.defer([this] {
        later_.reset();
        for (const Request& request : watching_) tell(request);
    });
    if (later) later_ = std::move(*later);
}

void Watchers::connection_closed(std::uint64_t session) {
    watching_.remove_if([session](const Request& request) { return request.session == session; });
}

}  // namespace vfb::daemon
