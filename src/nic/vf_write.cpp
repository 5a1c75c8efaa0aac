// SPDX-License-Identifier: GPL-2.0-or-later
#include "vf_write.hpp"

#include <fmt/format.h>
#include <poll.h>

#include <algorithm>
#include <cerrno>

#include "base/deadline.hpp"
#include "link_query.hpp"
#include "refusal.hpp"

namespace vfb::nic {
namespace {

// No event tells that a driver has applied an attribute or finished a VF's reset: rtnetlink sends
// no notification for VFs. So the state is read again, often at first and then less so.
class Pauses {
public:
    explicit Pauses(std::chrono::milliseconds total) : deadline_(total) {}
    // False when the time is over.
    bool pause() {
        if (deadline_.expired()) return false;
        (void)::poll(nullptr, 0, std::min(next_, deadline_.poll_timeout()));
        next_ = std::min(2 * next_, kLongest);
        return true;
    }

private:
    static constexpr int kLongest = 50;
    Deadline deadline_;
    int next_ = 1;
};

std::vector<Change> plan(const VfAttributes& wanted, const VfAttributes& before) {
    std::vector<Change> changes;
    for (const auto& attribute : attribute_table()) {
        if (!differs(attribute, wanted, before)) continue;
        const auto same = std::ranges::find(changes, attribute.encode, &Change::encode);
        if (same != changes.end())
            same->attributes.push_back(&attribute);
        else
            changes.push_back(
                {.encode = attribute.encode, .attributes = {&attribute}, .answer = {}});
    }
    return changes;
}

// Errors as one: the first, and the others as its causes.
Error chain(std::vector<Error> errors) {
    while (errors.size() > 1) {
        auto last = std::move(errors.back());
        errors.pop_back();
        errors.back() = std::move(errors.back()).because(std::move(last));
    }
    return std::move(errors.front());
}

class VfWrite {
public:
    VfWrite(NetlinkSocket& socket, Link link, unsigned index, VfAttributes wanted,
            VfAttributes before, std::chrono::milliseconds timeout)
        : socket_(socket),
          link_(std::move(link)),
          index_(index),
          wanted_(std::move(wanted)),
          before_(std::move(before)),
          all_(overlay(before_, wanted_)),
          pauses_(timeout),
          timeout_(timeout) {}

    Result<WriteReport> run();

private:
    Result<> send(const std::vector<Change*>& changes, const VfAttributes& values);
    Result<> apply(std::vector<Change>& changes);
    [[nodiscard]] bool tolerated(const Change& change) const;
    Error take_back(std::vector<Error> errors, std::vector<Change>& changes);
    Result<WriteReport> read_back(std::vector<std::string> unsupported);
    [[nodiscard]] Error disagreement(const VfAttributes& actual,
                                     const std::vector<const Attribute*>& open) const;

    NetlinkSocket& socket_;
    Link link_;
    unsigned index_;
    VfAttributes wanted_;
    VfAttributes before_;
    VfAttributes all_;  // the state that is to be reached
    Pauses pauses_;
    std::chrono::milliseconds timeout_;
};

// One message a change, one send for all.
Result<> VfWrite::send(const std::vector<Change*>& changes, const VfAttributes& values) {
    std::vector<Message> messages;
    for (const auto* change : changes) {
        VFB_TRY(auto message, set_vf_message(link_.ifindex, index_, change->encode, values));
        messages.push_back(std::move(message));
    }
    VFB_TRY(auto answers, socket_.transact(messages));
    for (std::size_t i = 0; i < changes.size(); ++i) changes[i]->answer = std::move(answers[i]);
    return {};
}

// A driver may need time between two attributes (i40e resets the VF after each): what was refused
// only for now is sent again until the time is over.
Result<> VfWrite::apply(std::vector<Change>& changes) {
    std::vector<Change*> open;
    for (auto& change : changes) open.push_back(&change);
    while (!open.empty()) {
        VFB_CHECK(send(open, all_));
        std::erase_if(open, [](const Change* change) {
            return change->answer.errnum != EAGAIN && change->answer.errnum != EBUSY;
        });
        if (!open.empty() && !pauses_.pause()) break;
    }
    return {};
}

// A default that the driver cannot set is what the VF has anyway.
bool VfWrite::tolerated(const Change& change) const {
    return change.unsupported() && std::ranges::all_of(change.attributes, [&](const auto* a) {
               return a->is_default(wanted_);
           });
}

Error VfWrite::take_back(std::vector<Error> errors, std::vector<Change>& changes) {
    std::vector<Change*> taken;
    for (auto& change : changes)
        if (change.answer.errnum == 0) taken.push_back(&change);
    if (!taken.empty()) {
        if (auto sent = send(taken, before_); !sent) errors.push_back(std::move(sent).error());
        for (const auto* change : taken) {
            if (change->answer.errnum == 0) continue;
            errors.push_back(refusal(*change, link_, index_, before_));
            errors.back().operation = "put back after this: " + errors.back().operation;
        }
    }
    return chain(std::move(errors));
}

Error VfWrite::disagreement(const VfAttributes& actual,
                            const std::vector<const Attribute*>& open) const {
    Change change{.encode = nullptr, .attributes = open, .answer = {}};
    std::string reads;
    for (const auto* attribute : open)
        reads += fmt::format(" {}={}", attribute->info.name, attribute->format(actual));
    return {.code = Code::timeout,
            .errnum = 0,
            .operation = set_operation(change, link_, index_, all_),
            .subject = vf_name(link_, index_),
            .reason = fmt::format("the kernel took it, but after {} ms it still reads{}",
                                  timeout_.count(), reads),
            .hint = "some drivers apply it only when the VF is reset or its driver loaded",
            .cause = nullptr};
}

Result<WriteReport> VfWrite::read_back(std::vector<std::string> unsupported) {
    for (;;) {
        auto actual = read_vf(socket_, link_.ifindex, index_);
        // A VF in reset does not answer: to wait is right.
        if (!actual && actual.error().code != Code::busy)
            return std::unexpected(std::move(actual).error());
        std::vector<const Attribute*> open;
        for (const auto& attribute : attribute_table())
            if (actual && attribute.is_set(*actual) && differs(attribute, wanted_, *actual) &&
                std::ranges::find(unsupported, attribute.info.name) == unsupported.end())
                open.push_back(&attribute);
        if (actual && open.empty())
            return WriteReport{.actual = std::move(*actual), .unsupported = std::move(unsupported)};
        if (pauses_.pause()) continue;
        return std::unexpected(actual ? disagreement(*actual, open) : std::move(actual).error());
    }
}

Result<WriteReport> VfWrite::run() {
    VFB_CHECK(validate(all_));
    auto changes = plan(wanted_, before_);
    VFB_CHECK(apply(changes));
    std::vector<Error> errors;
    std::vector<std::string> unsupported;
    for (const auto& change : changes) {
        if (change.answer.errnum == 0) continue;
        if (tolerated(change))
            std::ranges::move(change.names(), std::back_inserter(unsupported));
        else
            errors.push_back(refusal(change, link_, index_, all_));
    }
    if (!errors.empty()) return std::unexpected(take_back(std::move(errors), changes));
    return read_back(std::move(unsupported));
}

}  // namespace

Result<WriteReport> write_vf(NetlinkSocket& socket, int ifindex, unsigned index,
                             const VfAttributes& wanted, std::chrono::milliseconds timeout) {
    VFB_CHECK(validate(wanted));
    VFB_TRY(auto link, read_link(socket, ifindex));
    VFB_TRY(auto before, attributes_of(link, index));
    return VfWrite(socket, std::move(link), index, wanted, std::move(before), timeout).run();
}

}  // namespace vfb::nic
