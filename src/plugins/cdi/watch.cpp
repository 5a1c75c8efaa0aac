// SPDX-License-Identifier: GPL-2.0-or-later
#include "watch.hpp"

#include <set>
#include <utility>

#include "client/functions.hpp"
#include "folder.hpp"
#include "nodes.hpp"

namespace vfb::cdi {
namespace {

using client::Client;
using proto::Json;

std::unexpected<Error> unusable() {
    return fail(Code::protocol, "read the pools of vfbrokerd", {}, "its answer is not as expected",
                "vfbrokerd and vfbroker-cdi may differ in version");
}

// What a lease gets that does not say.
Result<std::string> usual_backend(Client& client) {
    VFB_TRY(const auto reply, client.call("Status", Json::object()));
    const auto backends = reply.parameters.find("backends");
    if (backends == reply.parameters.end() || !backends->is_array()) return unusable();
    if (backends->empty())
        return fail(Code::unsupported, "offer pools to containers", "VFIO",
                    "this kernel has no VFIO backend", "vfbroker status");
    return backends->front().get<std::string>();
}

}  // namespace

Result<std::vector<Pool>> read_pools(Client& client, const SysRoot& root,
                                     const Complain& complain) {
    VFB_TRY(const auto backend, usual_backend(client));
    VFB_TRY(const auto reply, client.call("ListPools", Json::object()));
    VFB_TRY(const auto functions, client::list(client, true));
    const auto list = reply.parameters.find("pools");
    if (list == reply.parameters.end() || !list->is_array()) return unusable();
    std::vector<Pool> pools;
    for (const Json& entry : *list) {
        Pool pool{.name = entry.value("name", ""),
                  .backend = entry.value("backend", backend),
                  .devices = {}};
        if (const auto good = check_name(pool.name); !good) {
            complain(good.error());
            continue;
        }
        for (const auto& function : functions) {
            if (function.pool != pool.name) continue;
            VFB_TRY(auto nodes, find_nodes(root, function.address, pool.backend));
            pool.devices.push_back({.address = function.address, .nodes = std::move(nodes)});
        }
        pools.push_back(std::move(pool));
    }
    return pools;
}

Result<> write_specs(const Where& where, const SysRoot& root, const Complain& complain) {
    VFB_TRY(auto client, Client::connect(where.socket));
    VFB_TRY(const auto pools, read_pools(client, root, complain));
    std::map<std::string, std::string> files;
    for (const Pool& pool : pools) files[file_name(pool.name)] = make_spec(pool, where.program);
    return keep_files(where.folder, files);
}

Result<> keep_specs(const Where& where, const SysRoot& root, const Complain& complain,
                    const std::function<void()>& written) {
    // One complaint of a kind: it would come with every change.
    std::set<std::string> known;
    const Complain complain_once = [&](const Error& error) {
        if (known.insert(error.message()).second) complain(error);
    };
    bool announced = false;
    VFB_TRY(auto client, Client::connect(where.socket));
    VFB_TRY(const auto end, client.call_more("Watch", Json::object(), [&](const Json&) {
        // A function may have gone between two answers; then another change is on its way.
        const auto done = write_specs(where, root, complain_once);
        if (!done)
            complain_once(done.error());
        else if (!std::exchange(announced, true))
            written();
    }));
    return {};
}

}  // namespace vfb::cdi
