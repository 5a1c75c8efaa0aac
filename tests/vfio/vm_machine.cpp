// SPDX-License-Identifier: GPL-2.0-or-later
#include "vm_machine.hpp"

#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstdlib>

#include "pci/binding.hpp"
#include "pci/sriov.hpp"

namespace vfb::vfio::test {

pci::Address at(std::string_view text) {
    return pci::Address::parse(text).value();
}

bool full_kernel() {
    const char* kernel = std::getenv("VFB_VM");
    return kernel != nullptr && std::string_view(kernel) == "full";
}

std::vector<Backend> backends() {
    if (full_kernel()) return {Backend::iommufd, Backend::group};
    return {Backend::group};
}

Other::Other(const std::function<bool()>& take) {
    int pipe[2];
    if (::pipe(pipe) != 0) throw std::runtime_error("no pipe");
    pid_ = ::fork();
    if (pid_ == 0) {
        const char answer = take() ? 'y' : 'n';
        (void)!::write(pipe[1], &answer, 1);
        for (;;) ::pause();
    }
    char answer = 0;
    ::close(pipe[1]);
    took_ = ::read(pipe[0], &answer, 1) == 1 && answer == 'y';
    ::close(pipe[0]);
}

void Other::end() {
    if (pid_ <= 0) return;
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
    pid_ = 0;
}

void WithVfs::SetUp() {
    if (std::getenv("VFB_VM") == nullptr) GTEST_SKIP() << "only inside the emulated machine";
    auto created = pci::create_vfs(root, pf(), 2, std::chrono::seconds(60));
    ASSERT_TRUE(created.has_value()) << created.error().message();
    vfs = *created;
    for (const pci::Address& vf : vfs) {
        const auto bound = pci::bind(root, vf, "vfio-pci");
        ASSERT_TRUE(bound.has_value()) << bound.error().message();
    }
}

void WithVfs::TearDown() {
    if (vfs.empty()) return;
    const auto removed = pci::remove_vfs(root, pf());
    EXPECT_TRUE(removed.has_value()) << removed.error().message();
}

}  // namespace vfb::vfio::test
