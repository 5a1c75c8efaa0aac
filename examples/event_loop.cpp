// SPDX-License-Identifier: GPL-2.0-or-later
//
// event_loop POOL [SOCKET]
//
// Leases a function without ever blocking, as a VMM would from the loop that serves its guest, and
// holds it until it is lost, asked for, or the program gets SIGTERM or SIGINT. CMakeLists.txt
// builds it.
#include <poll.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <iostream>
#include <optional>
#include <system_error>
#include <vfbroker/vfbroker.hpp>

namespace {

// Readable when the program is told to end.
int end_signals() {
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    sigprocmask(SIG_BLOCK, &signals, nullptr);
    return signalfd(-1, &signals, SFD_CLOEXEC);
}

class Holder {
public:
    Holder(const std::string& pool, const char* socket) : connection_(socket) {
        connection_.start_lease(pool);
        std::cout << "started" << std::endl;
    }

    int poll_fd() const { return connection_.poll_fd(); }

    // To be called when poll_fd() is readable; false when there is nothing to hold any more.
    bool on_readable() {
        connection_.dispatch();
        if (!lease_) take_lease();
        while (const auto event = connection_.next_event())
            if (!handle(*event)) return false;
        return true;
    }

    void give_back() {
        if (!lease_) return;
        connection_.release(*lease_);
        lease_.reset();
        std::cout << "released" << std::endl;
    }

private:
    void take_lease() {
        lease_ = connection_.lease_result();
        if (!lease_) return;
        connection_.watch(*lease_);
        std::cout << "lease " << lease_->id() << '\n';
        for (const auto& descriptor : lease_->descriptors()) {
            std::cout << "descriptor " << descriptor.fd << ": " << vfb_role_name(descriptor.role);
            if (descriptor.address != nullptr) std::cout << " of " << descriptor.address;
            std::cout << '\n';
        }
        std::cout << std::flush;
    }

    bool handle(const vfbroker::Event& event) {
        switch (event.type()) {
            case VFB_LEASE_LOST:
                std::cout << "lost " << event.address() << std::endl;
                return false;
            case VFB_LEASE_WANTED:
                std::cout << "wanted: " << event.reason() << std::endl;
                return false;
            case VFB_LEASE_ENDED:
                std::cout << "ended: " << event.reason() << std::endl;
                lease_.reset();
                return false;
            case VFB_LEASE_UNWANTED:
                break;
        }
        return true;
    }

    vfbroker::Connection connection_;
    std::optional<vfbroker::Lease> lease_;
};

void run(const std::string& pool, const char* socket) {
    const int signals = end_signals();
    Holder holder(pool, socket);
    std::array<pollfd, 2> waits{{{signals, POLLIN, 0}, {holder.poll_fd(), POLLIN, 0}}};
    bool holding = true;
    while (holding) {
        if (poll(waits.data(), waits.size(), -1) < 0 && errno != EINTR)
            throw std::system_error(errno, std::generic_category(), "poll");
        if (waits[1].revents != 0) holding = holder.on_readable();
        if (waits[0].revents != 0) holding = false;
    }
    holder.give_back();
    close(signals);
}

}  // namespace

int main(int argc, char** argv) {
    if (argc < 2 || argc > 3) {
        std::cerr << "Usage: " << argv[0] << " POOL [SOCKET]\n";
        return 2;
    }
    try {
        run(argv[1], argc > 2 ? argv[2] : nullptr);
    } catch (const vfbroker::Error& error) {
        std::cerr << "event_loop: " << error.what() << '\n';
        if (!error.hint().empty()) std::cerr << "hint: " << error.hint() << '\n';
        return 1;
    } catch (const std::exception& error) {
        std::cerr << "event_loop: " << error.what() << '\n';
        return 1;
    }
    return 0;
}
