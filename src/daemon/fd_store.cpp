// SPDX-License-Identifier: GPL-2.0-or-later
#include "fd_store.hpp"

#include <fmt/format.h>
#include <sys/socket.h>
#include <systemd/sd-daemon.h>

#include <cstdlib>

namespace vfb::daemon {

FdStore::FdStore() {
    char** names = nullptr;
    const int count = sd_listen_fds_with_names(1, &names);
    for (int i = 0; i < count; ++i) {
        UniqueFd fd(SD_LISTEN_FDS_START + i);
        const std::string name = names != nullptr && names[i] != nullptr ? names[i] : "";
        if (sd_is_socket_unix(fd.get(), SOCK_STREAM, 1, nullptr, 0) > 0)
            listener_ = std::move(fd);
        else
            stored_.emplace(name, std::move(fd));
    }
    if (names != nullptr) {
        for (int i = 0; names[i] != nullptr; ++i) ::free(names[i]);
        ::free(static_cast<void*>(names));
    }
}

UniqueFd FdStore::take(const std::string& name) {
    auto node = stored_.extract(name);
    return node.empty() ? UniqueFd() : std::move(node.mapped());
}

void FdStore::put(const std::string& name, int fd) const {
    (void)sd_pid_notify_with_fds(0, 0, fmt::format("FDSTORE=1\nFDNAME={}", name).c_str(), &fd, 1);
}

void FdStore::remove(const std::string& name) const {
    (void)sd_notifyf(0, "FDSTOREREMOVE=1\nFDNAME=%s", name.c_str());
}

std::string FdStore::connection_name(broker::LeaseId connection) {
    return fmt::format("connection-{}", connection);
}

std::string FdStore::process_name(broker::LeaseId lease) {
    return fmt::format("lease-{}-process", lease);
}

}  // namespace vfb::daemon
