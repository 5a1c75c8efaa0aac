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
      wake_(::eventfd(0, EFD_CLOEXEC)),
      thread_([this] { run(); }) {}

FakeBroker::~FakeBroker() {
    post([this] { stop_ = true; });
    thread_.join();
    std::filesystem::remove_all(folder_);
}

std::vector<proto::Call> FakeBroker::calls() const {
    const std::lock_guard lock(mutex_);
    return calls_;
}

void FakeBroker::wait_for_calls(std::size_t count) const {
    const Deadline deadline(std::chrono::seconds(5));
    while (calls().size() < count && !deadline.expired())
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
}

std::size_t FakeBroker::connections(std::size_t expected) const {
    const Deadline deadline(std::chrono::seconds(5));
    while (open_count_ != expected && !deadline.expired())
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
    return open_count_;
}

void FakeBroker::post(std::function<void()> task) {
    {
        const std::lock_guard lock(mutex_);
        tasks_.push_back(std::move(task));
    }
    require(::eventfd_write(wake_.get(), 1) == 0);
}

void FakeBroker::say(const std::string& method, proto::Json body) {
    post([this, method, body = std::move(body)] {
        for (auto& [fd, connection] : open_)
            if (called_[fd] == method) require(connection.send(body) && flush(connection));
    });
}

void FakeBroker::hang_up(const std::string& method) {
    post([this, method] {
        std::erase_if(open_, [&](const auto& entry) { return called_[entry.first] == method; });
    });
}

bool FakeBroker::flush(proto::Connection& connection) {
    while (connection.wants_write()) {
        if (!connection.flush()) return false;
        pollfd poll{.fd = connection.fd(), .events = POLLOUT, .revents = 0};
        if (connection.wants_write()) ::poll(&poll, 1, 1000);
    }
    return true;
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
            called_[connection.fd()] = call->method;
        }
        auto answer = handler_(*call);
        if (!answer.body.is_null() && !connection.send(answer.body, std::move(answer.descriptors)))
            return false;
        if (!flush(connection)) return false;
        if (answer.hang_up) return false;
    }
    return !received->closed;
}

void FakeBroker::run() {
    while (true) {
        std::vector<pollfd> polls{{.fd = wake_.get(), .events = POLLIN, .revents = 0},
                                  {.fd = listener_.get(), .events = POLLIN, .revents = 0}};
        for (const auto& [fd, connection] : open_)
            polls.push_back({.fd = fd, .events = POLLIN, .revents = 0});
        require(::poll(polls.data(), polls.size(), -1) >= 0);
        if (polls[0].revents != 0) {
            eventfd_t count = 0;
            require(::eventfd_read(wake_.get(), &count) == 0);
            std::vector<std::function<void()>> tasks;
            {
                const std::lock_guard lock(mutex_);
                tasks.swap(tasks_);
            }
            for (const auto& task : tasks) task();
            if (stop_) return;
            open_count_ = open_.size();
            continue;
        }
        for (std::size_t i = 2; i < polls.size(); ++i)
            if (polls[i].revents != 0 && !serve(open_.at(polls[i].fd))) open_.erase(polls[i].fd);
        if (polls[1].revents != 0) {
            UniqueFd socket(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
            const int fd = socket.get();
            called_.erase(fd);
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
