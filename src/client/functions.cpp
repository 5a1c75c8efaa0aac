// SPDX-License-Identifier: LGPL-2.1-or-later
#include "client/functions.hpp"

#include "proto/scanner.hpp"

namespace vfb::client {
namespace {

using proto::Scanner;

void read(Scanner& scanner, std::string& value) {
    if (!scanner.null()) value = scanner.string();
}

void read(Scanner& scanner, std::optional<std::int64_t>& value) {
    if (!scanner.null()) value = scanner.number();
}

void read_joined(Scanner& scanner, std::string& value) {
    if (scanner.null()) return;
    scanner.array([&] {
        if (!value.empty()) value += ',';
        value += scanner.string();
    });
}

FunctionSummary read_function(Scanner& scanner) {
    FunctionSummary out;
    scanner.object([&](std::string_view key) {
        if (key == "address") return read(scanner, out.address);
        if (key == "ids") return read(scanner, out.ids);
        if (key == "class") return read(scanner, out.device_class);
        if (key == "name") return read(scanner, out.name);
        if (key == "driver") return read(scanner, out.driver);
        if (key == "netdevs") return read_joined(scanner, out.netdevs);
        if (key == "group") return read(scanner, out.group);
        if (key == "numaNode") return read(scanner, out.numa_node);
        if (key == "vfs") return read(scanner, out.vfs);
        if (key == "totalVfs") return read(scanner, out.total_vfs);
        if (key == "physicalFunction") return read(scanner, out.physical_function);
        if (key == "index") return read(scanner, out.index);
        if (key == "pool") return read(scanner, out.pool);
        if (key == "state") return read(scanner, out.state);
        if (key == "lease") return read(scanner, out.lease);
        scanner.skip();
    });
    return out;
}

}  // namespace

Result<std::vector<FunctionSummary>> read_functions(std::string_view parameters) {
    std::vector<FunctionSummary> functions;
    bool found = false;
    Scanner scanner(parameters);
    scanner.object([&](std::string_view key) {
        if (key != "functions") {
            scanner.skip();
            return;
        }
        found = true;
        scanner.array([&] { functions.push_back(read_function(scanner)); });
    });
    if (scanner.ok() && found) return functions;
    return fail(Code::protocol, "read vfbrokerd's answer", {}, "it is no list of functions",
                "vfbrokerd and its clients may differ in version");
}

Result<std::vector<FunctionSummary>> list(Client& client, bool managed) {
    VFB_TRY(const auto reply, client.call_text("List", {{"managed", managed}}));
    return read_functions(reply);
}

}  // namespace vfb::client
