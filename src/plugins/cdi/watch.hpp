// SPDX-License-Identifier: GPL-2.0-or-later
//
// Keeps the CDI specifications of all pools true, as long as vfbrokerd runs.
#pragma once

#include <functional>
#include <string>

#include "base/result.hpp"
#include "base/sys_root.hpp"
#include "client/client.hpp"
#include "spec.hpp"

namespace vfb::cdi {

struct Where {
    std::string socket;   // of vfbrokerd
    std::string folder;   // of specifications
    std::string program;  // that hooks start
};

using Complain = std::function<void(const Error&)>;

// What vfbrokerd has now. Pools that cannot be offered are complained of and left out.
Result<std::vector<Pool>> read_pools(client::Client& client, const SysRoot& root,
                                     const Complain& complain);
// Writes them once.
Result<> write_specs(const Where& where, const SysRoot& root, const Complain& complain);
// Writes them now and after every change, until vfbrokerd ends, which is the Error; `written` after
// the first time.
Result<> keep_specs(const Where& where, const SysRoot& root, const Complain& complain,
                    const std::function<void()>& written);

}  // namespace vfb::cdi
