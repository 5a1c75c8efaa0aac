// SPDX-License-Identifier: GPL-2.0-or-later
//
// Numbers of VFs that were changed while the daemon runs.
#include "broker/broker.hpp"

namespace vfb::broker {

// A resize holds for as long as the files say what they said when it was made.
void Broker::apply_resizes() {
    for (PfConfig& pf : config_.pfs) {
        const auto configured = configured_.find(pf.name);
        if (configured != configured_.end()) pf.vfs = configured->second;
        const auto it = resizes_.find(pf.name);
        if (it == resizes_.end()) continue;
        const StoredResize& resize = it->second;
        if (resize.configured == pf.vfs) pf.vfs = resize.settled ? resize.to : resize.from;
    }
}

Result<> Broker::begin_resize(const std::string& pf, unsigned from, unsigned to) {
    const auto configured = configured_.find(pf);
    const StoredResize resize{
        .pf = pf,
        .from = from,
        .to = to,
        .configured = configured == configured_.end() ? 0 : configured->second,
        .again = resizes_.contains(pf),
        .settled = false};
    VFB_CHECK(store_.put_resize(resize));
    resizes_.insert_or_assign(pf, resize);
    return {};
}

Result<> Broker::end_resize(const std::string& pf, bool done) {
    const auto it = resizes_.find(pf);
    if (it == resizes_.end()) return {};
    StoredResize resize = it->second;
    if (!done && !resize.again) return forget_resize(pf);
    // Undone, it is as if it had been resized to what it was.
    if (!done) resize.to = resize.from;
    resize.settled = true;
    if (resize.to == resize.configured) return forget_resize(pf);
    VFB_CHECK(store_.put_resize(resize));
    it->second = resize;
    apply_resizes();
    make_slots();
    return {};
}

const StoredResize* Broker::unsettled_resize(const std::string& pf) const {
    const auto it = resizes_.find(pf);
    return it == resizes_.end() || it->second.settled ? nullptr : &it->second;
}

Result<> Broker::forget_resize(const std::string& pf) {
    VFB_CHECK(store_.remove_resize(pf));
    resizes_.erase(pf);
    apply_resizes();
    make_slots();
    return {};
}

}  // namespace vfb::broker
