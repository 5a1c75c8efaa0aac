// SPDX-License-Identifier: GPL-2.0-or-later
#include "outbox.hpp"

#include <sys/eventfd.h>
#include <unistd.h>

namespace vfb::daemon {
namespace {

using proto::Json;

Error refusal_of(Error cause) {
    Error error = fail(cause.code, "hand the result of an operation to vfbrokerd", "worker",
                       "it is too large", "ask for fewer functions at a time")
                      .error();
    return std::move(error).because(std::move(cause));
}

}  // namespace

Outbox::Outbox() : wake_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {}

void Outbox::put(Json body, std::vector<UniqueFd> descriptors) {
    {
        const std::scoped_lock lock(mutex_);
        answers_.emplace_back(std::move(body), std::move(descriptors));
    }
    const std::uint64_t one = 1;
    // Cannot fail: the counter would have to overflow.
    [[maybe_unused]] const ssize_t n = ::write(wake_.get(), &one, sizeof one);
}

Result<> Outbox::send_all(proto::Connection& connection) {
    std::uint64_t count = 0;
    [[maybe_unused]] const ssize_t n = ::read(wake_.get(), &count, sizeof count);
    const std::scoped_lock lock(mutex_);
    for (auto& [body, descriptors] : answers_) {
        auto sent = connection.send(body, std::move(descriptors));
        if (sent) continue;
        // Of a connection that is broken this fails as well.
        VFB_CHECK(
            connection.send({{"id", body.at("id")},
                             {"error", proto::to_json(refusal_of(std::move(sent).error()))}}));
    }
    answers_.clear();
    return {};
}

}  // namespace vfb::daemon
