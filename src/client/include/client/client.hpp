// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Client: a connection to vfbrokerd, for the CLI and the plugins. The C ABI in
// include/vfbroker/vfbroker.h is built on it. Blocking; one thread at a time.
#pragma once

#include <chrono>
#include <deque>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/deadline.hpp"
#include "base/result.hpp"
#include "base/unique_fd.hpp"
#include "proto/connection.hpp"
#include "proto/scanner.hpp"

namespace vfb::client {

struct Reply {
    proto::Json parameters;
    std::vector<UniqueFd> descriptors;
    bool continues = false;  // there is more to come: only in what call_more() reads
};

class Client {
public:
    // Code::not_running, with what to do, when nobody listens at `path`; Code::denied when the
    // socket may not be opened.
    static Result<Client> connect(const std::string& path = std::string(proto::kSocketPath));
    // The same, but never waits: Code::busy when vfbrokerd has too many to accept just now.
    static Result<Client> connect_now(const std::string& path);

    // One call and its reply. A method without a dot is one of io.vfbroker. An error reply becomes
    // the Error that the daemon made, unchanged. `timeout` absent: waits as long as the daemon
    // takes. Code::lost when the daemon goes away. After Code::timeout, ::lost or ::protocol the
    // connection is hung up, as a late reply could be taken for that of another call; what it owned
    // ends with it.
    Result<Reply> call(std::string_view method, const proto::Json& parameters,
                       std::optional<std::chrono::milliseconds> timeout = std::nullopt);

    // The same, and `part` gets what comes before the reply (varlink `more`).
    Result<Reply> call_more(std::string_view method, const proto::Json& parameters,
                            const std::function<void(const proto::Json&)>& part);

    // The same for long answers, which are read as they stand: `reader` reads the value of
    // `parameters`, and what it has read counts only when this succeeds.
    Result<> call_and_scan(std::string_view method, const proto::Json& parameters,
                           const std::function<void(proto::Scanner&)>& reader);
    // The answer's parameters as JSON text, unchecked.
    Result<std::string> call_text(std::string_view method, const proto::Json& parameters);

    // For event loops, which poll fd(): sends a call and does not wait. Until its last reply is
    // there every other call is Code::busy.
    Result<> start(std::string_view method, const proto::Json& parameters, bool more = false);
    // Writes and reads what can be at once; a reply to start(), if one has come. An error reply is
    // an Error like any other, and the connection goes on: see hung_up().
    Result<std::optional<Reply>> advance();
    // The connection is of no use any more.
    [[nodiscard]] bool hung_up() const { return hung_up_; }
    [[nodiscard]] bool wants_write() const { return connection_.wants_write(); }

    [[nodiscard]] int fd() const { return connection_.fd(); }
    [[nodiscard]] proto::Connection& connection() { return connection_; }

private:
    using Timeout = std::optional<Deadline>;

    explicit Client(proto::Connection connection) : connection_(std::move(connection)) {}
    static Result<Client> connect(const std::string& path, int flags);
    // Whether a call can be made.
    [[nodiscard]] Result<> check_free(const std::string& method) const;
    // What is there now, into arrived_; whether there is more to be had at once.
    Result<bool> receive();
    Result<proto::TextMessage> exchange(const std::string& method, const proto::Json& parameters,
                                        const Timeout& deadline);
    Result<proto::TextMessage> send_and_wait(const proto::Json& body, const Timeout& deadline);
    Result<proto::TextMessage> wait_for_message(const Timeout& deadline);
    Result<Reply> read_reply(proto::TextMessage message, const std::string& method);
    std::unexpected<Error> hang_up(Error cause, const std::string& method);
    Result<> wait(const Timeout& deadline) const;

    proto::Connection connection_;
    std::deque<proto::TextMessage> arrived_;  // and not asked for yet: parts come together
    std::string started_;                     // method of the call under way, if there is one
    bool hung_up_ = false;
};

}  // namespace vfb::client
