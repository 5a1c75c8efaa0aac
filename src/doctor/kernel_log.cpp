// SPDX-License-Identifier: GPL-2.0-or-later
#include "kernel_log.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <ranges>
#include <string_view>

namespace vfb::doctor {
namespace {

constexpr std::size_t kMostRecords = 100'000;

// `6,339,5140900,-;igb 0000:01:00.0: ...`; lines that begin with a space belong to the one before.
void add_records(std::string_view text, std::vector<std::string>& messages) {
    for (const auto part : text | std::views::split('\n')) {
        const std::string_view line(part);
        const auto end = line.find(';');
        if (line.empty() || line.front() == ' ' || end == std::string_view::npos) continue;
        messages.emplace_back(line.substr(end + 1));
    }
}

}  // namespace

Result<std::vector<std::string>> read_kernel_log(const SysRoot& root) {
    const std::string operation = "read " + root.dev().path("kmsg");
    const std::string hint =
        "root reads it: dmesg | grep -e 'no space' -e SR-IOV -e 'out of range' -e RMRR";
    auto fd = root.dev().open_file("kmsg", O_RDONLY | O_NONBLOCK);
    if (!fd) return std::unexpected(std::move(fd).error().with_hint(hint));
    // From where `dmesg --clear` was said last: what was mended can be put behind. Where that does
    // not work, from the beginning.
    (void)::lseek(fd->get(), 0, SEEK_DATA);
    std::vector<std::string> messages;
    std::array<char, 8192> record{};
    while (messages.size() < kMostRecords) {
        // A record a call; a recorded tree has a file, which a call may break in two.
        const ssize_t n = ::read(fd->get(), record.data(), record.size());
        if (n < 0 && (errno == EINTR || errno == EPIPE)) continue;  // EPIPE: overwritten meanwhile
        if (n < 0 && errno == EAGAIN) break;
        if (n < 0) return fail_errno(errno, operation, root.dev().path("kmsg"), {}, hint);
        if (n == 0) break;
        add_records({record.data(), static_cast<std::size_t>(n)}, messages);
    }
    return messages;
}

}  // namespace vfb::doctor
