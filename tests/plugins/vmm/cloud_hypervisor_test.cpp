// SPDX-License-Identifier: GPL-2.0-or-later
//
// What goes to Cloud Hypervisor, byte by byte, and with which descriptors. The server here is none
// of Cloud Hypervisor's: it speaks the interface that its docs/api.md and vmm/src/api describe.
#include "vmm/cloud_hypervisor.hpp"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <array>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <thread>

namespace vfb::test {
namespace {

using namespace std::chrono_literals;
using proto::Json;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

// Answers each request by its method and path; keeps the bytes and the inodes of descriptors.
class FakeCloudHypervisor {
public:
    FakeCloudHypervisor() : folder_(make_folder()), thread_([this] { run(); }) {}
    ~FakeCloudHypervisor() {
        ::eventfd_write(stop_.get(), 1);
        thread_.join();
        std::filesystem::remove_all(folder_);
    }
    FakeCloudHypervisor(const FakeCloudHypervisor&) = delete;
    FakeCloudHypervisor& operator=(const FakeCloudHypervisor&) = delete;

    [[nodiscard]] std::string path() const { return folder_ + "/api"; }

    // Read and set between requests only.
    Json info = {{"config",
                  {{"memory", {{"size", 1 << 30}, {"hotplug_size", nullptr}}},
                   {"platform", {{"iommufd", true}}}}},
                 {"device_tree", Json::object()}};
    std::string refusal;
    std::vector<std::string> puts;
    std::vector<ino_t> inodes;

private:
    static std::string make_folder() {
        std::string name = "/tmp/vfb-ch-XXXXXX";
        EXPECT_NE(::mkdtemp(name.data()), nullptr);
        return name;
    }
    void run() {
        const UniqueFd peer(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
        std::array<pollfd, 2> polls{{{.fd = stop_.get(), .events = POLLIN, .revents = 0},
                                     {.fd = peer.get(), .events = POLLIN, .revents = 0}}};
        while (::poll(polls.data(), polls.size(), -1) >= 0 && polls[0].revents == 0) {
            const std::string request = receive(peer.get());
            if (request.empty()) return;
            const std::string response = respond(request);
            // In two parts, as a server may send it.
            ::send(peer.get(), response.data(), 20, MSG_NOSIGNAL);
            ::send(peer.get(), response.data() + 20, response.size() - 20, MSG_NOSIGNAL);
        }
    }
    std::string receive(int peer) {
        std::array<char, 8192> bytes{};
        alignas(cmsghdr) std::array<char, CMSG_SPACE(8 * sizeof(int))> control{};
        iovec data{.iov_base = bytes.data(), .iov_len = bytes.size()};
        msghdr header{};
        header.msg_iov = &data;
        header.msg_iovlen = 1;
        header.msg_control = control.data();
        header.msg_controllen = control.size();
        const ssize_t count = ::recvmsg(peer, &header, MSG_CMSG_CLOEXEC);
        const cmsghdr* part = CMSG_FIRSTHDR(&header);
        for (std::size_t i = 0; part != nullptr && i < (part->cmsg_len - CMSG_LEN(0)) / 4; ++i) {
            int fd = -1;
            std::memcpy(&fd, CMSG_DATA(part) + i * sizeof fd, sizeof fd);
            struct stat status{};
            ::fstat(fd, &status);
            inodes.push_back(status.st_ino);
            ::close(fd);
        }
        return {bytes.data(), count > 0 ? static_cast<std::size_t>(count) : 0};
    }
    std::string respond(const std::string& request) {
        if (request.starts_with("GET /api/v1/vm.info HTTP/1.1\r\n")) {
            const std::string body = info.dump();
            return "HTTP/1.1 200 OK\r\nServer: Cloud Hypervisor API\r\nContent-Length: " +
                   std::to_string(body.size()) + "\r\n\r\n" + body;
        }
        puts.push_back(request);
        if (!refusal.empty())
            return "HTTP/1.1 500 Internal Server Error\r\ncontent-length: " +
                   std::to_string(refusal.size()) + "\r\n\r\n" + refusal;
        return "HTTP/1.1 204 No Content\r\nServer: Cloud Hypervisor API\r\n\r\n";
    }

    std::string folder_;
    UniqueFd listener_{listen()};
    UniqueFd stop_{::eventfd(0, EFD_CLOEXEC)};
    std::thread thread_;

    UniqueFd listen() const {
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        std::memcpy(address.sun_path, path().c_str(), path().size() + 1);
        UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
        EXPECT_EQ(::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
        EXPECT_EQ(::listen(fd.get(), 4), 0);
        return fd;
    }
};

class CloudHypervisor : public ::testing::Test {
protected:
    void SetUp() override {
        auto connected = vmm::CloudHypervisor::connect(server.path());
        ASSERT_TRUE(connected) << connected.error().message();
        vmm = std::move(*connected);
    }
    client::Lease lease(bool descriptors) {
        client::Lease lease;
        lease.id = 12;
        lease.backend = descriptors ? "iommufd" : "group";
        client::LeasedFunction function{
            .address = "0000:01:10.0", .generation = 1, .node = {}, .netdev = {}, .descriptor = {}};
        if (descriptors) {
            lease.context = UniqueFd(::open("/dev/zero", O_RDWR | O_CLOEXEC));
            function.descriptor = UniqueFd(::open("/dev/null", O_RDWR | O_CLOEXEC));
        }
        lease.functions.push_back(std::move(function));
        return lease;
    }

    FakeCloudHypervisor server;
    std::unique_ptr<vmm::Vmm> vmm;
};

TEST_F(CloudHypervisor, GetsTheCdevWithTheRequest) {
    EXPECT_EQ(vmm->process().pid, ::getpid());
    ASSERT_TRUE(vmm->plug(lease(true), {"pci_segment=1", "iommu=on"}));
    EXPECT_THAT(server.puts, ElementsAre("PUT /api/v1/vm.add-device HTTP/1.1\r\n"
                                         "Host: localhost\r\n"
                                         "Accept: application/json\r\n"
                                         "Content-Type: application/json\r\n"
                                         "Content-Length: 50\r\n"
                                         "\r\n"
                                         R"({"id":"vfbroker12-0","pci_segment":1,"iommu":true})"));
    struct stat null{};
    ASSERT_EQ(::stat("/dev/null", &null), 0);
    EXPECT_THAT(server.inodes, ElementsAre(null.st_ino));
}

TEST_F(CloudHypervisor, OpensAPathByItself) {
    server.info["config"].erase("platform");
    ASSERT_TRUE(vmm->plug(lease(false), {}));
    ASSERT_EQ(server.puts.size(), 1u);
    EXPECT_THAT(server.puts[0], HasSubstr("\r\n\r\n"
                                          R"({"id":"vfbroker12-0",)"
                                          R"("path":"/sys/bus/pci/devices/0000:01:10.0/"})"));
    EXPECT_TRUE(server.inodes.empty());
}

TEST_F(CloudHypervisor, NeedsToBeStartedForIommufd) {
    server.info["config"]["platform"]["iommufd"] = false;
    const auto refused = vmm->plug(lease(true), {});
    EXPECT_EQ(refused.error().code, Code::unsupported);
    EXPECT_THAT(refused.error().hint, HasSubstr("--platform iommufd=on"));
    EXPECT_TRUE(server.puts.empty());
}

TEST_F(CloudHypervisor, RefusalsAreItsOwnText) {
    server.refusal = R"(["Error from API"])";
    EXPECT_EQ(vmm->plug(lease(true), {}).error().message(),
              "cannot plug 0000:01:10.0 into the guest: it says (HTTP 500): [\"Error from API\"]");
}

TEST_F(CloudHypervisor, RemovesWhatIsThere) {
    server.info["device_tree"] = {{"vfbroker12-0", Json::object()}};
    EXPECT_EQ(vmm->has({.lease = 12, .count = 1}), true);
    EXPECT_EQ(vmm->has({.lease = 12, .count = 2}), false);
    ASSERT_TRUE(vmm->unplug({.lease = 12, .count = 2}, 1s));
    ASSERT_EQ(server.puts.size(), 1u);
    EXPECT_THAT(server.puts[0], HasSubstr("PUT /api/v1/vm.remove-device HTTP/1.1\r\n"));
    EXPECT_THAT(server.puts[0], HasSubstr("\r\n\r\n"
                                          R"({"id":"vfbroker12-0"})"));
}

TEST_F(CloudHypervisor, MemoryOfAllZones) {
    server.info["config"]["memory"] = {
        {"size", 0}, {"zones", {{{"size", 1 << 20}}, {{"size", 2 << 20}, {"hotplug_size", 1}}}}};
    EXPECT_EQ(vmm->pinned_memory(1), (3U << 20) + 1);
}

}  // namespace
}  // namespace vfb::test
