// SPDX-License-Identifier: GPL-2.0-or-later
//
// Users and groups by the system's database.
#include <grp.h>
#include <pwd.h>

#include <cerrno>
#include <vector>

#include "broker/config.hpp"

namespace vfb::broker {
namespace {

// A group of thousands of members is large; without a bound a broken database would eat all memory.
constexpr std::size_t kFirstBuffer = 4096;
constexpr std::size_t kLargestBuffer = 4 * 1024 * 1024;

// getpwnam_r and getgrnam_r differ in their types only.
template <class Entry, class Id>
Result<std::optional<Id>> look_up(const std::string& name, Id Entry::* id,
                                  int (*get)(const char*, Entry*, char*, std::size_t, Entry**)) {
    std::vector<char> buffer(kFirstBuffer);
    for (;;) {
        Entry entry{};
        Entry* found = nullptr;
        const int error = get(name.c_str(), &entry, buffer.data(), buffer.size(), &found);
        if (found != nullptr) return entry.*id;
        if (error == EINTR) continue;
        if (error == ERANGE && buffer.size() < kLargestBuffer) {
            buffer.resize(2 * buffer.size());
            continue;
        }
        // What "not found" is varies: getpwnam(3) lists these.
        if (error == 0 || error == ENOENT || error == ESRCH || error == EBADF || error == EPERM)
            return std::nullopt;
        return fail_errno(error, "look up the account '" + name + "'", name);
    }
}

class SystemAccounts final : public AccountResolver {
public:
    [[nodiscard]] Result<std::optional<uid_t>> uid_of(const std::string& user) const override {
        return look_up(user, &passwd::pw_uid, getpwnam_r);
    }
    [[nodiscard]] Result<std::optional<gid_t>> gid_of(const std::string& group) const override {
        return look_up(group, &::group::gr_gid, getgrnam_r);
    }
};

}  // namespace

const AccountResolver& system_accounts() {
    static const SystemAccounts accounts;
    return accounts;
}

}  // namespace vfb::broker
