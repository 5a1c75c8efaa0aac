// SPDX-License-Identifier: LGPL-2.1-or-later
//
// LeaseStart: the steps of a lease that is asked for without waiting. Never blocks, but for
// give_up().
#pragma once

#include <optional>
#include <string_view>

#include "client/lease.hpp"

namespace vfb::client {

class LeaseStart {
public:
    // It was begun, and its result not fetched.
    [[nodiscard]] bool under_way() const { return under_way_; }
    [[nodiscard]] bool has_result() const { return result_.has_value(); }

    Result<> begin(Client& client, LeaseRequest request);
    // What Client::advance() had for it: makes the next call, or has the result.
    void take(Client& client, Result<Reply> reply);
    // Once, when has_result().
    Result<Lease> fetch();
    // Nobody will fetch it. A lease that is its owner's already, or becomes it just now, is ended;
    // waits for vfbrokerd then, which waits for no device, for a second at most.
    void give_up(Client& client);

private:
    void take_lease(Client& client, Result<Reply> reply);
    void take_owner(Client& client, const Result<Reply>& reply);

    bool under_way_ = false;
    std::string_view method_;        // that gives it to its owner, as of defer_owner()
    std::optional<Lease> granted_;   // the connection's, on its way to its owner
    std::optional<Error> no_owner_;  // why it did not get there; it is being ended
    std::optional<Result<Lease>> result_;
};

}  // namespace vfb::client
