// SPDX-License-Identifier: GPL-2.0-or-later
#include "fake_qemu.hpp"

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <array>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <stdexcept>

namespace vfb::test {
namespace {

std::string make_folder() {
    std::string name = "/tmp/vfb-qemu-XXXXXX";
    if (::mkdtemp(name.data()) == nullptr) throw std::runtime_error("mkdtemp");
    return name;
}

UniqueFd listen_at(const std::string& path) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
    UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    if (::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 ||
        ::listen(fd.get(), 4) != 0)
        throw std::runtime_error("cannot listen");
    return fd;
}

// Bytes that came, and how many descriptors with them.
std::pair<std::string, std::size_t> receive(int peer) {
    std::array<char, 4096> bytes{};
    alignas(cmsghdr) std::array<char, CMSG_SPACE(8 * sizeof(int))> control{};
    iovec data{.iov_base = bytes.data(), .iov_len = bytes.size()};
    msghdr header{};
    header.msg_iov = &data;
    header.msg_iovlen = 1;
    header.msg_control = control.data();
    header.msg_controllen = control.size();
    const ssize_t count = ::recvmsg(peer, &header, MSG_CMSG_CLOEXEC);
    std::size_t descriptors = 0;
    for (cmsghdr* part = CMSG_FIRSTHDR(&header); part != nullptr;
         part = CMSG_NXTHDR(&header, part)) {
        if (part->cmsg_type != SCM_RIGHTS) continue;
        const std::size_t many = (part->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (std::size_t i = 0; i < many; ++i) {
            int fd = -1;
            std::memcpy(&fd, CMSG_DATA(part) + i * sizeof fd, sizeof fd);
            ::close(fd);
        }
        descriptors += many;
    }
    return {std::string(bytes.data(), count > 0 ? static_cast<std::size_t>(count) : 0),
            descriptors};
}

// A byte at a time: whoever reads gets every split there is.
void send_slowly(int peer, const std::string& text) {
    for (const char byte : text)
        if (::send(peer, &byte, 1, MSG_NOSIGNAL) != 1) return;
}

}  // namespace

FakeQemu::FakeQemu(Handler handler, std::string greeting)
    : handler_(std::move(handler)),
      greeting_(std::move(greeting)),
      folder_(make_folder()),
      path_(folder_ + "/qmp"),
      listener_(listen_at(path_)),
      stop_(::eventfd(0, EFD_CLOEXEC)),
      thread_([this] { run(); }) {}

FakeQemu::~FakeQemu() {
    ::eventfd_write(stop_.get(), 1);
    thread_.join();
    std::filesystem::remove_all(folder_);
}

void FakeQemu::run() {
    std::array<pollfd, 2> polls{{{.fd = stop_.get(), .events = POLLIN, .revents = 0},
                                 {.fd = listener_.get(), .events = POLLIN, .revents = 0}}};
    while (::poll(polls.data(), polls.size(), -1) >= 0 && polls[0].revents == 0) {
        const UniqueFd peer(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
        send_slowly(peer.get(), greeting_);
        serve(peer.get());
    }
}

void FakeQemu::serve(int peer) {
    std::array<pollfd, 2> polls{{{.fd = stop_.get(), .events = POLLIN, .revents = 0},
                                 {.fd = peer, .events = POLLIN, .revents = 0}}};
    std::string input;
    std::size_t descriptors = 0;
    while (::poll(polls.data(), polls.size(), -1) >= 0 && polls[0].revents == 0) {
        const auto [bytes, arrived] = receive(peer);
        if (bytes.empty()) return;
        input += bytes;
        descriptors += arrived;
        for (auto end = input.find('\n'); end != std::string::npos; end = input.find('\n')) {
            if (!answer(peer, input.substr(0, end), descriptors)) return;
            descriptors = 0;
            input.erase(0, end + 1);
        }
    }
}

bool FakeQemu::answer(int peer, const std::string& line, std::size_t descriptors) {
    const auto body = proto::Json::parse(line);
    const Command command{.name = body["execute"],
                          .arguments = body.value("arguments", proto::Json::object()),
                          .descriptors = descriptors};
    std::string text = returns(proto::Json::object());
    if (command.name != "qmp_capabilities") {
        const std::lock_guard lock(mutex_);
        commands_.push_back(command);
        text = handler_(command);
    }
    for (auto at = text.find("\"ID\""); at != std::string::npos; at = text.find("\"ID\""))
        text.replace(at, 4, body["id"].dump());
    send_slowly(peer, text);
    return !text.empty();
}

std::vector<Command> FakeQemu::commands() const {
    const std::lock_guard lock(mutex_);
    return commands_;
}

std::vector<std::string> FakeQemu::names() const {
    std::vector<std::string> names;
    for (const auto& command : commands()) names.push_back(command.name);
    return names;
}

std::string returns(const proto::Json& value) {
    return proto::Json{{"return", value}, {"id", "ID"}}.dump() + "\r\n";
}

std::string refuses(const std::string& error_class, const std::string& description) {
    const proto::Json error = {{"class", error_class}, {"desc", description}};
    return proto::Json{{"error", error}, {"id", "ID"}}.dump() + "\r\n";
}

std::string event(const std::string& name, const std::string& device) {
    const proto::Json data = {{"device", device}, {"path", "/machine/peripheral/" + device}};
    return proto::Json{{"event", name}, {"data", data}}.dump() + "\r\n";
}

}  // namespace vfb::test
