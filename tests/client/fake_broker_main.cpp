// SPDX-License-Identifier: GPL-2.0-or-later
//
// The fake broker as a program: prints its socket's path, serves until its standard input ends, and
// prints the methods that were called. What happens to a lease is what its pool is called:
// `lost`, `wanted`, `ended`, or nothing; of `full` there is none.
#include <fmt/format.h>
#include <unistd.h>

#include <string>

#include "lease_events.hpp"
#include "lease_replies.hpp"

namespace {

using vfb::test::Answer;
using vfb::test::State;

class Behaviour {
public:
    Answer answer(const vfb::proto::Call& call) {
        if (call.method == "io.vfbroker.Lease") {
            pool_ = call.parameters.value("pool", "");
            if (pool_ == "full") return vfb::test::refusal();
            return pool_ == "group" ? vfb::test::group_lease() : vfb::test::iommufd_lease();
        }
        if (call.method == "io.vfbroker.WatchLeases")
            return {.body = vfb::test::states({state()}, pool_ != "ended"), .descriptors = {}};
        return {.body = vfb::proto::make_reply(vfb::proto::Json::object()), .descriptors = {}};
    }

private:
    State state() const {
        State state{.lease = pool_ == "group" ? 8 : 7};
        if (pool_ == "lost") state.lost = {"0000:01:10.0"};
        if (pool_ == "wanted") state.wanted = "pf:uplink is drained";
        if (pool_ == "ended") state.ended = "released by uid 0";
        return state;
    }

    std::string pool_;
};

}  // namespace

int main() {
    Behaviour behaviour;
    const vfb::test::FakeBroker broker(
        [&behaviour](const vfb::proto::Call& call) { return behaviour.answer(call); });
    fmt::print("{}\n", broker.path());
    std::fflush(stdout);
    char byte = 0;
    while (::read(STDIN_FILENO, &byte, 1) > 0) {
    }
    for (const auto& call : broker.calls()) fmt::print("{}\n", call.method);
}
