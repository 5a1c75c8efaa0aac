// SPDX-License-Identifier: GPL-2.0-or-later
#include "fake_broker.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <filesystem>

namespace vfb::test {
namespace {

void require(bool holds) {
    if (!holds) std::abort();
}

std::string new_folder() {
    std::string name = std::filesystem::temp_directory_path() / "vfbroker-test-XXXXXX";
    require(::mkdtemp(name.data()) != nullptr);
    return name;
}

UniqueFd listen_at(const std::string& path) {
    UniqueFd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    require(path.size() < sizeof address.sun_path);
    std::memcpy(address.sun_path, path.data(), path.size());
    const auto* generic = reinterpret_cast<const sockaddr*>(&address);
    require(::bind(socket.get(), generic, sizeof address) == 0);
    require(::listen(socket.get(), 16) == 0);
    return socket;
}

}  // namespace

FakeBroker::FakeBroker(Handler handler)
    : handler_(std::move(handler)),
      folder_(new_folder()),
      path_(folder_ + "/vfbroker.sock"),
      listener_(listen_at(path_)),
      stop_(::eventfd(0, EFD_CLOEXEC)),
      thread_([this] { run(); }) {}

FakeBroker::~FakeBroker() {
    require(::eventfd_write(stop_.get(), 1) == 0);
    thread_.join();
    std::filesystem::remove_all(folder_);
}

std::vector<proto::Call> FakeBroker::calls() const {
    const std::lock_guard lock(mutex_);
    return calls_;
}

std::size_t FakeBroker::connections(std::size_t expected) const {
    const Deadline deadline(std::chrono::seconds(5));
    while (open_count_ != expected && !deadline.expired())
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
    return open_count_;
}

// One round of what came; false when the connection is over.
bool FakeBroker::serve(proto::Connection& connection) {
    auto received = connection.receive();
    if (!received) return false;
    for (const auto& message : received->messages) {
        const auto call = proto::parse_call(message.body);
        if (!call) return false;
        {
            const std::lock_guard lock(mutex_);
            calls_.push_back(*call);
        }
        auto answer = handler_(*call);
        if (!answer.body.is_null() && !connection.send(answer.body, std::move(answer.descriptors)))
            return false;
        while (connection.wants_write()) {
            if (!connection.flush()) return false;
            pollfd poll{.fd = connection.fd(), .events = POLLOUT, .revents = 0};
            if (connection.wants_write()) ::poll(&poll, 1, 1000);
        }
        if (answer.hang_up) return false;
    }
    return !received->closed;
}

void FakeBroker::run() {
    while (true) {
        std::vector<pollfd> polls{{.fd = stop_.get(), .events = POLLIN, .revents = 0},
                                  {.fd = listener_.get(), .events = POLLIN, .revents = 0}};
        for (const auto& [fd, connection] : open_)
            polls.push_back({.fd = fd, .events = POLLIN, .revents = 0});
        require(::poll(polls.data(), polls.size(), -1) >= 0);
        if (polls[0].revents != 0) return;
        for (std::size_t i = 2; i < polls.size(); ++i)
            if (polls[i].revents != 0 && !serve(open_.at(polls[i].fd))) open_.erase(polls[i].fd);
        if (polls[1].revents != 0) {
            UniqueFd socket(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
            const int fd = socket.get();
            if (fd >= 0) open_.emplace(fd, proto::Connection(std::move(socket)));
        }
        open_count_ = open_.size();
    }
}

UniqueFd some_descriptor() {
    std::array<int, 2> fds{};
    require(::pipe2(fds.data(), O_CLOEXEC) == 0);
    const UniqueFd write_end(fds[1]);
    return UniqueFd(fds[0]);
}

}  // namespace vfb::test
