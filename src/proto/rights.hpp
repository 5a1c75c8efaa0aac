// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Descriptors as they travel beside a message: cmsg(3), SCM_RIGHTS of unix(7).
#pragma once

#include <sys/socket.h>

#include <array>
#include <cstddef>

namespace vfb::proto {

inline constexpr std::size_t kScmMaxFd = 253;  // the kernel's bound of one SCM_RIGHTS

// Room for one SCM_RIGHTS of the most descriptors, aligned as the kernel wants it.
struct alignas(cmsghdr) Control {
    std::array<char, CMSG_SPACE(sizeof(int) * kScmMaxFd)> bytes{};
};

}  // namespace vfb::proto
