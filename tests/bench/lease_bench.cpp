// SPDX-License-Identifier: GPL-2.0-or-later
//
// lease_bench POOL ADDRESS ROUNDS: from the wish for a function to its descriptors in hand, by
// vfbroker, and by the floor: a second process that makes the same system calls when asked (opens
// the function's cdev and a fresh iommufd context, sets its accounting, passes both over a socket).
// Runs inside the emulated machine, with vfbrokerd, on the kernel with iommufd. The two alternate,
// so that whatever else the machine does meets both.
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <cstring>
#include <filesystem>

#include "samples.hpp"
#include "vfbroker/vfbroker.h"

namespace {

// From uapi/linux/iommufd.h, which Debian 12 does not have: IOMMU_OPTION, rlimit mode.
struct IommuOption {
    std::uint32_t size = sizeof(IommuOption);
    std::uint32_t option_id = 0;  // IOMMU_OPTION_RLIMIT_MODE
    std::uint16_t op = 0;         // IOMMU_OPTION_OP_SET
    std::uint16_t reserved = 0;
    std::uint32_t object_id = 0;
    std::uint64_t value = 1;
};
constexpr unsigned long kIommuOption = _IO(';', 0x87);

[[noreturn]] void die(const std::string& what) {
    fmt::print(stderr, "lease_bench: {}: {}\n", what, std::strerror(errno));
    std::exit(1);
}

void send_descriptors(int socket, const std::array<int, 2>& fds) {
    char byte = 'x';
    iovec data{.iov_base = &byte, .iov_len = 1};
    alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof fds)> control{};
    msghdr message{};
    message.msg_iov = &data;
    message.msg_iovlen = 1;
    message.msg_control = control.data();
    message.msg_controllen = control.size();
    cmsghdr* header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof fds);
    std::memcpy(CMSG_DATA(header), fds.data(), sizeof fds);
    if (::sendmsg(socket, &message, 0) != 1) die("sendmsg");
}

bool receive_descriptors(int socket) {
    char byte = 0;
    std::array<int, 2> fds{};
    iovec data{.iov_base = &byte, .iov_len = 1};
    alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof fds)> control{};
    msghdr message{};
    message.msg_iov = &data;
    message.msg_iovlen = 1;
    message.msg_control = control.data();
    message.msg_controllen = control.size();
    if (::recvmsg(socket, &message, MSG_CMSG_CLOEXEC) != 1) die("recvmsg");
    std::memcpy(fds.data(), CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof fds);
    for (const int fd : fds) ::close(fd);
    return true;
}

// The other process of the floor.
[[noreturn]] void serve_bare(int socket, const std::string& cdev) {
    char byte = 0;
    while (::read(socket, &byte, 1) == 1) {
        const int device = ::open(cdev.c_str(), O_RDWR | O_CLOEXEC);
        const int context = ::open("/dev/iommu", O_RDWR | O_CLOEXEC);
        IommuOption option;
        if (device < 0 || context < 0 || ::ioctl(context, kIommuOption, &option) != 0)
            die("open " + cdev);
        send_descriptors(socket, {context, device});
        ::close(device);
        ::close(context);
    }
    std::_Exit(0);
}

std::string cdev_of(const std::string& address) {
    const auto folder = "/sys/bus/pci/devices/" + address + "/vfio-dev";
    for (const auto& entry : std::filesystem::directory_iterator(folder))
        return "/dev/vfio/devices/" + entry.path().filename().string();
    die("find the cdev of " + address);
}

}  // namespace

int main(int argc, char** argv) {
    if (argc != 4) {
        fmt::print(stderr, "usage: lease_bench POOL ADDRESS ROUNDS\n");
        return 2;
    }
    std::array<int, 2> ends{};
    if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()) != 0) die("socketpair");
    if (::fork() == 0) {
        ::close(ends[0]);
        serve_bare(ends[1], cdev_of(argv[2]));
    }
    ::close(ends[1]);

    vfb_connection* connection = nullptr;
    vfb_error* error = nullptr;
    if (vfb_connect(nullptr, &connection, &error) != VFB_OK) {
        fmt::print(stderr, "lease_bench: {}\n", vfb_error_message(error));
        return 1;
    }
    vfb_lease_options options = VFB_LEASE_OPTIONS_INIT;
    vfb::bench::Samples bare;
    vfb::bench::Samples brokered;
    const int rounds = std::atoi(argv[3]);
    for (int round = 0; round < rounds; ++round) {
        (void)bare.time([&] {
            if (::write(ends[0], "x", 1) != 1) die("write");
            return receive_descriptors(ends[0]);
        });
        vfb_lease_handle* lease = nullptr;
        // Another function may still be in its scrub; that there is a clean one is waited for
        // outside of what is measured.
        const auto code =
            brokered.time([&] { return vfb_lease(connection, argv[1], &options, &lease, &error); });
        if (code != VFB_OK) {
            fmt::print(stderr, "lease_bench: {}\n", vfb_error_message(error));
            return 1;
        }
        if (vfb_release(connection, lease, &error) != VFB_OK) return 1;
        // Until it is clean again: three FLRs at most.
        ::usleep(700'000);
    }
    fmt::print("lease_p50 {:.2f} {:.0f} {:.0f}\n", brokered.percentile(0.5) / bare.percentile(0.5),
               brokered.percentile(0.5), bare.percentile(0.5));
    fmt::print("lease_p99 {:.2f} {:.0f} {:.0f}\n",
               brokered.percentile(0.99) / bare.percentile(0.99), brokered.percentile(0.99),
               bare.percentile(0.99));
    vfb_close(connection);
    ::close(ends[0]);
    ::wait(nullptr);
    return 0;
}
