// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Connection: varlink framing on a connected AF_UNIX stream socket. JSON objects, each ended by a
// NUL byte; descriptors as SCM_RIGHTS on a message's first byte (as sd-varlink does).
//
// The socket is non-blocking and the class never blocks: an event loop calls receive() when it is
// readable and flush() when it is writable; blocking callers poll(2) on fd(). Bytes and descriptors
// of a peer that breaks the limits below are dropped and the connection is unusable afterwards
// (Code::protocol, again at each call); what came whole before is still delivered. Every descriptor
// that no message claims is closed. One thread at a time.
#pragma once

#include <sys/socket.h>

#include <cstddef>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "base/unique_fd.hpp"
#include "proto/json.hpp"

namespace vfb::proto {

struct Limits {
    std::size_t message_bytes = 1 << 20;  // of one message, incoming
    std::size_t depth = 32;               // nesting of JSON
    std::size_t members = 256;            // of one object: looking one up is linear
    std::size_t descriptors = 253;        // with one message (the kernel's SCM_MAX_FD)
    std::size_t queued_bytes = 16 << 20;  // outgoing, not yet taken by the peer
    std::size_t batch = 64;               // messages returned by one receive()
    bool accept_descriptors = true;       // false: a peer that sends any breaks the protocol
};

struct Message {
    Json body;
    std::vector<UniqueFd> descriptors;
};

// A message that is not parsed yet: for readers of long answers, who know what they look for.
struct TextMessage {
    std::string text;  // without the NUL; not checked at all
    std::vector<UniqueFd> descriptors;
};

// A serialised body. Shared, since an answer to many may be long: a queue holds no copy of it.
using Text = std::shared_ptr<const std::string>;

class Connection {
public:
    // Takes over `socket` and makes it non-blocking.
    explicit Connection(UniqueFd socket, Limits limits = {});

    struct Received {
        std::vector<Message> messages;
        bool closed = false;  // the peer will send no more
        bool more = false;    // there is more to take: call again without waiting for the socket
    };
    // Everything complete that is there now, up to `batch` messages or about `message_bytes` bytes.
    // Messages must be JSON objects. A peer that hangs up within a message breaks the protocol.
    Result<Received> receive();

    struct ReceivedText {
        std::vector<TextMessage> messages;
        bool closed = false;
        bool more = false;
    };
    // The same without looking at the text. One connection is read by one of the two.
    Result<ReceivedText> receive_text();

    // Queues a message. `descriptors` are owned until sent, then closed (the peer has its copies).
    // Code::exhausted when the peer has left `queued_bytes` unread; the message is not queued.
    Result<> send(const Json& body, std::vector<UniqueFd> descriptors = {});
    // The same for a body that is serialised already (no NUL in it).
    Result<> send_text(Text body, std::vector<UniqueFd> descriptors = {});
    // Writes what the socket takes; true when nothing is left. EPIPE and ECONNRESET are Code::lost,
    // also for what is sent later; what the peer said before can still be received.
    Result<bool> flush();
    [[nodiscard]] bool wants_write() const { return !outgoing_.empty(); }

    [[nodiscard]] int fd() const { return socket_.get(); }
    [[nodiscard]] UniqueFd take_socket() && { return std::move(socket_); }

private:
    struct Outgoing {
        Text text;
        std::size_t size = 0;  // with the NUL that ends it
        std::vector<UniqueFd> descriptors;
        std::size_t sent = 0;
    };
    // Descriptors of the message whose first byte is at `begin` of the input.
    struct Arrived {
        std::size_t begin = 0;
        std::vector<UniqueFd> fds;
    };

    Result<> receive_into(ReceivedText& out);
    Result<std::size_t> read_some();
    Result<> take_descriptors(msghdr& header, std::size_t read_from);
    Result<bool> next_message(ReceivedText& out);
    Result<bool> send_some(Outgoing& message);
    [[nodiscard]] std::unexpected<Error> break_off(Error error);

    UniqueFd socket_;
    Limits limits_;
    std::string incoming_;         // bytes received and not yet dropped
    std::size_t begin_ = 0;        // of the first message not yet returned, in incoming_
    std::size_t scanned_ = 0;      // no NUL in [begin_, scanned_)
    std::deque<Arrived> arrived_;  // for messages not yet returned
    std::deque<Outgoing> outgoing_;
    std::size_t queued_ = 0;
    bool closed_ = false;
    std::optional<Error> broken_;
    std::optional<Error> deaf_;  // the peer has hung up; what it said before can be read
};

// Parses a message within `limits` (depth, members), which must be a JSON object.
Result<Json> parse_object(std::string_view text, const Limits& limits = {});

// Varlink messages.
struct Call {
    std::string method;  // `io.vfbroker.Lease`
    Json parameters;     // always an object
    bool oneway = false;
    bool more = false;
};
// Code::protocol unless it is a well-formed call; missing, null and {} parameters are the same.
Result<Call> parse_call(const Json& body);
Json make_reply(Json parameters, bool continues = false);
Json make_error(std::string_view name, Json parameters);

// Error <-> the parameters of io.vfbroker.Failed. Both sides carry message and hint unchanged;
// causes are in the message only. Missing or mistyped members become empty.
Json to_json(const Error& error);
Error error_from_json(const Json& parameters);

// The interface definition, for GetInterfaceDescription (src/proto/io.vfbroker.varlink).
std::string_view interface_description();
// That of org.varlink.service itself.
std::string_view service_description();
inline constexpr std::string_view kInterface = "io.vfbroker";
inline constexpr std::string_view kServiceInterface = "org.varlink.service";
inline constexpr std::string_view kFailed = "io.vfbroker.Failed";
inline constexpr std::string_view kSocketPath = "/run/vfbroker/vfbroker.sock";

}  // namespace vfb::proto
