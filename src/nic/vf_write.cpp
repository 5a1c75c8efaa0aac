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
    changes.reserve(4);
    for (const auto& attribute : attribute_table()) {
        if (!differs(attribute, wanted, before)) continue;
        const auto same = std::ranges::find(changes, attribute.encode, &Change::encode);
        if (same != changes.end())
            same->attributes.push_back(&attribute);
        else
            changes.push_back(
                {.encode = attribute.encode, .attributes = Rows(&attribute), .answer = {}});
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

// What is done to one VF, and how far it has got.
struct Task {
    unsigned index = 0;
    const VfAttributes* wanted = nullptr;
    VfAttributes before{};
    VfAttributes all{};  // the state that is to be reached
    std::vector<Change> changes{};
    std::vector<std::string> unsupported{};
    std::vector<Error> errors{};  // refusals: what was taken is restored
    std::optional<Result<WriteReport>> result{};

    // A default that the driver cannot set is what the VF has anyway.
    [[nodiscard]] bool tolerates(const Change& change) const {
        return change.unsupported() && std::ranges::all_of(change.attributes, [&](const auto* a) {
                   return a->is_default(*wanted);
               });
    }
    [[nodiscard]] std::vector<const Attribute*> open(const VfAttributes& actual) const {
        std::vector<const Attribute*> open;
        for (const auto& attribute : attribute_table())
            if (differs(attribute, *wanted, actual) && attribute.is_set(actual) &&
                std::ranges::find(unsupported, attribute.info.name) == unsupported.end())
                open.push_back(&attribute);
        return open;
    }
};

// One message of those that are sent together.
struct Sent {
    Task* task;
    Change* change;
};

constexpr std::size_t kMessage = 80;  // about as long as one is

class VfWrites {
public:
    VfWrites(NetlinkSocket& socket, Link link, std::chrono::milliseconds timeout)
        : socket_(socket), link_(std::move(link)), pauses_(timeout), timeout_(timeout) {}

    Result<std::vector<Result<WriteReport>>> run(std::span<const VfRequest> requests);

private:
    void begin(Task& task) const;
    Result<> send(const std::vector<Sent>& messages, VfAttributes Task::* values);
    Result<> apply();
    void sort_answers(Task& task);
    void take_back();
    Result<> read_back();
    void compare(Task& task, const Link& now, bool last) const;
    [[nodiscard]] Error disagreement(const Task& task, const VfAttributes& actual,
                                     const std::vector<const Attribute*>& open) const;

    NetlinkSocket& socket_;
    Link link_;
    Pauses pauses_;
    std::chrono::milliseconds timeout_;
    std::vector<Task> tasks_;
};

// Finds what has to be changed, or why nothing can be.
void VfWrites::begin(Task& task) const {
    if (auto valid = validate(*task.wanted); !valid) {
        task.result = std::unexpected(std::move(valid).error());
        return;
    }
    auto before = attributes_of(link_, task.index);
    if (!before) {
        task.result = std::unexpected(std::move(before).error());
        return;
    }
    task.before = std::move(*before);
    task.all = overlay(task.before, *task.wanted);
    if (auto valid = validate(task.all); !valid) {
        task.result = std::unexpected(std::move(valid).error());
        return;
    }
    task.changes = plan(*task.wanted, task.before);
    // The kernel has just said what the VF has: that is the proof already.
    if (task.changes.empty())
        task.result = WriteReport{.actual = std::move(task.before), .unsupported = {}};
}

// One message a change, as few sends as there can be.
Result<> VfWrites::send(const std::vector<Sent>& messages, VfAttributes Task::* values) {
    Messages built;
    built.reserve(messages.size(), kMessage);
    for (const auto& [task, change] : messages)
        add_set_vf(built, link_.ifindex, task->index, change->encode, task->*values);
    VFB_TRY(auto answers, socket_.transact(std::move(built)));
    for (std::size_t i = 0; i < messages.size(); ++i)
        messages[i].change->answer = std::move(answers[i]);
    return {};
}

// A driver may need time between two attributes (i40e resets the VF after each): what was refused
// only for now is sent again until the time is over.
Result<> VfWrites::apply() {
    std::vector<Sent> open;
    for (auto& task : tasks_)
        if (!task.result)
            for (auto& change : task.changes) open.push_back({.task = &task, .change = &change});
    while (!open.empty()) {
        VFB_CHECK(send(open, &Task::all));
        std::erase_if(open, [](const Sent& sent) {
            return sent.change->answer.errnum != EAGAIN && sent.change->answer.errnum != EBUSY;
        });
        if (!open.empty() && !pauses_.pause()) break;
    }
    return {};
}

void VfWrites::sort_answers(Task& task) {
    for (const auto& change : task.changes) {
        if (change.answer.errnum == 0) continue;
        if (task.tolerates(change)) {
            std::ranges::move(change.names(), std::back_inserter(task.unsupported));
            continue;
        }
        if (change.unsupported() && link_.driver.empty()) link_.driver = driver_of(link_.name);
        task.errors.push_back(refusal(change, link_, task.index, task.all));
    }
}

// Of VFs where something was refused, what was taken.
void VfWrites::take_back() {
    std::vector<Sent> taken;
    for (auto& task : tasks_)
        if (!task.errors.empty())
            for (auto& change : task.changes)
                if (change.answer.errnum == 0) taken.push_back({.task = &task, .change = &change});
    const auto sent = taken.empty() ? Result<>() : send(taken, &Task::before);
    for (const auto& [task, change] : taken) {
        if (sent && change->answer.errnum == 0) continue;
        task->errors.push_back(sent ? refusal(*change, link_, task->index, task->before)
                                    : sent.error());
        task->errors.back().operation = "restore after this: " + task->errors.back().operation;
    }
    for (auto& task : tasks_)
        if (!task.errors.empty()) task.result = std::unexpected(chain(std::move(task.errors)));
}

Error VfWrites::disagreement(const Task& task, const VfAttributes& actual,
                             const std::vector<const Attribute*>& open) const {
    std::string reads;
    for (const auto* attribute : open)
        reads += fmt::format(" {}={}", attribute->info.name, attribute->format(actual));
    return {.code = Code::timeout,
            .errnum = 0,
            .operation = set_operation(open, link_, task.index, task.all),
            .subject = vf_name(link_, task.index),
            .reason = fmt::format("the kernel took it, but after {} ms it still reads{}",
                                  timeout_.count(), reads),
            .hint = "some drivers apply it only when the VF is reset or its driver loaded",
            .cause = nullptr};
}

// Whether the VF is what it was to become; if not, that is the result only the last time.
void VfWrites::compare(Task& task, const Link& now, bool last) const {
    auto actual = attributes_of(now, task.index);
    if (!actual) {
        // A VF in reset does not answer: to wait is right.
        if (last || actual.error().code != Code::busy)
            task.result = std::unexpected(std::move(actual).error());
        return;
    }
    const auto open = task.open(*actual);
    if (open.empty())
        task.result =
            WriteReport{.actual = std::move(*actual), .unsupported = std::move(task.unsupported)};
    else if (last)
        task.result = std::unexpected(disagreement(task, *actual, open));
}

Result<> VfWrites::read_back() {
    const auto done = [&] {
        return std::ranges::all_of(tasks_,
                                   [](const Task& task) { return task.result.has_value(); });
    };
    for (bool last = false; !done();) {
        VFB_TRY(const auto now, read_link(socket_, link_.ifindex));
        for (auto& task : tasks_)
            if (!task.result) compare(task, now, last);
        if (!done()) last = !pauses_.pause();
    }
    return {};
}

Result<std::vector<Result<WriteReport>>> VfWrites::run(std::span<const VfRequest> requests) {
    std::vector<bool> seen(link_.vf_count.value_or(0));
    tasks_.reserve(requests.size());
    for (const auto& request : requests) {
        auto& task = tasks_.emplace_back(Task{.index = request.index, .wanted = &request.wanted});
        const bool again = task.index < seen.size() && seen[task.index];
        if (task.index < seen.size()) seen[task.index] = true;
        if (again)
            task.result = fail(Code::invalid, "set attributes of " + vf_name(link_, task.index),
                               vf_name(link_, task.index), "it is asked for twice at once");
        else
            begin(task);
    }
    VFB_CHECK(apply());
    for (auto& task : tasks_)
        if (!task.result) sort_answers(task);
    take_back();
    VFB_CHECK(read_back());
    std::vector<Result<WriteReport>> results;
    results.reserve(tasks_.size());
    for (auto& task : tasks_) results.push_back(std::move(*task.result));
    return results;
}

}  // namespace

Result<std::vector<Result<WriteReport>>> write_vfs(NetlinkSocket& socket, int ifindex,
                                                   std::span<const VfRequest> requests,
                                                   std::chrono::milliseconds timeout) {
    VFB_TRY(auto link, read_link(socket, ifindex));
    return VfWrites(socket, std::move(link), timeout).run(requests);
}

}  // namespace vfb::nic
