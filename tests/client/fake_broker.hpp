// SPDX-License-Identifier: GPL-2.0-or-later
//
// A broker for tests: it listens on a real Unix socket and answers each call as the test says.
#pragma once

#include <atomic>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "base/deadline.hpp"
#include "proto/connection.hpp"

namespace vfb::test {

struct Answer {
    proto::Json body;  // a whole reply: make_reply() or make_error(); null: none
    std::vector<UniqueFd> descriptors;
    bool hang_up = false;  // after the reply
};

class FakeBroker {
public:
    using Handler = std::function<Answer(const proto::Call&)>;

    // `handler` runs on the broker's thread.
    explicit FakeBroker(Handler handler);
    ~FakeBroker();
    FakeBroker(const FakeBroker&) = delete;
    FakeBroker& operator=(const FakeBroker&) = delete;

    [[nodiscard]] const std::string& path() const { return path_; }
    // Calls so far, with what was sent as parameters.
    [[nodiscard]] std::vector<proto::Call> calls() const;
    // Until that many calls have come, five seconds at most.
    void wait_for_calls(std::size_t count) const;
    // Sends `body` over every connection that has called `method`, from the broker's thread.
    void say(const std::string& method, proto::Json body);
    // Closes the connections that have called it.
    void hang_up(const std::string& method);
    // Connections that clients have open, once `expected` or five seconds are reached.
    [[nodiscard]] std::size_t connections(std::size_t expected) const;

private:
    void run();
    // Has the broker's thread do it.
    void post(std::function<void()> task);
    bool flush(proto::Connection& connection);
    bool serve(proto::Connection& connection);

    Handler handler_;
    std::string folder_;
    std::string path_;
    UniqueFd listener_;
    UniqueFd wake_;
    std::vector<std::function<void()>> tasks_;
    bool stop_ = false;
    std::map<int, proto::Connection> open_;
    std::map<int, std::string> called_;  // the last method over each
    std::atomic<std::size_t> open_count_ = 0;
    mutable std::mutex mutex_;
    std::vector<proto::Call> calls_;
    std::thread thread_;
};

// Read end of a pipe.
UniqueFd some_descriptor();

}  // namespace vfb::test
